import type { BlockSource } from '../disk/block-source.ts';
import { overlayPartition } from '../disk/splice.ts';
import { PackError } from '../errors.ts';
import { type EditOptions, editExt4 } from './ext4/edit.ts';
import type { Ext4 } from './ext4/open.ts';
import type { FileSystem } from './file-system.ts';
import type { Edit } from './file-tree.ts';
import { componentMatcher, patternParts } from './glob.ts';
import type { Root } from './root.ts';

/** One of the file systems a tree is made of. */
interface Part {
  readonly fs: FileSystem;
  readonly start: number;
  readonly mountPoint: string;
  readonly edits: Edit[];
}

/**
 * The whole of `disk` with `edits` made in the file systems of `root`, each path in the one that is mounted there.
 * `root` is what `findRoot` found on `disk`. Free space of these file systems reads as zeros; other partitions stay.
 * Only ext4 can be edited; another file system stays as it is, and no edit may be for it.
 * @throws PackError `root.edit-unsupported`; the errors of editExt4
 */
export async function editRoot(
  disk: BlockSource,
  root: Root,
  edits: readonly Edit[],
  options: EditOptions = {},
): Promise<{ readonly source: BlockSource; readonly applied: readonly string[] }> {
  requireEditable(root, edits);
  let source = disk;
  const applied: string[] = [];
  for (const part of splitEdits(root, edits)) {
    if (!isExt4(part.fs)) continue;
    const edited = await editExt4(part.fs, part.edits, options);
    source = overlayPartition(source, part.start, edited.source);
    const prefix = part.mountPoint === '/' ? '' : part.mountPoint;
    applied.push(...edited.applied.map((line) => line.replace(' /', ` ${prefix}/`)));
  }
  return { source, applied };
}

/** @throws PackError `root.edit-unsupported` when an edit is for a file system that compose does not edit */
export function requireEditable(root: Root, edits: readonly Edit[]): void {
  for (const part of splitEdits(root, edits)) if (!isExt4(part.fs) && part.edits.length > 0) throw notEditable(part);
}

function isExt4(fs: FileSystem): fs is Ext4 {
  return fs.kind === 'ext4';
}

function notEditable(part: Part): PackError {
  const what = part.fs.kind.toUpperCase();
  return new PackError(
    'root.edit-unsupported',
    `Cannot seal the disk: ${part.mountPoint} is on ${what}, and compose edits ext4 only`,
    {
      hint: 'Pack a tree (tgz), whose edits are made in the stream, or pack the disk as it is with --no-seal.',
      evidence: { mountPoint: part.mountPoint, edits: part.edits.map((edit) => `${edit.kind} ${edit.path}`) },
    },
  );
}

function splitEdits(root: Root, edits: readonly Edit[]): Part[] {
  const mountPoints = root.mounts.map((mount) => mount.mountPoint);
  const parts: Part[] = [
    {
      fs: root.fs,
      start: root.partition?.start ?? 0,
      mountPoint: '/',
      edits: edits.filter((edit) => ownerOf(edit, mountPoints) === undefined),
    },
  ];
  for (const { fs, partition, mountPoint } of root.mounts) {
    const inner = mountPoints.filter((other) => other !== mountPoint && other.startsWith(`${mountPoint}/`));
    const own = edits
      .filter((edit) => ownerOf(edit, inner) === undefined)
      .flatMap((edit) => editBelow(edit, mountPoint) ?? []);
    // A file system mounted in two places is edited once.
    const known = parts.find((part) => part.fs === fs);
    if (known === undefined) parts.push({ fs, start: partition?.start ?? 0, mountPoint, edits: own });
    else known.edits.push(...own);
  }
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
