import type { BlockSource } from '../../disk/block-source.ts';
import { type Range, zeroed } from '../../disk/patched.ts';
import { FormatError } from '../../errors.ts';
import type { Edit } from '../file-tree.ts';
import { componentMatcher, patternParts } from '../glob.ts';
import { splitPath } from '../paths.ts';
import type { Fat } from './open.ts';

/**
 * The bytes of `fs`, with its free clusters read as zeros unless `zeroFree` is false.
 * @throws FormatError `fat.no-edit` when one of `edits` would change something: a FAT is not edited
 */
export async function clearedFat(fs: Fat, edits: readonly Edit[], zeroFree = true): Promise<BlockSource> {
  await requireUnchanged(fs, edits);
  if (!zeroFree) return fs.source;
  const zeros: Range[] = [];
  for await (const range of fs.freeRanges()) zeros.push(range);
  return zeroed(fs.source, zeros);
}

/** @throws FormatError `fat.no-edit` when one of `edits` would change something in `fs`, which is mounted at `mountPoint` */
export async function requireUnchanged(fs: Fat, edits: readonly Edit[], mountPoint = ''): Promise<void> {
  if (edits.length === 0) return;
  const rules = edits.map(({ kind, path }) => ({ kind, parts: patternParts(path).map(componentMatcher) }));
  for await (const { path, kind, data } of fs.entries()) {
    const names = splitPath(path);
    for (const rule of rules) {
      const depth = rule.parts.length + (rule.kind === 'clear' ? 1 : 0);
      if (names.length !== depth || !rule.parts.every((matches, at) => matches(names[at]!))) continue;
      if (rule.kind === 'empty' && (kind !== 'file' || data?.size === 0)) continue;
      throw new FormatError(
        'fat.no-edit',
        `Cannot take ${mountPoint}/${Buffer.from(path)} out of the FAT file system`,
        {
          hint: 'compose does not edit FAT; remove it in the machine before it is powered off, or pack a tree (tgz).',
          evidence: { path: `${mountPoint}/${Buffer.from(path)}` },
        },
      );
    }
  }
}
