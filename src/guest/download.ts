/** Files and folders taken out of a guest. What a guest sends is not trusted: it can write nowhere but at its target. */
import { createHash, randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, realpath, rename, rm } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { PassThrough, Transform } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import { ProvisionError } from '../errors.ts';
import { makeFolder } from '../host/make-folder.ts';
import type { GuestSession } from './session.ts';
import { quote } from './shell.ts';
import { digestOf, requireAbsolute, STATUS, type TransferOptions, transferFailed } from './transfer.ts';
import { type UntarResult, untar } from './untar.ts';

export interface DownloadOptions extends TransferOptions {
  /** Folder of this host that nothing may be written outside of. */
  readonly root: string;
}

export interface Downloaded {
  /** Where it lies on this host. */
  readonly path: string;
  readonly files: number;
  readonly bytes: number;
  /** Devices, sockets and pipes, which are left in the guest. */
  readonly skipped: readonly string[];
}

/**
 * Copies a file or a folder of the guest to `to`, a path under `root`; into the folder `to` when that ends with a slash.
 * It gets its name once it is whole and its SHA-256 is the guest's.
 * @throws ProvisionError `download.escapes`, `download.missing`, `download.failed`, `download.damaged`, `download.no-tar`
 */
export async function download(
  session: GuestSession,
  from: string,
  to: string,
  options: DownloadOptions,
): Promise<Downloaded> {
  requireAbsolute(from);
  const target = await targetOf(from, to, options.root);
  const { signal, timeoutMs, onOutput } = options;
  const run = { signal, timeoutMs, onOutput };
  const probe = `if [ -d ${quote(from)} ]; then echo folder; elif [ -f ${quote(from)} ]; then wc -c <${quote(from)}; fi`;
  const said = (await session.run(probe, run)).stdout.trim();
  if (said === '') {
    throw new ProvisionError('download.missing', `Cannot download ${from}: the guest has no such file or folder`, {
      hint: 'A step before this one has to make it.',
    });
  }
  await makeFolder(dirname(target));
  const partial = join(dirname(target), `.${basename(target)}.partial-${randomBytes(4).toString('hex')}`);
  try {
    const result =
      said === 'folder'
        ? await takeFolder(session, from, partial, options)
        : await takeFile(session, from, partial, options, Number(said));
    if (said === 'folder') await rm(target, { recursive: true, force: true });
    await rename(partial, target);
    return { path: target, ...result };
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
}

/** Where a download goes. @throws ProvisionError `download.escapes` */
async function targetOf(from: string, to: string, root: string): Promise<string> {
  const wanted = to === '' || to.endsWith('/') ? join(to, basename(from)) : to;
  const target = resolve(root, wanted);
  const escapes = (why: string): ProvisionError =>
    new ProvisionError('download.escapes', `Cannot download to ${to}: ${why}`, {
      hint: 'Name a path relative to the output folder, without "..".',
      evidence: { folder: root },
    });
  const inside = (path: string, folder: string): boolean => {
    const way = relative(folder, path);
    return way !== '' && way !== '..' && !way.startsWith('../') && !isAbsolute(way);
  };
  if (isAbsolute(to) || !inside(target, resolve(root))) throw escapes('it lies outside the output folder');
  await makeFolder(root);
  const real = await realpath(root);
  // The nearest folder that is there says whether a symbolic link leads outside.
  for (let at = dirname(target); ; at = dirname(at)) {
    const found = await realpath(at).catch(() => undefined);
    if (found === undefined) continue;
    if (found !== real && !inside(found, real)) throw escapes('a symbolic link on its way leads outside');
    break;
  }
  return target;
}

async function takeFile(
  session: GuestSession,
  from: string,
  partial: string,
  options: DownloadOptions,
  total: number,
): Promise<Omit<Downloaded, 'path'>> {
  const hash = createHash('sha256');
  let bytes = 0;
  const meter = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      bytes += chunk.length;
      options.onProgress?.(bytes, total);
      done(null, chunk);
    },
  });
  // An error of the file is one of what feeds it: the command then ends with it.
  const written = pipeline(meter, createWriteStream(partial, { highWaterMark: 1024 * 1024 }));
  written.catch(() => {});
  const { signal, timeoutMs, onOutput } = options;
  try {
    const result = await session.exec(`cat ${quote(from)}`, { signal, timeoutMs, onOutput, stdout: meter });
    if (result.exitCode !== 0) throw transferFailed('download.failed', `download ${from}`, result);
    meter.end();
    await written;
  } finally {
    meter.destroy();
  }
  const word = quote(from);
  const check = await session.run(`${digestOf(word)}; echo "$(wc -c <${word}) $h"`, { signal, timeoutMs });
  const [size, sha256 = ''] = check.stdout.trim().split(/\s+/);
  const own = hash.digest('hex');
  if (Number(size) !== bytes || (sha256 !== '' && sha256 !== own)) {
    throw damaged(from, { bytes, sha256: own, inGuest: `${size} ${sha256}` });
  }
  return { files: 1, bytes, skipped: [] };
}

async function takeFolder(
  session: GuestSession,
  from: string,
  partial: string,
  options: DownloadOptions,
): Promise<Omit<Downloaded, 'path'>> {
  const { signal, timeoutMs, onOutput } = options;
  const stream = new PassThrough({ highWaterMark: 256 * 1024 });
  const failed = new AbortController();
  await mkdir(partial);
  const unpacking = untar(stream, partial, options.onProgress).catch((error: unknown) => {
    failed.abort(error);
    throw error;
  });
  unpacking.catch(() => {});
  const command = [
    `command -v tar >/dev/null 2>&1 || exit ${STATUS.noTool}`,
    `cd ${quote(from)} || exit`,
    'exec tar -cf - .',
  ].join('\n');
  const ended = AbortSignal.any([failed.signal, ...(signal === undefined ? [] : [signal])]);
  const result = await session.exec(command, { signal: ended, timeoutMs, onOutput, stdout: stream });
  stream.end();
  if (result.exitCode === STATUS.noTool) {
    unpacking.catch(() => {});
    throw new ProvisionError('download.no-tar', `Cannot download the folder ${from}: the guest has no tar`, {
      hint: 'Install tar in a step before this one, or download its files one by one.',
    });
  }
  const unpacked: UntarResult = await unpacking;
  // GNU tar ends with 1 when a file changed while it was read; the digests below tell what matters of that.
  if (result.exitCode !== 0) throw transferFailed('download.failed', `download ${from}`, result);
  await compareDigests(session, from, unpacked, options);
  return { files: unpacked.digests.length, bytes: unpacked.bytes, skipped: unpacked.skipped };
}

/** Files are compared by their digests alone: names with line breaks make sha256sum's list ambiguous. */
async function compareDigests(
  session: GuestSession,
  from: string,
  { digests }: UntarResult,
  { signal, timeoutMs }: DownloadOptions,
): Promise<void> {
  const lines = new PassThrough({ highWaterMark: 1024 * 1024 });
  const found: string[] = [];
  let rest = '';
  lines.setEncoding('latin1').on('data', (text: string) => {
    const parts = (rest + text).split('\n');
    rest = (parts.pop() ?? '').slice(-1024 * 1024);
    for (const line of parts) {
      const digest = /^\\?([0-9a-f]{64}) [ *]/.exec(line)?.[1];
      if (digest !== undefined) found.push(digest);
    }
  });
  const command = [
    `command -v sha256sum >/dev/null 2>&1 || exit ${STATUS.noTool}`,
    `cd ${quote(from)} && find . -type f -exec sha256sum {} +`,
  ].join('\n');
  const result = await session.exec(command, { signal, timeoutMs, stdout: lines });
  lines.end();
  await finished(lines, { writable: false }).catch(() => {});
  if (result.exitCode === STATUS.noTool) return;
  const same = found.sort().join() === [...digests].sort().join();
  if (result.exitCode !== 0 || !same) throw damaged(from, { files: digests.length, inGuest: found.length });
}

function damaged(from: string, evidence: Record<string, string | number>): ProvisionError {
  return new ProvisionError('download.damaged', `Cannot download ${from}: what arrived is not what the guest has`, {
    hint: 'Something in the guest writes to it; stop that in a step before this one.',
    evidence,
  });
}
