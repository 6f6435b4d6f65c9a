/** A folder of this host as one tar stream, in the dialect that GNU tar, busybox and bsdtar all restore. */
import { createReadStream } from 'node:fs';
import { ProvisionError } from '../errors.ts';
import { BLOCK, CHECKSUM, headerChecksum, NAME_SIZE, padding, TYPE, TYPEFLAG } from '../formats/tar/layout.ts';
import { writeNumber } from '../formats/tar/number.ts';
import { archiveEnd, memberHeader, type TarMember } from '../formats/tar/writer.ts';
import type { HostEntry } from './host-tree.ts';

export interface TreeOwner {
  readonly uid: number;
  readonly gid: number;
}

const ENCODER = new TextEncoder();
const READ = 256 * 1024;

/**
 * The archive of `entries`, everything owned by `owner`, files with `mode` where it is given.
 * @throws ProvisionError `upload.changed` when a file is shorter than it was a moment ago
 */
export async function* tarOf(
  entries: AsyncIterable<HostEntry>,
  { owner, mode }: { readonly owner: TreeOwner; readonly mode?: number | undefined },
): AsyncGenerator<Uint8Array> {
  let written = 0;
  for await (const entry of entries) {
    const header = headerOf(entry, owner, mode);
    yield header;
    written += header.length;
    if (entry.kind !== 'file') continue;
    const size = Number(entry.info.size);
    yield* contentOf(entry, size);
    const rest = padding(size);
    if (rest > 0) yield new Uint8Array(rest);
    written += size + rest;
  }
  yield new Uint8Array(archiveEnd(written));
}

async function* contentOf(entry: HostEntry, size: number): AsyncGenerator<Uint8Array> {
  let read = 0;
  // What was appended since the header was made is left out.
  if (size > 0) {
    for await (const chunk of createReadStream(entry.hostPath, { end: size - 1, highWaterMark: READ })) {
      read += (chunk as Buffer).length;
      yield chunk as Buffer;
    }
  }
  if (read === size) return;
  throw new ProvisionError('upload.changed', `Cannot upload ${entry.hostPath}: it shrank while it was read`, {
    hint: 'Let nothing write to the folder while it is uploaded.',
  });
}

function headerOf(entry: HostEntry, owner: TreeOwner, mode: number | undefined): Uint8Array {
  const { name, kind, info, linkTo } = entry;
  const own = Number(info.mode) & 0o7777;
  const member: TarMember = {
    name: kind === 'folder' ? Buffer.concat([name, Buffer.from('/')]) : name,
    type: kind === 'folder' ? 'directory' : kind === 'link' ? 'symlink' : 'file',
    mode: kind === 'link' ? 0o777 : kind === 'file' ? (mode ?? own) : own,
    ...owner,
    mtime: info.mtimeNs,
    size: kind === 'file' ? Number(info.size) : 0,
    ...(linkTo === undefined ? {} : { linkName: linkTo }),
  };
  // busybox passes over PAX headers, so long names are GNU's records, which all three know.
  const long = [
    member.name.length > NAME_SIZE ? longRecord(TYPE.gnuLongName, member.name) : undefined,
    (linkTo?.length ?? 0) > NAME_SIZE ? longRecord(TYPE.gnuLongLink, linkTo as Buffer) : undefined,
  ].filter((record) => record !== undefined);
  const short: TarMember = {
    ...member,
    name: member.name.subarray(0, NAME_SIZE),
    ...(linkTo === undefined ? {} : { linkName: linkTo.subarray(0, NAME_SIZE) }),
  };
  return Buffer.concat([...long, memberHeader(short)]);
}

/** GNU's `././@LongLink` member, whose content is the name of the next one (GNU tar src/create.c, write_gnu_long_link). */
function longRecord(type: number, name: Uint8Array): Uint8Array {
  const size = name.length + 1;
  const header = memberHeader({
    name: ENCODER.encode('././@LongLink'),
    type: 'file',
    mode: 0,
    uid: 0,
    gid: 0,
    mtime: 0n,
    size,
  });
  header[TYPEFLAG] = type;
  writeNumber(header, CHECKSUM, 7, headerChecksum(header));
  const record = new Uint8Array(BLOCK + size + padding(size));
  record.set(header);
  record.set(name, BLOCK);
  return record;
}
