import { resolve } from 'node:path';
import { ComposeError, FormatError, PackError } from '../errors.ts';
import { parseQcow2Header, QCOW2_HEADER_PREFIX, type Qcow2Header, qcow2HeaderArea } from '../formats/qcow2-header.ts';
import { type FileReference, resolveReference } from './backing-name.ts';
import { blockMapLayer, readBlockMap } from './block-map-layer.ts';
import type { HostFile, OpenHostFile } from './host-file.ts';
import { type DiskFormat, detectFormat, type ServedFormat } from './image-format.ts';
import { type Layer, rawLayer } from './layer.ts';
import { naming } from './naming.ts';
import { openQcow2Layer, type TableCache, tableCache } from './qcow2-layer.ts';
import type { ServedDisk } from './served-disk.ts';
import { openUnpacker, zstdMissing } from './unpacker.ts';

/** An image and all that lies under it. */
export interface Chain extends AsyncDisposable {
  readonly layer: Layer;
  /** The images, topmost first. */
  readonly images: readonly { readonly path: string; readonly format: DiskFormat }[];
  /** Every open file: the images, and the data files of images that keep their data outside. */
  readonly files: readonly HostFile[];
}

/** Each image costs a file handle; no chain made by hand or by snapshots comes near. */
const DEPTH_LIMIT = 128;

/** An image that is open, with its place in the list of files. */
interface OpenImage {
  readonly file: HostFile;
  readonly index: number;
  readonly format: DiskFormat;
  readonly header: Qcow2Header | undefined;
  /** Set when nothing lies under the image that compose itself would read. */
  readonly leaf?: Layer;
  /** Set when the data of a qcow2 image lies in another file. */
  readonly data: { readonly file: HostFile; readonly index: number } | undefined;
}

/**
 * Opens `path` and every backing file under it. What lies under an image that QEMU reads is QEMU's affair.
 * @throws PackError where a file cannot be opened; HostError `zstd.missing`; FormatError where an image is damaged, not supported, or its
 *   backing files go round in a loop (`disk.backing-loop`)
 */
export async function openChain(path: string, format: DiskFormat | undefined, openers: Openers): Promise<Chain> {
  const files: HostFile[] = [];
  const served: ServedDisk[] = [];
  const close = async (): Promise<void> => {
    await Promise.all([...served.splice(0), ...files.splice(0)].map((each) => each[Symbol.asyncDispose]()));
  };
  try {
    const images = await openImages(
      { path, format },
      {
        file: async (name) => {
          const file = await openers.file(name);
          return { file, index: files.push(file) - 1 };
        },
        serve: async (name, kind) => {
          const disk = await openers.serve(name, kind);
          served.push(disk);
          return disk;
        },
      },
    );
    if (images.some(({ header }) => header?.compression === 'zstd')) await requireZstd();
    const layer = await stack(images);
    return {
      layer,
      images: images.map(({ file, format }) => ({ path: file.path, format })),
      files: [...files],
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Said now and not from a worker in the middle of packing. */
async function requireZstd(): Promise<void> {
  if ((await openUnpacker()).engines.zstd === undefined) throw zstdMissing();
}

/** How a chain opens what it is made of. */
export interface Openers {
  readonly file: OpenHostFile;
  readonly serve: (path: string, format: ServedFormat) => Promise<ServedDisk>;
}

interface IndexedOpeners {
  readonly file: (path: string) => Promise<{ readonly file: HostFile; readonly index: number }>;
  readonly serve: Openers['serve'];
}

async function openImages(top: FileReference, open: IndexedOpeners): Promise<OpenImage[]> {
  const images: OpenImage[] = [];
  const seen = new Set<string>();
  for (let next: FileReference | undefined = top; next !== undefined; ) {
    const above: OpenImage | undefined = images.at(-1);
    const image: OpenImage = await openImage(next, above?.file.path, open);
    const { path, identity } = image.file;
    if (seen.has(identity)) {
      throw new FormatError('disk.backing-loop', `Cannot read the disk: its backing files lead back to ${path}`, {
        hint: `Look at the names with \`qemu-img info ${above?.file.path ?? path}\` and mend them with \`qemu-img rebase -u\`.`,
        evidence: { chain: images.map((each) => each.file.path) },
      });
    }
    seen.add(identity);
    images.push(image);
    if (images.length > DEPTH_LIMIT) {
      throw new FormatError('disk.chain-too-long', `Cannot read the disk: it has over ${DEPTH_LIMIT} backing files`, {
        hint: `Make one image of them with \`qemu-img convert -O qcow2 ${top.path} flat.qcow2\`.`,
      });
    }
    const backing: Qcow2Header['backing'] = image.header?.backing;
    next = backing === undefined ? undefined : resolveReference(path, backing.name, backing.format);
  }
  return images;
}

async function openImage(
  reference: FileReference,
  overlay: string | undefined,
  open: IndexedOpeners,
): Promise<OpenImage> {
  const { file, index } = await openReferenced(reference.path, overlay, 'backing', open);
  const format = reference.format ?? (await detectFormat(file));
  const image = { file, index, format, header: undefined, data: undefined };
  if (format === 'raw') return { ...image, leaf: rawLayer(file, index) };
  if (format !== 'qcow2') {
    const map = await readBlockMap(file, format);
    if (map !== undefined) return { ...image, leaf: blockMapLayer(file, index, format, map) };
    const { servedLayer } = await import('./served-layer.ts');
    return { ...image, leaf: servedLayer(await open.serve(file.path, format)) };
  }
  const header = await readHeader(file);
  if (header.dataFile === undefined) return { ...image, header };
  return { ...image, header, data: await openDataFile(header.dataFile, file.path, open) };
}

/**
 * Opens the file `image` keeps its data in. QEMU takes a relative name from the working folder, unlike that of a backing file;
 * beside the image it is where the two were made there and are used from another folder.
 */
async function openDataFile(name: string, image: string, open: IndexedOpeners) {
  const beside = resolveReference(image, name, 'raw').path;
  const asQemu = resolveReference(resolve('image'), name, 'raw').path;
  if (asQemu !== beside) {
    try {
      return await open.file(asQemu);
    } catch (error) {
      if (!(error instanceof PackError) || error.code !== 'disk.not-found') throw error;
    }
  }
  return await openReferenced(beside, image, 'data', open);
}

async function openReferenced(
  path: string,
  referrer: string | undefined,
  what: 'backing' | 'data',
  open: IndexedOpeners,
) {
  try {
    return await open.file(path);
  } catch (cause) {
    if (referrer === undefined || !(cause instanceof ComposeError)) throw cause;
    const hint =
      what === 'backing'
        ? `Put the file there, or tell the overlay where it is: \`qemu-img rebase -u -b PATH -F FORMAT ${referrer}\`.`
        : 'Put the file there; the image is nothing without it.';
    throw new PackError(
      `disk.${what}-missing`,
      `Cannot read the disk: the ${what} file of ${referrer} cannot be opened (${path})`,
      {
        hint,
        evidence: { file: referrer, [what]: path },
        cause,
      },
    );
  }
}

async function readHeader(file: HostFile): Promise<Qcow2Header> {
  const read = async (length: number): Promise<Uint8Array> => {
    const bytes = new Uint8Array(Math.min(length, file.size));
    await file.read(0, bytes);
    return bytes;
  };
  const prefix = await read(QCOW2_HEADER_PREFIX);
  const area = await read(naming(file.path, () => qcow2HeaderArea(prefix)));
  return naming(file.path, () => parseQcow2Header(area));
}

/** Lays the images over one another, from the lowest up. */
async function stack(images: readonly OpenImage[]): Promise<Layer> {
  const cache: TableCache = tableCache();
  let layer: Layer | undefined;
  for (let depth = images.length - 1; depth >= 0; depth--) {
    const { file, index, header, leaf, data } = images[depth]!;
    if (header === undefined) layer = leaf;
    else {
      const place = { data: data?.file ?? file, dataIndex: data?.index ?? index };
      layer = await openQcow2Layer({ header, tables: file, ...place, cache, depth, backing: layer });
    }
  }
  return layer!;
}
