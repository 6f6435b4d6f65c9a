import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { RecipeError } from '../errors.ts';
import type { SeedMember } from './volume.ts';

/** A file or folder of this host, and the path it has on the volume. */
export interface SeedFile {
  readonly name: string;
  readonly path: string;
}

/** Volumes are made in memory. */
const MOST_BYTES = 512 * 1024 * 1024;
const MOST_FILES = 100_000;

/**
 * Reads the files of a volume; folders with all that is in them, symlinks followed.
 * @throws RecipeError `seed.file`, `seed.too-large`
 */
export async function readSeedFiles(files: readonly SeedFile[], signal: AbortSignal): Promise<SeedMember[]> {
  const members: SeedMember[] = [];
  let room = MOST_BYTES;
  const pending = [...files].reverse();
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    signal.throwIfAborted();
    const { name, path } = next;
    const info = await stat(path).catch((cause: Error) => {
      throw unreadable(path, cause);
    });
    if (info.isDirectory()) {
      const inside = await readdir(path).catch((cause: Error) => {
        throw unreadable(path, cause);
      });
      pending.push(
        ...inside
          .sort()
          .reverse()
          .map((child) => ({ name: `${name}/${child}`, path: join(path, child) })),
      );
      if (pending.length + members.length > MOST_FILES) throw tooLarge(`more than ${MOST_FILES} files`);
      continue;
    }
    if (!info.isFile()) throw unreadable(path, new Error('it is neither a file nor a folder'));
    room -= info.size;
    if (room < 0) throw tooLarge(`more than ${MOST_BYTES} bytes`);
    const content = await readFile(path).catch((cause: Error) => {
      throw unreadable(path, cause);
    });
    members.push({ path: name, content });
  }
  return members;
}

function unreadable(path: string, cause: Error): RecipeError {
  return new RecipeError('seed.file', `Cannot read ${path}: ${cause.message}`, { cause });
}

function tooLarge(why: string): RecipeError {
  return new RecipeError('seed.too-large', `Cannot put the files on a volume of answers: they are ${why}`, {
    hint: 'Put packages and drivers on a disk or an HTTP server of their own.',
  });
}
