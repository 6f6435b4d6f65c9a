import { createHash, type Hash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { SourceError } from '../errors.ts';
import type { Context } from '../events.ts';
import { cacheFolder } from './folders.ts';
import { makeFolder } from './make-folder.ts';
import { SingleFlight } from './single-flight.ts';

export type Algorithm = 'sha256' | 'sha512';

export interface MediaRequest {
  readonly url: string;
  /** The file's digest, or where a list of digests is (`SHA512SUMS`). */
  readonly digest: { readonly algorithm: Algorithm } & ({ readonly value: string } | { readonly sums: string });
}

export interface Media {
  readonly path: string;
  readonly url: string;
  readonly algorithm: Algorithm;
  readonly digest: string;
  readonly size: number;
  readonly fromCache: boolean;
}

/** Transport errors in a row, without a byte in between, after which a download is given up. */
const MOST_FAILURES = 4;
const HEADERS_MS = 30_000;
const BODY_MS = 60_000;

/** By the file that is downloaded into. */
const downloads = new SingleFlight<Media>();

/**
 * A file of the store, downloaded when it is not there yet. Files are kept by their digest; what was interrupted goes on
 * where it stopped. A file with another digest than expected is kept under its own, so that mending the expectation needs
 * no second download. Several that want the same file at once share one download.
 * @throws SourceError `download.http`, `download.transport`, `download.truncated`, `download.checksum`, `sums.missing`
 */
export async function fetchMedia(
  request: MediaRequest,
  context: Context,
  store = join(cacheFolder(), 'media'),
): Promise<Media> {
  const { algorithm } = request.digest;
  const expected =
    'value' in request.digest ? request.digest.value.toLowerCase() : await listedDigest(request, context);
  await makeFolder(store);
  const final = join(store, `${algorithm}-${expected}`);
  const part = join(store, `${createHash('sha256').update(request.url).digest('hex').slice(0, 32)}.part`);
  const media = { path: final, url: request.url, algorithm, digest: expected };
  return downloads.run(part, final, (shared) => storedMedia(media, part, shared), context);
}

/** The file at its place in the store, by way of `part` when it is not there yet. */
async function storedMedia(media: Omit<Media, 'size' | 'fromCache'>, part: string, context: Context): Promise<Media> {
  const { path, url, algorithm, digest: expected } = media;
  const known = await stat(path).catch(() => undefined);
  if (known !== undefined) return { ...media, size: known.size, fromCache: true };
  const size = await download(url, part, context);
  const actual = await fileDigest(part, algorithm, context);
  await rename(part, join(dirname(part), `${algorithm}-${actual}`));
  await rm(`${part}.etag`, { force: true });
  if (actual === expected) return { ...media, size, fromCache: false };
  throw new SourceError('download.checksum', `Cannot use ${basename(url)}: its ${algorithm} is not the expected one`, {
    hint: 'Either the file changed at its source (try again), or something on the way altered it. It is kept under its own digest.',
    evidence: { url, expected, actual },
  });
}

/** The digest a list in `sha512sum` or BSD form gives for the file `url` names. */
export function findDigest(sums: string, fileName: string): string | undefined {
  for (const line of sums.split('\n')) {
    const gnu = /^([0-9a-fA-F]{64,128}) [ *](.+)$/.exec(line.trim());
    const bsd = /^SHA\d+ \((.+)\) = ([0-9a-fA-F]{64,128})$/.exec(line.trim());
    if (gnu?.[2]?.replace(/^\.\//, '') === fileName) return gnu[1]?.toLowerCase();
    if (bsd?.[1] === fileName) return bsd[2]?.toLowerCase();
  }
  return undefined;
}

/** The only digest of a list. It may call its file otherwise: what an address leads to has the name of its build there. */
function onlyDigest(sums: string): string | undefined {
  const digests = [...sums.matchAll(/\b[0-9a-fA-F]{128}\b|\b[0-9a-fA-F]{64}\b/g)].map(([digest]) =>
    digest.toLowerCase(),
  );
  return digests.length === 1 ? digests[0] : undefined;
}

/** Whether a list is beside the one file that it is about, under its name: `x.iso.sha256`, `x.iso.SHA256SUM`, `x-iso-checksum`. */
function isOfOneFile(sums: string, fileName: string): boolean {
  return basename(new URL(sums).pathname).startsWith(fileName.replace(/[.-]iso$/, ''));
}

async function listedDigest(request: MediaRequest, context: Context): Promise<string> {
  const { sums } = request.digest as { sums: string };
  const text = await readList(sums, context);
  const fileName = basename(new URL(request.url).pathname);
  const digest = findDigest(text, fileName) ?? (isOfOneFile(sums, fileName) ? onlyDigest(text) : undefined);
  const length = request.digest.algorithm === 'sha512' ? 128 : 64;
  if (digest?.length === length) return digest;
  throw new SourceError(
    'sums.missing',
    `Cannot check ${fileName}: ${basename(sums)} has no ${request.digest.algorithm} for it`,
    {
      hint: 'The address of the image and that of its checksums must belong together.',
      evidence: { sums },
    },
  );
}

/** A list of digests, as text. @throws SourceError `download.http`, `download.transport` */
export async function readList(sums: string, context: Context): Promise<string> {
  if (sums.startsWith('file:')) return readFile(fileURLToPath(sums), 'utf8');
  return (await respond(sums, {}, context)).text();
}

type Response = Awaited<ReturnType<typeof import('undici').fetch>>;

async function respond(url: string, headers: Record<string, string>, context: Context): Promise<Response> {
  const { EnvHttpProxyAgent, fetch } = await import('undici');
  const dispatcher = new EnvHttpProxyAgent({ headersTimeout: HEADERS_MS, bodyTimeout: BODY_MS });
  let response: Response;
  try {
    response = await fetch(url, { headers, dispatcher, signal: context.signal });
  } catch (cause) {
    context.signal.throwIfAborted();
    throw new SourceError('download.transport', `Cannot download ${url}: the server cannot be reached`, {
      hint: 'Check the network and the proxy settings (http_proxy, https_proxy, no_proxy).',
      cause,
    });
  }
  if (response.ok) return response;
  throw new SourceError(
    'download.http',
    `Cannot download ${url}: the server answered ${response.status} ${response.statusText}`,
    {
      hint:
        response.status === 404
          ? 'The address is wrong, or the file has moved.'
          : 'Try again later, or name another mirror.',
    },
  );
}

/** Downloads to `part`, going on from what is there. Answers the length of the whole. */
async function download(url: string, part: string, context: Context): Promise<number> {
  if (url.startsWith('file:')) {
    await pipeline(createReadStream(fileURLToPath(url)), createWriteStream(part), { signal: context.signal });
    return (await stat(part)).size;
  }
  for (let failures = 0; ; ) {
    const have = await stat(part).then(
      (info) => info.size,
      () => 0,
    );
    const etag = await readFile(`${part}.etag`, 'utf8').catch(() => undefined);
    const resume = have > 0 && etag !== undefined;
    const headers: Record<string, string> = resume ? { range: `bytes=${have}-`, 'if-range': etag } : {};
    try {
      const response = await respond(url, headers, context);
      const start = response.status === 206 ? have : 0;
      const length = response.headers.get('content-length');
      const total = length === null ? undefined : start + Number(length);
      await writeFile(`${part}.etag`, response.headers.get('etag') ?? response.headers.get('last-modified') ?? '');
      const size = await save(response, part, start, total, context);
      if (total === undefined || size === total) return size;
      throw new SourceError('download.truncated', `Cannot download ${url}: it ended after ${size} of ${total} bytes`, {
        hint: 'Run the command again: the download goes on where it stopped.',
      });
    } catch (error) {
      context.signal.throwIfAborted();
      const now = await stat(part).then(
        (info) => info.size,
        () => 0,
      );
      failures = now > have ? 1 : failures + 1;
      const final = error instanceof SourceError && error.code === 'download.http';
      if (final || failures >= MOST_FAILURES) throw transportError(url, error);
      context.emit({
        type: 'log',
        level: 'warn',
        message: `download of ${basename(url)} was interrupted at ${now} bytes; going on`,
      });
    }
  }
}

function transportError(url: string, error: unknown): unknown {
  if (error instanceof SourceError) return error;
  return new SourceError('download.truncated', `Cannot download ${url}: the connection keeps breaking`, {
    hint: 'Run the command again: the download goes on where it stopped.',
    cause: error,
  });
}

/** Appends the body at `start`. What has arrived is on disk before more is taken, so that a break loses nothing. */
async function save(
  response: Response,
  part: string,
  start: number,
  total: number | undefined,
  context: Context,
): Promise<number> {
  let done = start;
  let told = 0;
  const file = await open(part, start > 0 ? 'r+' : 'w');
  try {
    for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
      await file.write(chunk, 0, chunk.length, done);
      done += chunk.length;
      if (performance.now() - told < 200) continue;
      told = performance.now();
      const of = total === undefined ? {} : { total };
      context.emit({ type: 'progress', phase: 'acquire', done, unit: 'bytes', ...of });
    }
  } finally {
    await file.close();
  }
  return done;
}

/** Hex digest of a file, read in pieces. */
export async function fileDigest(
  path: string,
  algorithm: Algorithm,
  context: Pick<Context, 'signal'>,
): Promise<string> {
  const hash: Hash = createHash(algorithm);
  await pipeline(createReadStream(path, { highWaterMark: 1024 * 1024 }), hash, { signal: context.signal });
  return hash.digest('hex');
}
