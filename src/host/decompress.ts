import { spawn } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { createGunzip } from 'node:zlib';
import { FormatError, HostError } from '../errors.ts';
import { openLibbz2 } from './libbz2.ts';
import { openLiblzma } from './liblzma.ts';
import { packageOf, which } from './tools.ts';

export type CompressedKind = 'gzip' | 'bzip2' | 'xz';

const MAGIC: readonly (readonly [CompressedKind, string])[] = [
  ['gzip', '\x1f\x8b'],
  ['bzip2', 'BZh'],
  ['xz', '\xfd7zXZ\0'],
];

/** `xz -9` needs 65 MiB to decode; a header that asks for gigabytes is not one of an image. */
const MEMORY_LIMIT = 256 * 1024 * 1024;
const READ = 64 * 1024;
/** Output after which other work of the thread has its turn. */
const TURN = 4 * 1024 * 1024;

/** How the file at `path` is compressed, by its first bytes; undefined where it is not. @throws Error of the file system */
export async function compressedKind(path: string): Promise<CompressedKind | undefined> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(8), 0, 8, 0);
    const head = buffer.toString('latin1', 0, bytesRead);
    return MAGIC.find(([, magic]) => head.startsWith(magic))?.[0];
  } finally {
    await file.close();
  }
}

/**
 * The decompressed bytes of a file, in pieces of at most 1 MiB that are the caller's to keep. gzip is read by Node, xz and
 * bzip2 by the system's libraries or else its programs.
 * @throws FormatError `gzip.damaged`, `bzip2.damaged`, `xz.damaged` also where it is cut short, `xz.memory` where decoding
 * needs more than 256 MiB; HostError `decompress.missing` where nothing here reads its kind
 */
export async function* decompress(path: string, kind: CompressedKind): AsyncGenerator<Uint8Array> {
  try {
    yield* await pieces(path, kind);
  } catch (cause) {
    throw cause instanceof HostError ? cause : unreadable(path, kind, cause);
  }
}

function unreadable(path: string, kind: CompressedKind, cause: unknown): FormatError {
  const damaged = { hint: 'Compare it with SHA256SUMS; download or build it again.', cause };
  if (kind === 'gzip')
    return new FormatError('gzip.damaged', `Cannot read ${path}: it is damaged or cut short`, damaged);
  if (kind === 'bzip2')
    return new FormatError('bzip2.damaged', `Cannot read ${path}: it is damaged or cut short`, damaged);
  if ((cause as { memory?: boolean }).memory !== true)
    return new FormatError('xz.damaged', `Cannot read ${path}: it is damaged or cut short`, damaged);
  return new FormatError('xz.memory', `Cannot read ${path}: decoding it needs more memory than it may have`, {
    hint: 'It was made with an unusually large dictionary, or is damaged: decompress it with its own program first.',
    cause,
  });
}

async function pieces(path: string, kind: CompressedKind): Promise<AsyncGenerator<Uint8Array>> {
  if (kind === 'gzip') return gunzip(path);
  const decoder = await nativeDecoder(kind).catch(() => undefined);
  return decoder === undefined ? byProgram(path, kind) : byLibrary(path, decoder);
}

async function* gunzip(path: string): AsyncGenerator<Uint8Array> {
  const input = createReadStream(path, { highWaterMark: 1024 * 1024 });
  const unpack = createGunzip({ chunkSize: 1024 * 1024 });
  const done = pipeline(input, unpack);
  done.catch(() => {});
  try {
    for await (const chunk of unpack) yield chunk as Uint8Array;
    await done;
  } finally {
    input.destroy();
    unpack.destroy();
  }
}

interface Decoder {
  write(input: Uint8Array): Iterable<Uint8Array>;
  finish(): Iterable<Uint8Array>;
  close(): void;
}

async function nativeDecoder(kind: 'bzip2' | 'xz'): Promise<Decoder> {
  return kind === 'xz' ? (await openLiblzma()).decoder(MEMORY_LIMIT) : (await openLibbz2()).decoder();
}

async function* byLibrary(path: string, decoder: Decoder): AsyncGenerator<Uint8Array> {
  const input = createReadStream(path, { highWaterMark: READ });
  let sinceTurn = 0;
  const inTurns = async function* (made: Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for (const piece of made) {
      yield piece;
      sinceTurn += piece.length;
      if (sinceTurn < TURN) continue;
      sinceTurn = 0;
      await nextTurn();
    }
  };
  try {
    for await (const read of input) yield* inTurns(decoder.write(read as Uint8Array));
    yield* inTurns(decoder.finish());
  } finally {
    input.destroy();
    decoder.close();
  }
}

async function* byProgram(path: string, kind: 'bzip2' | 'xz'): AsyncGenerator<Uint8Array> {
  const program = which(kind);
  if (program === undefined) {
    throw new HostError('decompress.missing', `Cannot read ${path}: nothing here reads ${kind}`, {
      hint: `Install the package ${packageOf(kind)}.`,
    });
  }
  const limit = kind === 'xz' ? [`--memlimit-decompress=${MEMORY_LIMIT}`] : [];
  const child = spawn(program, ['-dc', ...limit, '--', path], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  ended.catch(() => {});
  let words = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    words = (words + text).slice(-500);
  });
  try {
    for await (const piece of child.stdout) yield piece as Uint8Array;
    const status = await ended;
    if (status !== 0) throw new Error(`${kind} ended with ${status}: ${words.trim()}`);
  } finally {
    child.kill('SIGKILL');
  }
}
