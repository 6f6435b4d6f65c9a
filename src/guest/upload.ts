/** Files and folders put into a guest. */
import { stat } from 'node:fs/promises';
import { resolve as absolute, basename } from 'node:path';
import { Readable } from 'node:stream';
import { ProvisionError } from '../errors.ts';
import { type HostEntry, walkHost } from './host-tree.ts';
import { type GuestFile, type PutOptions, putFile } from './put-file.ts';
import type { GuestSession } from './session.ts';
import { quote } from './shell.ts';
import { type TreeOwner, tarOf } from './tar-upload.ts';
import { quoteBytes, requireAbsolute, STATUS, transferFailed } from './transfer.ts';

export type { GuestFile } from './put-file.ts';

export interface UploadOptions extends PutOptions {
  /** Permission bits of files; a folder's files have their own where it is not given. */
  readonly mode?: number | undefined;
  /** `user`, `user:group`, or numbers. @default root */
  readonly owner?: string | undefined;
  /** Patterns of what is left out of a folder. */
  readonly exclude?: readonly string[] | undefined;
}

/** Puts files into the guest, one after another, each whole or not at all, owned by root unless they say otherwise. */
export async function upload(
  session: GuestSession,
  files: readonly GuestFile[],
  options: PutOptions = {},
): Promise<void> {
  for (const file of files) await putFile(session, file, options);
}

/**
 * Puts a file or a whole folder of this host at `to`; a file goes into `to` when that ends with a slash.
 * @throws ProvisionError `upload.source`, `upload.owner`, `upload.failed`, `upload.special`, `upload.changed`
 */
export async function uploadPath(
  session: GuestSession,
  source: string,
  to: string,
  options: UploadOptions = {},
): Promise<void> {
  const from = absolute(source);
  requireAbsolute(to);
  const info = await stat(from).catch((cause: Error) => {
    throw new ProvisionError('upload.source', `Cannot upload ${from}: ${cause.message}`, {
      hint: 'The path is one of this host, and relative to the recipe that names it.',
      cause,
    });
  });
  const { mode, owner } = options;
  if (info.isDirectory()) return uploadTree(session, from, to, options);
  const path = to.endsWith('/') ? `${to}${basename(from)}` : to;
  const file = {
    path,
    content: { hostPath: from },
    mode: mode ?? info.mode & 0o777,
    owner,
    mtime: info.mtimeMs / 1000,
  };
  await putFile(session, file, options);
}

/** Folders that are there keep their owner and mode, and links to folders stay links; busybox has no such options. */
const GNU = '--no-overwrite-dir --keep-directory-symlink --numeric-owner --warning=no-timestamp';

async function uploadTree(session: GuestSession, from: string, to: string, options: UploadOptions): Promise<void> {
  const { mode, exclude, signal, timeoutMs, onOutput, onProgress } = options;
  const run = { signal, timeoutMs, onOutput };
  const owner = await resolveOwner(session, options);
  const entries = (): AsyncGenerator<HostEntry> => walkHost(Buffer.from(from), exclude);
  const archive = counting(tarOf(entries(), { owner, mode }), onProgress);
  const stdin = Readable.from(archive, { objectMode: false, highWaterMark: 256 * 1024 });
  let broken: unknown;
  stdin.on('error', (error) => {
    broken = error;
  });
  const command = [
    'set -e; umask 022',
    `command -v tar >/dev/null 2>&1 || exit ${STATUS.noTool}`,
    `mkdir -p ${quote(to)}; cd ${quote(to)}`,
    `case $(tar --version </dev/null 2>/dev/null || :) in *GNU*) o='${GNU}';; *) o=;; esac`,
    'exec tar -xpf - $o',
  ];
  const result = await session.exec(command.join('\n'), { ...run, stdin });
  if (broken !== undefined && (broken as Error).name !== 'AbortError') throw broken;
  if (result.exitCode === STATUS.noTool) return eachByItself(session, entries(), to, owner, options);
  if (result.exitCode !== 0) throw transferFailed('upload.failed', `put ${from} into the guest at ${to}`, result);
}

/** For a guest without any tar. */
async function eachByItself(
  session: GuestSession,
  entries: AsyncIterable<HostEntry>,
  to: string,
  { uid, gid }: TreeOwner,
  options: UploadOptions,
): Promise<void> {
  const { signal, timeoutMs, onOutput } = options;
  const ids = `${uid}:${gid}`;
  const times: string[] = [];
  await session.run(`umask 022; mkdir -p ${quote(to)}`, { signal, timeoutMs });
  for await (const { name, hostPath, kind, info, linkTo } of entries) {
    const path = Buffer.concat([Buffer.from(`${to.replace(/\/+$/, '')}/`), name]);
    const word = quoteBytes(path);
    const own = Number(info.mode) & 0o7777;
    const seconds = Number(info.mtimeNs / 1_000_000_000n);
    if (kind === 'file') {
      const file = { path, content: { hostPath }, mode: options.mode ?? own, owner: ids, mtime: seconds };
      await putFile(session, file, { ...options, by: 'exec', onProgress: undefined });
    } else {
      const made =
        kind === 'link'
          ? `ln -sfn ${quoteBytes(linkTo as Buffer)} ${word} && chown -h ${ids} ${word}`
          : `mkdir -p ${word} && chown ${ids} ${word} && chmod ${own.toString(8)} ${word}`;
      const result = await session.exec(made, { signal, timeoutMs, onOutput });
      if (result.exitCode !== 0) throw transferFailed('upload.failed', `put ${hostPath} into the guest`, result);
      if (kind === 'folder') times.push(`touch -d @${seconds} ${word}`);
    }
  }
  // What is written into a folder changes its time, so folders come last, and inner ones before outer ones.
  const lines = times.reverse();
  for (let at = 0; at < lines.length; at += 100) {
    await session.exec(lines.slice(at, at + 100).join('\n'), { signal, timeoutMs });
  }
}

/** The numbers of `user` or `user:group`. A name the guest does not know is an error, not silently root. */
async function resolveOwner(session: GuestSession, options: UploadOptions): Promise<TreeOwner> {
  const { owner, signal, timeoutMs } = options;
  if (owner === undefined) return { uid: 0, gid: 0 };
  const [user = '', group] = owner.split(':');
  const command = [
    'set -e',
    `u=${quote(user)}; g=${quote(group ?? '')}`,
    'case $u in *[!0-9]*) n=$(id -u "$u");; *) n=$u;; esac',
    'if [ -z "$g" ]; then g=$(id -g "$u" 2>/dev/null || echo "$n"); fi',
    'case $g in *[!0-9]*) while IFS=: read -r a b c d; do if [ "$a" = "$g" ]; then g=$c; break; fi; done </etc/group;; esac',
    'case $g in *[!0-9]*) echo "there is no group $g" >&2; exit 1;; esac',
    'echo "$n $g"',
  ];
  const result = await session.exec(command.join('\n'), { signal, timeoutMs });
  const match = /^(\d+) (\d+)$/.exec(result.stdout.trim());
  if (result.exitCode !== 0 || match === null) {
    const hint = 'Make the account in a step before this one, or write numbers: "33:33".';
    throw transferFailed('upload.owner', `give files to ${owner}`, result, hint);
  }
  return { uid: Number(match[1]), gid: Number(match[2]) };
}

async function* counting(
  chunks: AsyncIterable<Uint8Array>,
  onProgress: PutOptions['onProgress'],
): AsyncGenerator<Uint8Array> {
  let done = 0;
  for await (const chunk of chunks) {
    yield chunk;
    done += chunk.length;
    onProgress?.(done, undefined);
  }
}
