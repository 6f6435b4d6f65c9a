/** Addresses of files whose names grow with each release of their vendor. */
import { basename } from 'node:path';
import { SourceError } from '../errors.ts';
import type { Context } from '../events.ts';
import { readList } from './download.ts';

/** Whether the name at the end of an address has a `*`. */
export function isPattern(url: string): boolean {
  return basename(url).includes('*');
}

/**
 * The address that `pattern` stands for: of the names in the list of digests that fit, the one where the numbers behind the
 * `*` are highest. An address without a `*` is itself.
 * @throws SourceError `sums.no-match`, and those of downloads
 */
export async function newestAddress(pattern: string, sums: string, context: Context): Promise<string> {
  if (!isPattern(pattern)) return pattern;
  const name = newestName(await readList(sums, context), basename(pattern));
  if (name !== undefined) return `${pattern.slice(0, -basename(pattern).length)}${name}`;
  throw new SourceError('sums.no-match', `Cannot find ${basename(pattern)}: ${basename(sums)} names no such file`, {
    hint: 'The vendor has moved it; give the medium itself with --iso.',
    evidence: { sums },
  });
}

/** The newest name in a list of digests that `pattern` fits; its one `*` stands for anything. */
export function newestName(sums: string, pattern: string): string | undefined {
  const [head = '', tail = ''] = pattern.split('*');
  const fits = sums
    .split('\n')
    .flatMap((line) => /[ *(]([^ *()/]+)\)?(?: = [0-9a-fA-F]+)?$/.exec(line.trim())?.[1] ?? [])
    .filter((name) => name.length >= head.length + tail.length && name.startsWith(head) && name.endsWith(tail));
  const numbers = (name: string): number[] =>
    [...name.slice(head.length, name.length - tail.length).matchAll(/\d+/g)].map(([digits]) => Number(digits));
  return fits.sort((a, b) => compare(numbers(a), numbers(b))).at(-1);
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (let at = 0; at < Math.max(a.length, b.length); at++) {
    const difference = (a[at] ?? -1) - (b[at] ?? -1);
    if (difference !== 0) return difference;
  }
  return 0;
}
