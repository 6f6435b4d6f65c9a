import { randomBytes } from 'node:crypto';
import { open, readFile, rm, stat, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { PackError } from '../errors.ts';
import { reapPath } from '../host/reaper.ts';
import { diskFull } from './disk-full.ts';
import { writeWhole } from './sink.ts';

const NAME = 'SHA256SUMS';
const LOCK = `.${NAME}.lock`;
/** A larger file of that name is no list of sums. */
const MOST_BYTES = 16 * 1024 * 1024;
const RETRY_MS = 20;
/** Whoever has the lock touches it this often, ms; one that nobody touched for so much longer is what a crash left. */
const TOUCH_MS = 2000;
const STALE_MS = 30_000;

/** Digest of a file in the folder. */
export interface Sum {
  readonly file: string;
  readonly sha256: string;
}

/**
 * Puts `sums` into the folder's SHA256SUMS, in `sha256sum -c` form. Lines of other files that are still there stay; those of
 * rebuilt files are replaced. Several packings into one folder, of this process or others, lose no line of each other.
 * @returns path of SHA256SUMS
 * @throws PackError `pack.sums`, `pack.write`, `pack.disk-full`
 */
export async function mergeSums(
  folder: string,
  sums: readonly Sum[],
  signal: AbortSignal = new AbortController().signal,
  staleMs = STALE_MS,
): Promise<string> {
  for (;;) {
    await using lock = await takeLock(join(folder, LOCK), signal, staleMs);
    const lines = [...(await otherLines(folder, sums)), ...sums.map(({ file, sha256 }) => `${sha256}  ${file}\n`)];
    if (!(await lock.isHeld())) continue;
    const { path } = await writeWhole(join(folder, NAME), lines.sort().join(''));
    return path;
  }
}

/** The lines of SHA256SUMS that are of other files than `sums`, where these files still exist. */
async function otherLines(folder: string, sums: readonly Sum[]): Promise<string[]> {
  const path = join(folder, NAME);
  const info = await stat(path).catch(() => undefined);
  if (!info?.isFile() || info.size > MOST_BYTES) return [];
  const own = new Set(sums.map(({ file }) => file));
  const kept = new Map<string, string>();
  for (const line of (await readFile(path, 'utf8')).split('\n')) {
    const file = fileOf(line);
    if (file === undefined || own.has(file)) continue;
    const there = await stat(join(folder, file)).catch(() => undefined);
    if (there?.isFile()) kept.set(file, `${line}\n`);
  }
  return [...kept.values()];
}

/** The file a line is of; a backslash before the digest says that the name is escaped (GNU coreutils, sha2 utilities). */
function fileOf(line: string): string | undefined {
  const [, escaped, name = ''] = /^(\\?)[0-9a-fA-F]{64} [ *](.+)$/.exec(line) ?? [];
  if (name === '' || name.includes('\0')) return undefined;
  if (escaped === '') return name;
  return name.replace(/\\([\\nr])/g, (_, letter: string) => ({ n: '\n', r: '\r' })[letter] ?? letter);
}

interface Lock extends AsyncDisposable {
  /** False when another one took it for stale. */
  isHeld(): Promise<boolean>;
}

/** A file that only one can create; the others wait until it is gone. */
async function takeLock(path: string, signal: AbortSignal, staleMs: number): Promise<Lock> {
  const token = randomBytes(8).toString('hex');
  let seen = '';
  let since = 0;
  while (!(await create(path, token))) {
    signal.throwIfAborted();
    // By the change of its time, not by the time itself: the clock of a file server may be another.
    const now = await stat(path).then(
      ({ ino, mtimeMs }) => `${ino} ${mtimeMs}`,
      () => '',
    );
    if (now !== seen) [seen, since] = [now, performance.now()];
    else if (now !== '' && performance.now() - since > staleMs) await rm(path, { force: true });
    await delay(RETRY_MS);
  }
  const reaped = reapPath(path);
  const touching = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => {});
  }, TOUCH_MS);
  touching.unref();
  const isHeld = (): Promise<boolean> =>
    readFile(path, 'utf8')
      .then((text) => text === token)
      .catch(() => false);
  return {
    isHeld,
    [Symbol.asyncDispose]: async () => {
      clearInterval(touching);
      if (await isHeld()) await rm(path, { force: true });
      reaped[Symbol.dispose]();
    },
  };
}

/** Whether the file was not there and now has `token` in it. */
async function create(path: string, token: string): Promise<boolean> {
  let made = false;
  try {
    await using file = await open(path, 'wx');
    made = true;
    await file.writeFile(token);
    return true;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return false;
    // Else it would be in the way of the next packing.
    if (made) await rm(path, { force: true });
    const full = await diskFull(join(dirname(path), NAME), cause);
    throw (
      full ??
      new PackError('pack.sums', `Cannot write ${NAME}: ${(cause as Error).message}`, {
        hint: 'Name a folder you may write to with --out.',
        cause,
      })
    );
  }
}
