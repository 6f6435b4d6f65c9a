/** A folder of this host, walked in the order of its names' bytes. */
import type { BigIntStats } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { ProvisionError } from '../errors.ts';

export interface HostEntry {
  /** Relative to the folder, bytes as they are. */
  readonly name: Buffer;
  readonly hostPath: Buffer;
  readonly kind: 'file' | 'folder' | 'link';
  readonly info: BigIntStats;
  /** Target of a symbolic link. */
  readonly linkTo: Buffer | undefined;
}

const SLASH = Buffer.from('/');

/**
 * Everything under `root`, folders before what is in them. Patterns leave out what they match and all below it.
 * @throws ProvisionError `upload.special` for what is neither file, folder nor symbolic link
 */
export async function* walkHost(root: Buffer, exclude: readonly string[] = []): AsyncGenerator<HostEntry> {
  yield* walk(root, Buffer.alloc(0), exclusion(exclude));
}

async function* walk(folder: Buffer, inside: Buffer, left: (name: Buffer) => boolean): AsyncGenerator<HostEntry> {
  const names = await readdir(folder, { encoding: 'buffer' });
  for (const part of names.sort(Buffer.compare)) {
    const name = inside.length === 0 ? part : Buffer.concat([inside, SLASH, part]);
    if (left(name)) continue;
    const hostPath = Buffer.concat([folder, SLASH, part]);
    const info = await lstat(hostPath, { bigint: true });
    if (info.isSymbolicLink()) {
      yield { name, hostPath, kind: 'link', info, linkTo: await readlink(hostPath, { encoding: 'buffer' }) };
    } else if (info.isDirectory()) {
      yield { name, hostPath, kind: 'folder', info, linkTo: undefined };
      yield* walk(hostPath, name, left);
    } else if (info.isFile()) {
      yield { name, hostPath, kind: 'file', info, linkTo: undefined };
    } else {
      throw new ProvisionError('upload.special', `Cannot upload ${hostPath}: it is no file, folder or symbolic link`, {
        hint: 'Leave it out with "exclude", or remove it: a socket or device has no content to upload.',
      });
    }
  }
}

/**
 * Whether a relative path is left out. A pattern with a slash is for the whole path, one without for the last name; `*` and
 * `?` stay within a name, `**` goes across.
 */
export function exclusion(patterns: readonly string[]): (name: Buffer) => boolean {
  const rules = patterns.map((pattern) => {
    const clean = pattern.replace(/^\.?\//, '').replace(/\/+$/, '');
    return { whole: pattern.replace(/\/+$/, '').includes('/'), matches: globPattern(clean) };
  });
  return (name) => {
    // One character a byte on both sides, so that names in any encoding match.
    const path = name.toString('latin1');
    const last = path.slice(path.lastIndexOf('/') + 1);
    return rules.some(({ whole, matches }) => matches.test(whole ? path : last));
  };
}

function globPattern(pattern: string): RegExp {
  const text = Buffer.from(pattern, 'utf8').toString('latin1');
  const parts = text.split(/(\*\*\/?|\*|\?)/).map((part) => {
    if (part === '**/') return '(?:[^/]*/)*';
    if (part === '**') return '.*';
    if (part === '*') return '[^/]*';
    if (part === '?') return '[^/]';
    return part.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&');
  });
  return new RegExp(`^${parts.join('')}$`, 's');
}
