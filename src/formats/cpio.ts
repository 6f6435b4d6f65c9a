/**
 * cpio archives of the "newc" form, which Linux takes for its initial file system (kernel:
 * Documentation/driver-api/early-userspace/buffer-format.rst, init/initramfs.c).
 */

import { FormatError } from '../errors.ts';
import { concat } from './concat.ts';

export interface CpioFile {
  /** Path with `/` between components; directories on its way are made. */
  readonly path: string;
  /** Bytes of content that follow the header. @default 0 */
  readonly size?: number;
  /** Permission bits. @default 0o644 (0o755 for directories, 0o777 for links) */
  readonly mode?: number;
  /** Target, for a symbolic link. */
  readonly symlink?: string;
  /** Makes a directory rather than a file. */
  readonly directory?: boolean;
}

/** A member of an archive: its header is followed by `size` bytes of content, then by `padding(size)`. */
export interface CpioMember {
  readonly path: string;
  readonly header: Uint8Array;
  readonly size: number;
  /** What the content is when the caller has none: the target of a link. */
  readonly content: Uint8Array | undefined;
  /** The file this member is; undefined for a directory that was made on the way. */
  readonly file: CpioFile | undefined;
}

const MAGIC = '070701';
const TRAILER = 'TRAILER!!!';
export const CPIO_ALIGNMENT = 4;
const MAX_SIZE = 0xffffffff;
/** PATH_MAX with the NUL that ends a name; the kernel drops longer ones without a word. */
const MAX_PATH = 4095;
const TYPE = { directory: 0o040000, file: 0o100000, symlink: 0o120000 } as const;
/**
 * Directories that are symbolic links in the initial file systems of today. The kernel would replace such a link by the
 * directory of an archive, and everything below it would be gone; what is put through the link arrives.
 */
const OFTEN_LINKS = ['bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32', 'var/run', 'var/lock'];
const encoder = new TextEncoder();

/** Zeros that fill what has `length` bytes up to the next multiple of four. */
export function cpioPadding(length: number): Uint8Array {
  return new Uint8Array((CPIO_ALIGNMENT - (length % CPIO_ALIGNMENT)) % CPIO_ALIGNMENT);
}

/**
 * The members of an archive in their order, without its trailer: directories before what is in them.
 * @param options.time modification time of every member, seconds since 1970. @default 0
 * @throws FormatError `cpio.name`, `cpio.too-large`
 */
export function cpioMembers(files: readonly CpioFile[], options: { readonly time?: number } = {}): CpioMember[] {
  const time = options.time ?? 0;
  const made = new Map<string, 'directory' | 'leaf'>();
  const members: CpioMember[] = [];
  const add = (path: string, type: number, mode: number, content: Uint8Array | number, file?: CpioFile): void => {
    const size = typeof content === 'number' ? content : content.length;
    const header = cpioHeader(path, { inode: members.length + 1, mode: type | mode, size, time });
    members.push({ path, header, size, content: typeof content === 'number' ? undefined : content, file });
  };
  for (const file of files) {
    const parts = checkedParts(file.path);
    const path = parts.join('/');
    for (let depth = 1; depth < parts.length; depth++) {
      const parent = parts.slice(0, depth).join('/');
      if (made.get(parent) === 'leaf') throw badName(file.path, `${parent} is a file`);
      if (!made.has(parent) && !OFTEN_LINKS.includes(parent)) add(parent, TYPE.directory, 0o755, 0);
      made.set(parent, 'directory');
    }
    if (made.has(path)) throw badName(file.path, 'it is there twice');
    made.set(path, file.directory ? 'directory' : 'leaf');
    if (file.directory) add(path, TYPE.directory, file.mode ?? 0o755, 0, file);
    else if (file.symlink !== undefined) add(path, TYPE.symlink, file.mode ?? 0o777, target(file), file);
    else add(path, TYPE.file, file.mode ?? 0o644, checkedSize(file), file);
  }
  return members;
}

/** The member that ends an archive. */
export function cpioTrailer(): Uint8Array {
  return cpioHeader(TRAILER, { inode: 0, mode: 0, size: 0, time: 0 });
}

/** A whole archive of files whose content is at hand. @throws FormatError `cpio.name`, `cpio.too-large` */
export function writeCpio(
  files: readonly (CpioFile & { readonly content?: Uint8Array })[],
  options: { readonly time?: number } = {},
): Uint8Array {
  const contents = new Map<CpioFile, Uint8Array>();
  const sized = files.map((file): CpioFile => {
    const sizedFile = { ...file, size: file.content?.length ?? 0 };
    contents.set(sizedFile, file.content ?? new Uint8Array(0));
    return sizedFile;
  });
  const parts: Uint8Array[] = [];
  for (const { header, content, file, size } of cpioMembers(sized, options)) {
    parts.push(header);
    if (size > 0) parts.push(content ?? contents.get(file as CpioFile) ?? new Uint8Array(0), cpioPadding(size));
  }
  parts.push(cpioTrailer());
  return concat(parts);
}

/** Thirteen fields of eight hexadecimal digits behind the magic number, the name with its NUL, padding. */
function cpioHeader(
  path: string,
  { inode, mode, size, time }: { inode: number; mode: number; size: number; time: number },
): Uint8Array {
  const name = encoder.encode(`${path}\0`);
  const links = (mode & 0o170000) === TYPE.directory ? 2 : 1;
  const seconds = Math.min(Math.max(0, Math.floor(time)), 0xffffffff);
  const fields = [inode, mode, 0, 0, links, seconds, size, 0, 0, 0, 0, name.length, 0];
  const head = encoder.encode(MAGIC + fields.map((value) => value.toString(16).padStart(8, '0')).join(''));
  const length = head.length + name.length;
  const header = new Uint8Array(length + cpioPadding(length).length);
  header.set(head);
  header.set(name, head.length);
  return header;
}

function checkedParts(path: string): string[] {
  const parts = path.split('/').filter((part) => part !== '');
  if (parts.length === 0 || parts.some((part) => part === '.' || part === '..' || part.includes('\0'))) {
    throw badName(path, 'a component is empty, a dot or holds a NUL');
  }
  if (encoder.encode(path).length > MAX_PATH) throw badName(path, `it is longer than ${MAX_PATH} bytes`);
  if (parts.join('/') === TRAILER) throw badName(path, 'that name ends an archive');
  return parts;
}

function target(file: CpioFile): Uint8Array {
  const bytes = encoder.encode(file.symlink);
  if (bytes.length === 0 || bytes.includes(0)) throw badName(file.path, 'a link needs a target');
  if (bytes.length > MAX_PATH) throw badName(file.path, `its target is longer than ${MAX_PATH} bytes`);
  return bytes;
}

function checkedSize(file: CpioFile): number {
  const size = file.size ?? 0;
  if (size <= MAX_SIZE) return size;
  throw new FormatError('cpio.too-large', `Cannot put ${file.path} into a cpio archive: it is 4 GiB or longer`);
}

function badName(path: string, why: string): FormatError {
  return new FormatError('cpio.name', `Cannot put ${JSON.stringify(path)} into a cpio archive: ${why}`);
}
