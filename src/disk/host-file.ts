import { constants, type FileHandle, open, readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { FormatError, PackError } from '../errors.ts';
import { loadCachedRead } from '../host/cached-read.ts';
import { identityOf, type StoredFile } from './file-identity.ts';

/** A file or block device of the host, open for reading. */
export interface HostFile extends StoredFile, AsyncDisposable {
  /** Bytes, as it was when it was opened. */
  readonly size: number;
  /**
   * Fills `into` from `position`.
   * @throws PackError `disk.read-failed`; FormatError `disk.shrank` when the file ends before `into` is full
   */
  read(position: number, into: Uint8Array): Promise<void>;
}

export type OpenHostFile = (path: string) => Promise<HostFile>;

const SYS_SECTOR = 512;
/** Bytes of a read that may be copied while the event loop waits: metadata. */
const SHORT = 64 * 1024;

/**
 * Opens `path`, a regular file or a block device. Takes no lock: whoever reads a disk makes sure nobody writes it.
 * @throws PackError `disk.not-found`, `disk.not-permitted`, `disk.not-a-disk`, `disk.open-failed`
 */
export const openHostFile: OpenHostFile = async (path) => {
  const absolute = resolve(path);
  const handle = await openHandle(absolute);
  try {
    const [{ size, identity }, fromCache] = await Promise.all([measure(absolute, handle), loadCachedRead()]);
    return {
      path: absolute,
      size,
      identity,
      read: async (position, into) => {
        if (into.length <= SHORT && fromCache?.(handle.fd, position, into) === true) return;
        await readFully(absolute, handle, position, into);
      },
      [Symbol.asyncDispose]: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
};

async function openHandle(path: string): Promise<FileHandle> {
  try {
    // Without O_NONBLOCK opening a FIFO waits until somebody writes to it.
    return await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      throw new PackError('disk.not-found', `Cannot open the disk: there is no such file (${path})`, { cause });
    }
    if (code === 'EACCES' || code === 'EPERM') {
      throw new PackError('disk.not-permitted', `Cannot open the disk: reading it is not permitted (${path})`, {
        hint: `Give yourself the right with \`chmod\` or \`chgrp\`, or run as a user who has it: \`ls -l ${path}\`.`,
        cause,
      });
    }
    throw new PackError('disk.open-failed', `Cannot open the disk: ${(cause as Error).message}`, { cause });
  }
}

async function measure(path: string, handle: FileHandle): Promise<{ size: number; identity: string }> {
  const stat = await handle.stat({ bigint: true });
  const identity = identityOf(stat);
  if (stat.isFile()) return { size: Number(stat.size), identity };
  if (stat.isBlockDevice()) return { size: await blockDeviceSize(path, stat.rdev), identity };
  const kind = stat.isDirectory() ? 'a directory' : 'neither a file nor a block device';
  throw new PackError('disk.not-a-disk', `Cannot open the disk: it is ${kind} (${path})`);
}

/**
 * Bytes of the block device `path`, whose `st_rdev` is `device`. fstat says 0 for one, and Node can neither seek nor ask
 * by ioctl; sysfs knows the size in units of 512 bytes.
 * @throws PackError `disk.size-unknown`
 */
export async function blockDeviceSize(path: string, device: bigint): Promise<number> {
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & ~0xfffn);
  const minor = (device & 0xffn) | ((device >> 12n) & ~0xffn);
  const source = `/sys/dev/block/${major}:${minor}/size`;
  try {
    return Number.parseInt(await readFile(source, 'ascii'), 10) * SYS_SECTOR;
  } catch (cause) {
    throw new PackError('disk.size-unknown', `Cannot open the disk: the size of the device is unknown (${path})`, {
      hint: `Copy it to a file first, for instance with \`qemu-img convert -O qcow2 ${path} disk.qcow2\`.`,
      evidence: { source },
      cause,
    });
  }
}

async function readFully(path: string, handle: FileHandle, position: number, into: Uint8Array): Promise<void> {
  let done = 0;
  while (done < into.length) {
    const { bytesRead } = await readSome(path, handle, position + done, into.subarray(done));
    if (bytesRead === 0) {
      throw new FormatError(
        'disk.shrank',
        `Cannot read the disk: the file became shorter while it was read (${path})`,
        {
          hint: 'Something else writes to it; stop that, then start again.',
          evidence: { file: path, position: position + done },
        },
      );
    }
    done += bytesRead;
  }
}

async function readSome(path: string, handle: FileHandle, position: number, into: Uint8Array) {
  try {
    return await handle.read(into, 0, into.length, position);
  } catch (cause) {
    throw new PackError('disk.read-failed', `Cannot read the disk: ${(cause as Error).message} (${path})`, {
      hint: 'The kernel log (`dmesg`) says more when the medium is failing.',
      evidence: { file: path, position, length: into.length },
      cause,
    });
  }
}
