import { readFile } from 'node:fs/promises';
import { PublishError } from '../errors.ts';
import type { FileType } from '../pack/filetypes.ts';

/** Documents of a simplestreams tree; paths are relative to its root. Fields MAAS 3.8 wants are not optional. */
export interface StreamIndex {
  readonly format: 'index:1.0';
  readonly updated: string;
  readonly index: Readonly<Record<string, IndexEntry>>;
}

export interface IndexEntry {
  readonly datatype: 'image-downloads';
  readonly format: 'products:1.0';
  readonly path: string;
  readonly products: readonly string[];
  readonly updated: string;
}

export interface ProductsFile {
  readonly content_id: string;
  readonly datatype: 'image-downloads';
  readonly format: 'products:1.0';
  readonly updated: string;
  readonly products: Readonly<Record<string, Product>>;
}

export interface Product {
  readonly arch: string;
  readonly os: string;
  readonly os_title: string;
  readonly release: string;
  readonly release_title: string;
  readonly version: string;
  readonly label: string;
  readonly subarch: string;
  readonly subarches: string;
  readonly versions: Readonly<Record<string, { readonly items: Readonly<Record<string, Item>> }>>;
}

export interface Item {
  readonly ftype: string;
  readonly path: string;
  readonly sha256: string;
  readonly size: number;
}

/** The item kind of each filetype (maas, maascommon/enums/boot_resources.py). */
export const ITEM_KINDS: Readonly<Record<FileType, string>> = {
  tgz: 'root-tgz',
  tbz: 'root-tbz',
  txz: 'root-txz',
  ddtgz: 'root-dd',
  ddtbz: 'root-dd.tar.bz2',
  ddtxz: 'root-dd.tar.xz',
  ddtar: 'root-dd.tar',
  ddbz2: 'root-dd.bz2',
  ddgz: 'root-dd.gz',
  ddxz: 'root-dd.xz',
  ddraw: 'root-dd.raw',
};

/** How MAAS shows the systems it deploys from a stream. Others have no driver there, and `custom` ones are looked for among uploads only. */
export const STREAMED_SYSTEMS: Readonly<Record<string, string>> = {
  centos: 'CentOS',
  rhel: 'Red Hat Enterprise Linux',
  ol: 'Oracle Linux',
  suse: 'SUSE',
  windows: 'Windows',
  esxi: 'VMware ESXi',
};

/** RFC 2822 with a numeric zone. */
export function streamDate(date: Date): string {
  return date.toUTCString().replace('GMT', '+0000');
}

/**
 * Key of a new version, after `known`: the day, then `.01` and on. MAAS takes the last one as text, which is why the number
 * has two digits, and why a clock that was set back does not make an older one.
 */
export function nextVersion(date: Date, known: readonly string[]): string {
  const today = date.toISOString().slice(0, 10).replaceAll('-', '');
  const last = [...known].sort().at(-1);
  if (last === undefined || today > last) return today;
  const [day = '', count = '0'] = last.split('.');
  const next = Number(count) + 1;
  if (next > 99) {
    throw new PublishError('stream.versions', `Cannot add a version: ${day} has 99 of them`, {
      hint: 'Wait for the next day, or start another tree with --out.',
    });
  }
  return `${day}.${String(next).padStart(2, '0')}`;
}

/**
 * A document of a tree that is there; undefined where there is none.
 * @throws PublishError `stream.damaged`
 */
export async function readDocument<T extends { readonly format: string }>(
  path: string,
  format: T['format'],
): Promise<T | undefined> {
  const damaged = (why: string, cause?: unknown): PublishError =>
    new PublishError('stream.damaged', `Cannot add to the stream: ${path} ${why}`, {
      hint: 'Mend or remove it, or start another tree with --out.',
      cause,
    });
  const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return undefined;
    throw damaged(`cannot be read (${cause.message})`, cause);
  });
  if (text === undefined) return undefined;
  let document: Partial<T> | null;
  try {
    document = JSON.parse(text) as Partial<T> | null;
  } catch (cause) {
    throw damaged('is not JSON', cause);
  }
  const content = document as { index?: unknown; products?: unknown; format?: unknown } | null;
  const body = format === 'index:1.0' ? content?.index : content?.products;
  if (content?.format !== format || typeof body !== 'object' || body === null) throw damaged(`is no ${format}`);
  return document as T;
}
