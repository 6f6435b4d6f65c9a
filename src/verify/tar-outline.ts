/** Finds the members of an archive by their headers, without reading what is in them. */
import { type BlockSource, readBytes } from '../disk/block-source.ts';
import { FormatError } from '../errors.ts';
import {
  BLOCK,
  CHECKSUM,
  CHECKSUM_SIZE,
  headerChecksum,
  padding,
  SIZE,
  SIZE_SIZE,
  TYPE,
  TYPEFLAG,
} from '../formats/tar/layout.ts';
import { readNumber } from '../formats/tar/number.ts';
import { decodePax } from '../formats/tar/pax.ts';

export interface TarOutline {
  /** Members that are no headers of others. */
  readonly members: number;
  /** Where the bytes of the first regular file are. */
  readonly first: { readonly position: number; readonly size: number } | undefined;
}

const HEADER_LIMIT = 4 * 1024 * 1024;
/** An archive that holds one disk has one; beyond these it does not matter how many there are. */
const MOST = 1000;

/** @throws FormatError `tar.damaged`, `tar.truncated`; `tar.unsupported` for a sparse member, whose map is not followed */
export async function tarOutline(source: BlockSource): Promise<TarOutline> {
  let members = 0;
  let first: TarOutline['first'];
  let long: number | undefined;
  for (let at = 0; at + BLOCK <= source.size && members < MOST; ) {
    const header = await readBytes(source, at, BLOCK);
    if (header.every((byte) => byte === 0)) return { members, first };
    if (readNumber(header, CHECKSUM, CHECKSUM_SIZE) !== headerChecksum(header))
      throw damaged('a header has a wrong checksum');
    const type = header[TYPEFLAG] ?? 0;
    const size = long ?? readNumber(header, SIZE, SIZE_SIZE);
    if (!Number.isSafeInteger(size) || size < 0) throw damaged("a header's size is no number");
    at += BLOCK;
    if (type === TYPE.paxExtended) long = await paxSize(source, at, size);
    else if (type !== TYPE.paxGlobal && type !== TYPE.gnuLongName && type !== TYPE.gnuLongLink) {
      if (type === TYPE.gnuSparse) throw withHoles();
      members++;
      const isFile = type === TYPE.file || type === TYPE.oldFile || type === TYPE.contiguous;
      if (isFile) first ??= { position: at, size };
      long = undefined;
    }
    at += size + padding(size);
    if (at > source.size) {
      throw new FormatError('tar.truncated', 'Cannot read the archive: it ends in the middle of a member');
    }
  }
  return { members, first };
}

/** `size` of an extended header, which holds for the next member. */
async function paxSize(source: BlockSource, at: number, size: number): Promise<number | undefined> {
  if (size > HEADER_LIMIT || at + size > source.size) throw damaged(`an extended header has ${size} bytes`);
  const records = decodePax(await readBytes(source, at, size));
  if (records === undefined) throw damaged('an extended header does not follow its grammar');
  const texts = new Map(records.map(({ key, value }) => [Buffer.from(key).toString(), Buffer.from(value).toString()]));
  if ([...texts.keys()].some((key) => key.startsWith('GNU.sparse.'))) {
    throw withHoles();
  }
  const text = texts.get('size');
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!/^\d{1,16}$/.test(text) || !Number.isSafeInteger(value)) throw damaged('size is no number');
  return value;
}

function withHoles(): FormatError {
  return new FormatError('tar.unsupported', 'Cannot read the archive: the disk in it is stored with holes');
}

function damaged(why: string): FormatError {
  return new FormatError('tar.damaged', `Cannot read the archive: ${why}`);
}
