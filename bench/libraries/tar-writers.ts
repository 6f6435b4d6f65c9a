import { createReadStream } from 'node:fs';
import type { Writable } from 'node:stream';
import { padding } from '../../src/formats/tar/layout.ts';
import { archiveEnd, decimalTime, memberHeader, type TarMember } from '../../src/formats/tar/writer.ts';

/** A member and the bytes of its file, or the file of this host that has them. */
export interface Item {
  readonly member: TarMember;
  readonly body: Buffer | { readonly path: string };
}

/** Bytes read at once of a file. */
const PIECE = 256 * 1024;

/** Writes an archive, a part at a time. */
export type Writer = (items: readonly Item[]) => AsyncIterable<Uint8Array>;

/** compose's own writer. */
export async function* ownWriter(items: readonly Item[]): AsyncGenerator<Uint8Array> {
  let written = 0;
  for (const { member, body } of items) {
    const header = memberHeader(member);
    yield header;
    let stored = 0;
    for await (const part of partsOf(body, member)) {
      yield part;
      stored += part.length;
    }
    const rest = padding(stored);
    if (rest > 0) yield new Uint8Array(rest);
    written += header.length + stored + rest;
  }
  yield new Uint8Array(archiveEnd(written));
}

async function* partsOf(body: Item['body'], member: TarMember): AsyncGenerator<Uint8Array> {
  if (!Buffer.isBuffer(body)) yield* createReadStream(body.path, { highWaterMark: PIECE });
  else if (member.sparse === undefined) yield body;
  else for (const { offset, length } of member.sparse) yield body.subarray(offset, offset + length);
}

const TYPES = {
  file: 'file',
  hardLink: 'link',
  symlink: 'symlink',
  character: 'character-device',
  block: 'block-device',
  directory: 'directory',
  fifo: 'fifo',
} as const;

interface TarStream {
  pack(): AsyncIterable<Uint8Array> & {
    entry(header: object, body: Buffer, done: (error?: Error | null) => void): void;
    entry(header: object, done: (error?: Error | null) => void): Writable;
    finalize(): void;
  };
}

/** tar-stream as its users call it; with `pax`, what it has no field for is given to it as PAX records. */
export function tarStreamWriter(tarStream: TarStream, pax: boolean): Writer {
  return (items) => {
    const pack = tarStream.pack();
    const fill = async (): Promise<void> => {
      for (const { member, body } of items) {
        const header = headerOf(member, pax);
        await new Promise<void>((resolve, reject) => {
          const done = (error?: Error | null): void => (error ? reject(error) : resolve());
          if (Buffer.isBuffer(body)) pack.entry(header, body, done);
          else createReadStream(body.path, { highWaterMark: PIECE }).on('error', reject).pipe(pack.entry(header, done));
        });
      }
      pack.finalize();
    };
    const filling = fill();
    filling.catch(() => {});
    return (async function* () {
      yield* pack;
      await filling;
    })();
  };
}

function headerOf(
  { name, type, mode, size, uid, gid, mtime, linkName, device, xattrs = [] }: TarMember,
  pax: boolean,
): object {
  const records: Record<string, string> = { uid: `${uid}`, gid: `${gid}`, mtime: decimalTime(mtime) };
  for (const each of xattrs) {
    records[`SCHILY.xattr.${Buffer.from(each.name).toString()}`] = Buffer.from(each.value).toString('latin1');
  }
  return {
    name: Buffer.from(name).toString(),
    type: TYPES[type],
    mode,
    size,
    uid,
    gid,
    mtime: new Date(Number(mtime / 1_000_000n)),
    ...(linkName === undefined ? {} : { linkname: Buffer.from(linkName).toString() }),
    ...(device === undefined ? {} : { devmajor: device.major, devminor: device.minor }),
    ...(pax ? { pax: records } : {}),
  };
}
