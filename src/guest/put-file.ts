/** One file put into a guest: under a temporary name, checked by length and digest, then renamed. */
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { PassThrough, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ProvisionError } from '../errors.ts';
import { deadline } from '../host/within.ts';
import type { GuestSession } from './session.ts';
import { quote } from './shell.ts';
import { digestOf, quoteBytes, requireAbsolute, STATUS, type TransferOptions, transferFailed } from './transfer.ts';

/** A file put into the guest: bytes, or a file of this host. */
export interface GuestFile {
  /** Absolute path in the guest; bytes where it is no text. */
  readonly path: string | Uint8Array;
  readonly content: Uint8Array | { readonly hostPath: string | Uint8Array };
  /** Permission bits. @default 0644 */
  readonly mode?: number | undefined;
  /** `user`, `user:group`, or numbers. @default root */
  readonly owner?: string | undefined;
  /** Seconds since 1970. @default now */
  readonly mtime?: number | undefined;
}

export interface PutOptions extends TransferOptions {
  /** How the bytes go. `auto`: SFTP for a large file to a server that has it, where the login is root's. @default auto */
  readonly by?: 'auto' | 'sftp' | 'exec' | undefined;
}

/** From this size on an SFTP session is worth its start, bytes. */
const WORTH_SFTP = 8 * 1024 * 1024;
/** Requests under way and bytes in each, of an SFTP upload. */
const SFTP_REQUESTS = 64;
const SFTP_BLOCK = 32 * 1024;
const CLEAN_UP_MS = 10_000;

/**
 * Puts a file into the guest whole or not at all, folders made on the way.
 * @throws ProvisionError `upload.failed`, `upload.damaged`, `upload.is-folder`, `upload.changed`
 */
export async function putFile(session: GuestSession, file: GuestFile, options: PutOptions = {}): Promise<void> {
  const target = typeof file.path === 'string' ? quote(file.path) : quoteBytes(file.path);
  const shown = typeof file.path === 'string' ? file.path : Buffer.from(file.path).toString();
  requireAbsolute(shown);
  const source = await sourceOf(file.content, options);
  const temporary = `.compose-${randomBytes(6).toString('hex')}`;
  const where = [
    'set -e',
    `t=${target}`,
    `if [ -d "$t" ]; then echo "$t is a folder" >&2; exit ${STATUS.folder}; fi`,
    'd=${t%/*}; [ -n "$d" ] || d=/',
    '(umask 022; mkdir -p "$d")',
    `n="$d/${temporary}"`,
    'umask 077',
  ];
  const check = [
    's=$(wc -c <"$n")',
    `if [ "$s" -ne ${source.size} ]; then echo "$s bytes of ${source.size} arrived" >&2; exit ${STATUS.damaged}; fi`,
    digestOf('"$n"'),
    `case $h in ""|${source.sha256}) ;; *) echo "its SHA-256 is $h" >&2; exit ${STATUS.damaged};; esac`,
  ];
  const finish = [
    file.owner === undefined ? '' : `chown ${quote(file.owner)} "$n"`,
    `chmod ${((file.mode ?? 0o644) & 0o7777).toString(8)} "$n"`,
    file.mtime === undefined ? '' : `touch -d @${Math.floor(file.mtime)} "$n" 2>/dev/null || true`,
    'mv -f "$n" "$t"',
    'trap - EXIT',
  ].filter(Boolean);
  const cleanUp = `trap 'rm -f "$n"' EXIT; trap 'exit 1' HUP INT TERM`;
  const script = (lines: readonly string[]): string => lines.join('\n');
  const { signal, timeoutMs, onOutput } = options;
  const run = { signal, timeoutMs, onOutput };
  if (await bySftp(session, file, options, source)) {
    const made = await session.exec(script([...where, `printf %s "$n"`]), run);
    if (made.exitCode !== 0) throw failed(shown, made, source);
    const put = await sftpPut(session, source, made.stdout, options).catch(async (error: unknown) => {
      await session.exec(`rm -f ${quote(made.stdout)}`, { timeoutMs: CLEAN_UP_MS }).catch(() => {});
      throw error;
    });
    if (put) {
      const done = await session.exec(script([...where, cleanUp, ...check, ...finish]), run);
      if (done.exitCode !== 0) throw failed(shown, done, source);
      return;
    }
  }
  const whole = script([...where, cleanUp, 'cat >"$n"', ...check, ...finish]);
  const result = await session.exec(whole, { ...run, stdin: source.open() });
  if (result.exitCode !== 0) throw failed(shown, result, source);
}

interface Source {
  readonly size: number;
  readonly sha256: string;
  readonly hostPath: string | Buffer | undefined;
  readonly open: () => Uint8Array | Readable;
}

/** Length and digest of what goes. A host file is read twice: then a damaged transfer never gets the final name. */
async function sourceOf(content: GuestFile['content'], options: PutOptions): Promise<Source> {
  if (content instanceof Uint8Array) {
    const sha256 = createHash('sha256').update(content).digest('hex');
    return { size: content.length, sha256, hostPath: undefined, open: () => content };
  }
  const { hostPath } = content;
  const path = typeof hostPath === 'string' ? hostPath : Buffer.from(hostPath);
  const hash = createHash('sha256');
  let read = 0;
  for await (const chunk of createReadStream(path, { signal: options.signal, highWaterMark: 1024 * 1024 })) {
    hash.update(chunk as Buffer);
    read += (chunk as Buffer).length;
  }
  const open = (): Readable => counted(createReadStream(path, { highWaterMark: 256 * 1024 }), read, options);
  return { size: read, sha256: hash.digest('hex'), hostPath: path, open };
}

/** `source`, telling how much of it has gone. A source that fails ends what reads it. */
function counted(source: Readable, total: number, { onProgress }: TransferOptions): Readable {
  if (onProgress === undefined) return source;
  let done = 0;
  const through = new PassThrough({ highWaterMark: 256 * 1024 });
  through.on('data', (chunk: Buffer) => {
    done += chunk.length;
    onProgress(done, total);
  });
  through.pause();
  pipeline(source, through).catch(() => {});
  return through;
}

async function bySftp(session: GuestSession, file: GuestFile, options: PutOptions, source: Source): Promise<boolean> {
  const { by = 'auto' } = options;
  // SFTP takes names as text, and writes as the account that logged in.
  if (by === 'exec' || session.username !== 'root' || typeof file.path !== 'string') return false;
  if (by === 'auto' && source.size < WORTH_SFTP) return false;
  return source.hostPath !== undefined && (await session.sftp()) !== undefined;
}

/** False when the server's SFTP failed: the bytes then go another way. */
async function sftpPut(session: GuestSession, source: Source, path: string, options: PutOptions): Promise<boolean> {
  const sftp = await session.sftp();
  const { hostPath } = source;
  if (sftp === undefined || hostPath === undefined) return false;
  const { signal, onProgress, timeoutMs } = options;
  const limits = [signal, timeoutMs === undefined ? undefined : deadline(timeoutMs)];
  const ended = AbortSignal.any(limits.filter((one) => one !== undefined));
  return new Promise<boolean>((resolve, reject) => {
    const onAbort = (): void => {
      // Requests under way cannot be called back: the whole SFTP session goes.
      sftp.end();
      reject(ended.reason);
    };
    ended.addEventListener('abort', onAbort, { once: true });
    const done = (fine: boolean): void => {
      ended.removeEventListener('abort', onAbort);
      resolve(fine);
    };
    const step = (total: number): void => onProgress?.(total, source.size);
    const settings = { concurrency: SFTP_REQUESTS, chunkSize: SFTP_BLOCK, mode: 0o600, step };
    sftp.fastPut(hostPath as string, path, settings, (error) => done(error === undefined || error === null));
    void session.ended().then(() => done(false));
  });
}

function failed(path: string, result: Parameters<typeof transferFailed>[2], source: Source): ProvisionError {
  const what = `put ${path} into the guest`;
  if (result.exitCode === STATUS.folder) {
    return transferFailed('upload.is-folder', what, result, 'Name the file itself, or end the path with a slash.');
  }
  if (result.exitCode !== STATUS.damaged) return transferFailed('upload.failed', what, result);
  const hint =
    source.hostPath === undefined
      ? 'The connection damaged it; try again.'
      : 'Let nothing write to the file meanwhile.';
  return transferFailed('upload.damaged', what, result, hint);
}
