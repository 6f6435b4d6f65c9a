/** Reads an artifact once from its beginning to its end, and leaves a disk in it open to look into. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type BlockSource, slice } from '../disk/block-source.ts';
import { openDisk } from '../disk/open.ts';
import { indexGzip, type PackedIndex } from '../disk/packed-gzip.ts';
import { packedSource } from '../disk/packed-source.ts';
import { indexXz } from '../disk/packed-xz.ts';
import { isComposeError, UsageError } from '../errors.ts';
import { readTar, type TarEntry } from '../formats/tar/reader.ts';
import { decompress } from '../host/decompress.ts';
import { fileProblem } from '../host/file-problem.ts';
import { type TemporaryFolder, temporaryFolder } from '../host/folders.ts';
import type { Compression } from './facts.ts';
import { SparseFile } from './sparse-file.ts';
import { tarOutline } from './tar-outline.ts';

/** What a file is, by its first bytes. */
export interface Sniffed {
  readonly size: number;
  /** Undefined where it is empty. */
  readonly compression: Compression | undefined;
  /** Whether its content begins as a tar does; undefined where nothing here decompresses it. */
  readonly isTar: boolean | undefined;
  /** What its content is instead of a disk or a tar, where that is known: a qcow2 image, a squashfs. */
  readonly container?: string | undefined;
}

/** Images that a raw disk is mistaken for, by their first bytes. */
const CONTAINERS: readonly (readonly [magic: string, name: string])[] = [
  ['QFI\xfb', 'a qcow2 image'],
  ['KDMV', 'a VMDK image'],
  ['vhdxfile', 'a VHDX image'],
  ['conectix', 'a VHD image'],
  ['hsqs', 'a squashfs'],
];

const MAGIC: readonly (readonly [Compression, string])[] = [
  ['gzip', '\x1f\x8b'],
  ['bzip2', 'BZh'],
  ['xz', '\xfd7zXZ\0'],
  ['zstd', '\x28\xb5\x2f\xfd'],
  ['lz4', '\x04\x22\x4d\x18'],
];
const TAR_HEAD = 512;
const USTAR_AT = 257;
const READ = 1024 * 1024;

/** @throws UsageError `verify.unreadable` */
export async function sniff(path: string): Promise<Sniffed> {
  try {
    const { size } = await stat(path);
    const file = await open(path, 'r');
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(TAR_HEAD), 0, TAR_HEAD, 0);
      const text = buffer.toString('latin1', 0, bytesRead);
      const compression =
        bytesRead === 0 ? undefined : (MAGIC.find(([, magic]) => text.startsWith(magic))?.[0] ?? 'none');
      const head = compression === 'none' ? buffer : compression && (await contentHead(path, compression));
      const container = CONTAINERS.find(([magic]) => head?.toString('latin1').startsWith(magic))?.[1];
      return { size, compression, isTar: head && isUstar(head), container };
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw new UsageError('verify.unreadable', `Cannot read ${path}: ${fileProblem(cause)}`, { cause });
  }
}

async function contentHead(path: string, compression: Compression): Promise<Buffer | undefined> {
  const parts: Buffer[] = [];
  try {
    for await (const chunk of contentOf(path, compression)) {
      parts.push(Buffer.from(chunk));
      if (parts.reduce((sum, { length }) => sum + length, 0) >= TAR_HEAD) break;
    }
  } catch (error) {
    if (!isComposeError(error)) throw error;
    return undefined;
  }
  return Buffer.concat(parts);
}

function isUstar(head: Buffer): boolean {
  return head.toString('latin1', USTAR_AT, USTAR_AT + 5) === 'ustar';
}

/** The content of a file, decompressed where that is known here. @throws FormatError of decompress */
export function contentOf(path: string, compression: Compression | undefined): AsyncIterable<Uint8Array> {
  if (compression === 'gzip' || compression === 'bzip2' || compression === 'xz') return decompress(path, compression);
  return createReadStream(path, { highWaterMark: READ });
}

/** Runs `take` on a stream and then reads what it left, so that damage at the end is found. */
export async function toTheEnd<T>(
  chunks: AsyncIterable<Uint8Array>,
  take: (chunks: AsyncIterable<Uint8Array>) => Promise<T>,
): Promise<T> {
  const iterator = chunks[Symbol.asyncIterator]();
  try {
    const taken = await take({ [Symbol.asyncIterator]: () => ({ next: () => iterator.next() }) });
    while (!(await iterator.next()).done);
    return taken;
  } finally {
    await iterator.return?.();
  }
}

/** @returns lower-case hexadecimal */
export async function sha256Of(path: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: READ, signal })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** A disk that was found in an artifact. */
export interface OpenedDisk extends AsyncDisposable {
  readonly source: BlockSource;
  /** Files in the archive around it, where there is one. */
  readonly members: number | undefined;
}

export interface DiskReading extends Pick<Sniffed, 'compression' | 'isTar'> {
  readonly signal: AbortSignal;
  /** Sees the content of the file, in order; each part is good until it answers. */
  readonly onContent: (content: Uint8Array) => void;
}

/**
 * The disk in `path`. A file without compression, and one whose pieces were compressed apart, are read where they are; of
 * others the parts that are not zeros are put into a file in a private temporary folder, which is gone with the disk.
 * @throws FormatError where it is damaged or cut short
 */
export async function openDiskIn(path: string, reading: DiskReading): Promise<OpenedDisk> {
  const { compression, isTar, signal, onContent } = reading;
  if (compression === 'none' || compression === undefined) {
    for await (const chunk of createReadStream(path, { highWaterMark: READ, signal })) onContent(chunk as Buffer);
    return insideTar(await openDisk(path, { format: 'raw', signal }), isTar === true);
  }
  const index = await indexOf(path, compression, signal, onContent);
  if (index === undefined) return unpacked(path, reading);
  try {
    return await insideTar(await packedSource(path, index.pieces, index.unpack), isTar === true);
  } catch (error) {
    // The map of a file with holes is followed while it streams.
    if (!isComposeError(error) || error.code !== 'tar.unsupported') throw error;
    return unpacked(path, reading);
  }
}

function indexOf(
  path: string,
  compression: Compression,
  signal: AbortSignal,
  onContent: (content: Uint8Array) => void,
): Promise<PackedIndex | undefined> {
  if (compression === 'gzip') return indexGzip(path, signal, onContent);
  return compression === 'xz' ? indexXz(path, signal, onContent) : Promise.resolve(undefined);
}

async function insideTar(whole: BlockSource, isTar: boolean): Promise<OpenedDisk> {
  const close = async (): Promise<void> => whole[Symbol.asyncDispose]();
  if (!isTar) return { source: whole, members: undefined, [Symbol.asyncDispose]: close };
  try {
    const { members, first } = await tarOutline(whole);
    const room = first === undefined ? 0 : Math.min(first.size, whole.size - first.position);
    return { source: slice(whole, first?.position ?? 0, room), members, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** By a file that takes the room of what is not zero. */
async function unpacked(path: string, { compression, isTar, signal, onContent }: DiskReading): Promise<OpenedDisk> {
  const folder: TemporaryFolder = await temporaryFolder('compose-verify-');
  try {
    const raw = join(folder.path, 'disk.raw');
    const members = await writeSparse(raw, tapped(contentOf(path, compression), signal, onContent), isTar === true);
    const disk = await openDisk(raw, { format: 'raw', signal });
    const close = async (): Promise<void> => {
      await disk[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    };
    return { source: disk, members, [Symbol.asyncDispose]: close };
  } catch (error) {
    await folder[Symbol.asyncDispose]();
    throw error;
  }
}

async function* tapped(
  chunks: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
  onContent: (content: Uint8Array) => void,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    signal.throwIfAborted();
    onContent(chunk);
    yield chunk;
  }
}

/** Writes the disk, or the first member of the archive. @returns members of the archive */
async function writeSparse(
  raw: string,
  chunks: AsyncIterable<Uint8Array>,
  isTar: boolean,
): Promise<number | undefined> {
  await using file = await SparseFile.create(raw);
  if (!isTar) {
    for await (const chunk of chunks) await file.write(chunk);
    await file.end();
    return undefined;
  }
  const members = await toTheEnd(chunks, async (own) => {
    let count = 0;
    for await (const member of readTar(own)) {
      if (++count === 1) await writeMember(file, member);
    }
    return count;
  });
  await file.end();
  return members;
}

async function writeMember(file: SparseFile, member: TarEntry): Promise<void> {
  const runs = member.sparse ?? [{ offset: 0, length: member.size }];
  let [run, within] = [0, 0];
  for await (const piece of member.body()) {
    for (let at = 0; at < piece.length; ) {
      const place = runs[run];
      if (place === undefined) return;
      const length = Math.min(piece.length - at, place.length - within);
      await file.writeAt(place.offset + within, piece.subarray(at, at + length));
      at += length;
      within += length;
      if (within === place.length) [run, within] = [run + 1, 0];
    }
  }
  file.size = member.size;
}
