import { FormatError } from '../errors.ts';
import { type BlockSource, checkRange, type StoredExtent } from './block-source.ts';
import { type Chain, type Openers, openChain } from './chain.ts';
import { ExtentList } from './extent-list.ts';
import { ExtentReader } from './extent-reader.ts';
import { type OpenHostFile, openHostFile } from './host-file.ts';
import type { DiskFormat } from './image-format.ts';
import type { ServeDisk } from './served-disk.ts';

/** A disk image, with the backing files it needs, open for reading. Disposing it closes the files. */
export interface Disk extends BlockSource {
  /** Of the topmost image. */
  readonly format: DiskFormat;
  /** The images the disk is made of, topmost first; absolute paths. */
  readonly chain: readonly { readonly path: string; readonly format: DiskFormat }[];
}

export interface OpenDiskOptions {
  /**
   * @default told by the file's magic number. Say `raw` for a disk a stranger wrote: a guest can put the header
   * of another format, which names any file of the host, on its raw disk
   */
  readonly format?: DiskFormat;
  /** Ends the reading of formats that QEMU serves. */
  readonly signal?: AbortSignal;
}

/**
 * Opens a raw disk (a file or a block device) or a qcow2 image, or has QEMU serve one of the formats it reads. Nothing is
 * ever written; compose locks nothing, QEMU locks what it serves against writers.
 * @throws PackError `disk.not-found`, `disk.not-permitted`, `disk.backing-missing` …; FormatError `disk.empty`,
 *   `disk.unsupported-format`, `qcow2.truncated`, `qcow2.dirty`, `disk.not-served` …;
 *   HostError `tool.missing`, `zstd.missing`
 */
export function openDisk(path: string, options: OpenDiskOptions = {}): Promise<Disk> {
  return openDiskWith(openHostFile, path, options);
}

/** Most disks have no use for its modules. */
const serveDisk: ServeDisk = async (...how) => (await import('./served-disk.ts')).serveDisk(...how);

/** `openDisk` over another way to open files, for tests that keep them in memory. */
export async function openDiskWith(
  open: OpenHostFile,
  path: string,
  options: OpenDiskOptions,
  serve: ServeDisk = serveDisk,
): Promise<Disk> {
  const { signal } = options;
  const openers: Openers = { file: open, serve: (name, kind) => serve(name, kind, { signal }) };
  const chain = await openChain(path, options.format, openers);
  if (chain.layer.size === 0) {
    await chain[Symbol.asyncDispose]();
    throw new FormatError('disk.empty', `Cannot read the disk: it has 0 bytes (${path})`, {
      hint: 'Whatever should have written it failed, or the download did.',
    });
  }
  return diskOf(chain);
}

function diskOf(chain: Chain): Disk {
  const { layer, images, files } = chain;
  const reader = new ExtentReader(files);
  const locate = (position: number, length: number): StoredExtent[] | Promise<StoredExtent[]> => {
    checkRange(layer.size, position, length);
    const out = new ExtentList();
    const walk = layer.locate(out, position, position + length);
    return walk instanceof Promise ? walk.then(() => out.extents) : out.extents;
  };
  return {
    size: layer.size,
    format: images[0]!.format,
    chain: images,
    files: files.map(({ path, identity }) => ({ path, identity })),
    locate,
    read: async (position, into) => reader.read(await locate(position, into.length), into),
    [Symbol.asyncDispose]: () => chain[Symbol.asyncDispose](),
  };
}
