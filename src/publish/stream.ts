import { open, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { PublishError } from '../errors.ts';
import { type Context, inPhase } from '../events.ts';
import { makeFolder } from '../host/make-folder.ts';
import { reapPath } from '../host/reaper.ts';
import { writeWhole } from '../pack/sink.ts';
import { type Hashed, hashCandidate, type Overrides, readCandidates } from './candidate.ts';
import { systemOf } from './image-rules.ts';
import {
  nextVersion,
  type Product,
  type ProductsFile,
  readDocument,
  STREAMED_SYSTEMS,
  type StreamIndex,
  streamDate,
} from './stream-documents.ts';
import { holds, placeItems } from './stream-items.ts';
import { openSigner, type Signer } from './stream-sign.ts';

export interface StreamOptions {
  /** Artifacts, or folders with artifacts and their records. */
  readonly artifacts: readonly string[];
  /** Root of the tree; what is there is added to. */
  readonly out: string;
  /** File with the secret key to sign with, without a passphrase. */
  readonly key?: string | undefined;
  readonly overrides?: Overrides;
  /** @default now */
  readonly date?: Date;
}

export interface StreamedProduct {
  readonly product: string;
  readonly os: string;
  readonly release: string;
  readonly arch: string;
  readonly version: string;
  /** `same`: its newest version has these bytes already. */
  readonly state: 'added' | 'same';
  readonly sha256: string;
}

export interface StreamReport {
  readonly root: string;
  /** Path of the index MAAS is pointed at, from the root. */
  readonly index: string;
  readonly signed: boolean;
  readonly products: readonly StreamedProduct[];
}

const DOCUMENTS = 'streams/v1';
const PREFIX = 'image-compose:stable';
const LABEL = 'stable';

/**
 * Writes a simplestreams tree that a MAAS imports from, or adds versions to one: first the data, then the products, then the
 * index, each whole when it gets its name, so that a MAAS that reads meanwhile sees the tree before or after. Older versions stay.
 * @throws PublishError `stream.…`, and those of artifacts and their rules
 */
export async function stream(options: StreamOptions, context: Context): Promise<StreamReport> {
  const candidates = await readCandidates(options.artifacts, options.overrides ?? {});
  for (const { name, file, filetype } of candidates) checkStreamed(name, file, filetype, context);
  const root = resolve(options.out);
  await using _lock = await lockTree(root);
  const signed = options.key !== undefined;
  const index = await readDocument<StreamIndex>(join(root, DOCUMENTS, 'index.json'), 'index:1.0');
  if (index !== undefined && !signed && (await isThere(join(root, DOCUMENTS, 'index.sjson')))) {
    throw new PublishError('stream.unsigned', `Cannot add to ${options.out}: it is signed, and there is no key`, {
      hint: 'Name the key with --key, or start another tree with --out.',
    });
  }
  await using signer = options.key === undefined ? undefined : await openSigner(options.key, context);
  const date = options.date ?? new Date();
  const files = new Map<string, ProductsFile>();
  const products: StreamedProduct[] = [];
  for (const candidate of candidates) {
    const image = await inPhase(context, 'digest', () => hashCandidate(candidate, context));
    const id = contentId(image);
    const path = join(root, DOCUMENTS, `${id}.json`);
    const file = files.get(id) ?? (await readDocument<ProductsFile>(path, 'products:1.0'));
    const added = await inPhase(context, 'stream', () => addImage(image, file, root, date, context));
    files.set(id, {
      content_id: id,
      datatype: 'image-downloads',
      format: 'products:1.0',
      updated: streamDate(date),
      products: added.products,
    });
    products.push(added.streamed);
  }
  await writeDocuments(root, files, index, date, signer);
  return { root, index: `${DOCUMENTS}/index.${signed ? 'sjson' : 'json'}`, signed, products };
}

/** MAAS deploys from a stream only what it has a driver for. */
function checkStreamed(name: string, file: string, filetype: string, context: Context): void {
  if (!Object.hasOwn(STREAMED_SYSTEMS, systemOf(name))) {
    throw new PublishError('stream.system', `Cannot put ${file} into a stream: MAAS deploys no "${name}" from one`, {
      hint: `A custom image is uploaded: compose upload. A stream is for ${Object.keys(STREAMED_SYSTEMS).join(', ')}: --name rhel/rocky9`,
    });
  }
  if (filetype !== 'tgz') {
    const message = `${file}: MAAS 3.8 imports only tgz from a stream; 3.7 and earlier take ${filetype} too`;
    context.emit({ type: 'log', level: 'warn', message });
  }
}

/** MAAS 3.8 refuses a file of products with one it does not import, so what is not a tgz has a file of its own. */
function contentId({ name, filetype }: Hashed): string {
  return `${PREFIX}:${systemOf(name)}${filetype === 'tgz' ? '' : `:${filetype}`}`;
}

async function addImage(
  image: Hashed,
  file: ProductsFile | undefined,
  root: string,
  date: Date,
  context: Context,
): Promise<{ products: Record<string, Product>; streamed: StreamedProduct }> {
  const [os = '', release = ''] = image.name.split('/');
  const [arch = '', subarch = ''] = image.architecture.split('/');
  const id = `${contentId(image)}:${release}:${arch}`;
  const before = file?.products[id];
  const keys = Object.keys(before?.versions ?? {}).sort();
  const newest = keys.at(-1) ?? '';
  const same = holds(before?.versions[newest]?.items ?? {}, image);
  const version = same ? newest : nextVersion(date, keys);
  const items = same
    ? (before?.versions[newest]?.items ?? {})
    : await placeItems(image, root, `${os}/${arch}/${subarch}/${release}/${version}`, context);
  const product: Product = {
    arch,
    os,
    os_title: STREAMED_SYSTEMS[os] ?? os,
    release,
    release_title: image.title,
    version: /\d[\w.]*/.exec(release)?.[0] ?? release,
    label: LABEL,
    subarch,
    subarches: subarch,
    versions: { ...before?.versions, [version]: { items } },
  };
  const streamed = {
    product: id,
    os,
    release,
    arch,
    version,
    state: same ? 'same' : 'added',
    sha256: image.sha256,
  } as const;
  return { products: { ...file?.products, [id]: product }, streamed };
}

/** A signed index names signed files of products: MAAS checks each document by itself. */
async function writeDocuments(
  root: string,
  files: ReadonlyMap<string, ProductsFile>,
  before: StreamIndex | undefined,
  date: Date,
  signer: Signer | undefined,
): Promise<void> {
  const write = (name: string, text: string): Promise<unknown> => writeWhole(join(root, DOCUMENTS, name), text, 0o644);
  const print = (document: unknown): string => `${JSON.stringify(document, null, 1)}\n`;
  const updated = streamDate(date);
  for (const [id, file] of files) {
    await write(`${id}.json`, print(file));
    if (signer !== undefined) await write(`${id}.sjson`, await signer.sign(print(file)));
  }
  if (signer !== undefined) await writeWhole(join(root, 'keyring.gpg'), signer.keyring, 0o644);
  const indexOf = (suffix: string): StreamIndex => ({
    format: 'index:1.0',
    updated,
    index: Object.fromEntries([
      ...Object.entries(before?.index ?? {}).map(([id, entry]) => [
        id,
        { ...entry, path: `${DOCUMENTS}/${id}.${suffix}` },
      ]),
      ...[...files].map(([id, { products, datatype, format }]) => [
        id,
        { datatype, format, path: `${DOCUMENTS}/${id}.${suffix}`, products: Object.keys(products), updated },
      ]),
    ]),
  });
  if (signer !== undefined) await write('index.sjson', await signer.sign(print(indexOf('sjson'))));
  await write('index.json', print(indexOf('json')));
}

/** One run at a time adds to a tree; another would lose what this one adds. */
async function lockTree(root: string): Promise<AsyncDisposable> {
  const path = join(root, DOCUMENTS, '.lock');
  try {
    await makeFolder(join(root, DOCUMENTS));
    await (await open(path, 'wx')).close();
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') {
      throw new PublishError('stream.locked', `Cannot add to ${root}: another compose is at it`, {
        hint: `If none is, remove ${path}.`,
      });
    }
    throw new PublishError('stream.write', `Cannot write into the stream: ${(cause as Error).message}`, {
      hint: 'Name a folder you may write to with --out.',
      cause,
    });
  }
  const held = reapPath(path);
  return {
    [Symbol.asyncDispose]: async () => {
      await rm(path, { force: true });
      held[Symbol.dispose]();
    },
  };
}

async function isThere(path: string): Promise<boolean> {
  return open(path).then(
    (file) => file.close().then(() => true),
    () => false,
  );
}
