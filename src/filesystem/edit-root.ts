import type { BlockSource } from '../disk/block-source.ts';
import { type Range, zeroed } from '../disk/patched.ts';
import { overlayAreas } from '../disk/splice.ts';
import { PackError } from '../errors.ts';
import { type EditOptions, editExt4 } from './ext4/edit.ts';
import type { Ext4 } from './ext4/open.ts';
import { clearedFat, requireUnchanged } from './fat/edit.ts';
import type { Fat } from './fat/open.ts';
import type { FileSystem } from './file-system.ts';
import type { Edit } from './file-tree.ts';
import { componentMatcher, patternParts } from './glob.ts';
import { type Place, requireNoSnapshot } from './place.ts';
import type { Root } from './root.ts';
import type { Xfs } from './xfs/open.ts';

/** One of the file systems a tree is made of. */
interface Part {
  readonly fs: FileSystem;
  readonly place: Place;
  readonly mountPoint: string;
  readonly edits: Edit[];
}

/**
 * The whole of `disk` with `edits` made in the file systems of `root`, each path in the one that is mounted there.
 * `root` is what `findRoot` found on `disk`. Free space of these file systems reads as zeros; other partitions stay.
 * XFS and FAT are not edited: no edit may be for XFS, and none may find anything on FAT.
 * @throws PackError `root.edit-unsupported`, `lvm.has-snapshot`; FormatError `fat.no-edit`; the errors of editExt4
 */
export async function editRoot(
  disk: BlockSource,
  root: Root,
  edits: readonly Edit[],
  options: EditOptions = {},
): Promise<{ readonly source: BlockSource; readonly applied: readonly string[] }> {
  let source = disk;
  const applied: string[] = [];
  for (const part of splitEdits(root, edits)) {
    requirePartEditable(part);
    const edited = await editPart(part, options);
    source = overlayAreas(source, part.place.areas, edited.source);
    const prefix = part.mountPoint === '/' ? '' : part.mountPoint;
    applied.push(...edited.applied.map((line) => line.replace(' /', ` ${prefix}/`)));
  }
  return { source, applied };
}

/** @throws PackError `root.edit-unsupported`, `lvm.has-snapshot`; FormatError `fat.no-edit`: when `editRoot` would, before anything is packed */
export async function requireEditable(root: Root, edits: readonly Edit[]): Promise<void> {
  for (const part of splitEdits(root, edits)) {
    requirePartEditable(part);
    if (part.fs.kind === 'vfat') await requireUnchanged(part.fs as Fat, part.edits, part.mountPoint);
  }
}

function requirePartEditable({ fs, place, mountPoint, edits }: Part): void {
  if (edits.length === 0) return;
  requireNoSnapshot(place);
  if (fs.kind !== 'xfs') return;
  throw new PackError(
    'root.edit-unsupported',
    `Cannot seal the disk: ${mountPoint} is on XFS, and compose edits ext4 only`,
    {
      hint: 'Pack a tree (tgz), whose edits are made in the stream, or pack the disk as it is with --no-seal.',
      evidence: { mountPoint, edits: edits.map((edit) => `${edit.kind} ${edit.path}`) },
    },
  );
}

async function editPart(
  { fs, edits }: Part,
  options: EditOptions,
): Promise<{ readonly source: BlockSource; readonly applied: readonly string[] }> {
  if (fs.kind === 'ext4') return editExt4(fs as Ext4, edits, options);
  if (fs.kind === 'vfat') return { source: await clearedFat(fs as Fat, edits, options.zeroFree), applied: [] };
  if (options.zeroFree === false) return { source: fs.source, applied: [] };
  const free: Range[] = [];
  for await (const range of (fs as Xfs).freeExtents()) free.push(range);
  return { source: zeroed(fs.source, free), applied: [] };
}

function splitEdits(root: Root, edits: readonly Edit[]): Part[] {
  const mountPoints = root.mounts.map((mount) => mount.mountPoint);
  const parts: Part[] = [
    {
      fs: root.fs,
      place: root.place,
      mountPoint: '/',
      edits: edits.filter((edit) => ownerOf(edit, mountPoints) === undefined),
    },
  ];
  for (const { fs, place, mountPoint } of root.mounts) {
    const inner = mountPoints.filter((other) => other !== mountPoint && other.startsWith(`${mountPoint}/`));
    const own = edits
      .filter((edit) => ownerOf(edit, inner) === undefined)
      .flatMap((edit) => editBelow(edit, mountPoint) ?? []);
    // A file system mounted in two places is edited once.
    const known = parts.find((part) => part.fs === fs);
    if (known === undefined) parts.push({ fs, place, mountPoint, edits: own });
    else known.edits.push(...own);
  }
  for (const { fs, place, mountPoint } of root.shadowed) parts.push({ fs, place, mountPoint, edits: [] });
  return parts;
}

/** The mount point that everything an edit names lies under, or is. */
function ownerOf(edit: Edit, mountPoints: readonly string[]): string | undefined {
  return mountPoints.find((mountPoint) => {
    const parts = patternParts(edit.path);
    const names = patternParts(mountPoint);
    return names.length <= parts.length && names.every((name, i) => name === parts[i]);
  });
}

/** What an edit of the whole tree means in the file system at `mountPoint`; undefined when nothing. */
export function editBelow(edit: Edit, mountPoint: string): Edit | undefined {
  const parts = patternParts(edit.path);
  const names = patternParts(mountPoint);
  const shared = Math.min(parts.length, names.length);
  for (let i = 0; i < shared; i++) {
    if (!componentMatcher(parts[i]!)(new TextEncoder().encode(names[i]!))) return undefined;
  }
  const rest = parts.slice(names.length);
  if (rest.length > 0) return { ...edit, path: `/${rest.join('/')}` };
  // A mount point, or a directory above it, is removed with all below; of the mounted file system its root stays.
  return edit.kind === 'empty' ? undefined : { ...edit, kind: 'clear', path: '/' };
}
