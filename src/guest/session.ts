import { createReadStream, createWriteStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Client, ClientChannel } from 'ssh2';
import tar from 'tar-stream';
import { ProvisionError, scrub } from '../errors.ts';

export interface ExecOptions {
  readonly stdin?: string | Uint8Array | Readable;
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onOutput?: ((stream: 'stdout' | 'stderr', text: string) => void) | undefined;
}

export interface ExecResult {
  /** -1 when a signal ended the command. */
  readonly exitCode: number;
  readonly signal: string | undefined;
  /** The last MiB of each. */
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

/** A file put into the guest: bytes, or a file of this host. */
export interface GuestFile {
  /** Absolute path in the guest. */
  readonly path: string;
  readonly content: Uint8Array | { readonly hostPath: string };
  readonly mode?: number;
}

const KEPT = 1024 * 1024;
/** How long the machine may take to say why, once the connection is gone. */
const BLAME_MS = 1500;

/** `text` as one word of a POSIX shell. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** A logged-in connection. Commands run as root: by sudo where the account is another. */
export class GuestSession implements AsyncDisposable {
  readonly #client: Client;
  readonly #username: string;
  readonly #failure: Promise<never> | undefined;
  readonly #transcript: Writable | undefined;
  readonly #lost: Promise<never>;
  #closing = false;

  constructor(
    client: Client,
    options: {
      readonly username: string;
      readonly failure?: Promise<never> | undefined;
      readonly transcript?: string | undefined;
    },
  ) {
    this.#client = client;
    this.#username = options.username;
    this.#failure = options.failure;
    this.#transcript =
      options.transcript === undefined ? undefined : createWriteStream(options.transcript, { flags: 'a', mode: 0o600 });
    this.#lost = new Promise((_, reject) => {
      let cause: Error | undefined;
      client.on('error', (error) => {
        cause = error;
      });
      client.on('close', () => {
        this.#blame(cause).then(reject, reject);
      });
    });
    this.#lost.catch(() => {});
  }

  /** What to say of a connection that broke: the machine's own failure when it has one. */
  async #blame(cause: Error | undefined): Promise<unknown> {
    const lost = new ProvisionError('ssh.lost', 'Cannot go on: the SSH connection to the guest broke', {
      hint: 'If a step restarts the guest, make it a reboot step. The serial log tells what the guest did.',
      cause,
    });
    if (this.#failure === undefined || this.#closing) return lost;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<unknown>((resolve) => {
      timer = setTimeout(() => resolve(lost), BLAME_MS);
    });
    return Promise.race([this.#failure.catch((error: unknown) => error), late]).finally(() => clearTimeout(timer));
  }

  /**
   * Runs a shell command as root. A status other than 0 is an answer, not an exception.
   * @throws ProvisionError `ssh.lost`, `command.timeout`; the machine's failure
   */
  async exec(command: string, options: ExecOptions = {}): Promise<ExecResult> {
    options.signal?.throwIfAborted();
    const start = performance.now();
    this.#transcript?.write(scrub(`$ ${command}\n`));
    const channel = await Promise.race([this.#open(this.#wrap(command, options.env)), this.#lost]);
    const stdout = new Tail();
    const stderr = new Tail();
    const take = (name: 'stdout' | 'stderr', tail: Tail) => (text: string) => {
      tail.add(text);
      this.#transcript?.write(scrub(text));
      options.onOutput?.(name, text);
    };
    channel.setEncoding('utf8').on('data', take('stdout', stdout));
    channel.stderr.setEncoding('utf8').on('data', take('stderr', stderr));
    const closed = new Promise<{ exitCode: number; signal: string | undefined }>((resolve) => {
      let exitCode = -1;
      let signal: string | undefined;
      channel.on('exit', (code: number | null, name?: string) => {
        exitCode = code ?? -1;
        signal = name ?? undefined;
      });
      channel.on('close', () => resolve({ exitCode, signal }));
    });
    const fed = this.#feed(channel, options.stdin);
    // A command that ends early closes its input; its status tells more than the broken pipe.
    fed.catch(() => {});
    const guard = new Deadline(command, options);
    try {
      const ended = await Promise.race([closed, this.#lost, guard.expired]);
      this.#transcript?.write(`# status ${ended.signal ?? ended.exitCode}\n`);
      return { ...ended, stdout: stdout.text, stderr: stderr.text, ms: performance.now() - start };
    } catch (error) {
      channel.destroy();
      throw error;
    } finally {
      guard.end();
    }
  }

  /** `exec`, where anything but status 0 is an error. @throws ProvisionError `command.failed` */
  async run(command: string, options: ExecOptions = {}): Promise<ExecResult> {
    const result = await this.exec(command, options);
    if (result.exitCode === 0) return result;
    throw new ProvisionError(
      'command.failed',
      `Cannot go on: a command in the guest ended with status ${result.exitCode}`,
      {
        evidence: { command, stderr: result.stderr.trimEnd().split('\n').slice(-15) },
        hint: 'ssh.log in the run folder has everything it wrote.',
      },
    );
  }

  #wrap(command: string, env: Readonly<Record<string, string>> = {}): string {
    // sshd's AcceptEnv leaves out what a client sets, so the variables are part of the command.
    const settings = Object.entries(env).map(([key, value]) => `export ${key}=${quote(value)}; `);
    const whole = `${settings.join('')}${command}`;
    return this.#username === 'root' ? whole : `sudo -n sh -c ${quote(whole)}`;
  }

  #open(command: string): Promise<ClientChannel> {
    return new Promise((resolve, reject) => {
      try {
        this.#client.exec(command, (error, channel) => (error ? reject(error) : resolve(channel)));
      } catch (cause) {
        reject(new ProvisionError('ssh.lost', 'Cannot go on: the SSH connection to the guest is closed', { cause }));
      }
    });
  }

  async #feed(channel: ClientChannel, stdin: ExecOptions['stdin']): Promise<void> {
    if (stdin === undefined) channel.end();
    else if (stdin instanceof Readable) await pipeline(stdin, channel);
    else channel.end(stdin);
  }

  /** Puts files into the guest as one tar stream, owned by root, directories made on the way. */
  async upload(files: readonly GuestFile[], options: ExecOptions = {}): Promise<void> {
    const pack = tar.pack();
    const filled = fill(pack, files);
    filled.catch((error: Error) => pack.destroy(error));
    await this.run('tar -xpf - -C / --no-same-owner', { ...options, stdin: Readable.from(pack) });
    await filled;
  }

  /** Puts a file or a whole folder of this host at `to`. */
  async uploadPath(
    from: string,
    to: string,
    options: ExecOptions & { readonly mode?: number | undefined } = {},
  ): Promise<void> {
    const info = await stat(from);
    const { mode } = options;
    if (!info.isDirectory()) {
      return this.upload([{ path: to, content: { hostPath: from }, mode: mode ?? info.mode & 0o777 }], options);
    }
    const files: GuestFile[] = [];
    for (const entry of await readdir(from, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const hostPath = join(entry.parentPath, entry.name);
      const path = join(to, hostPath.slice(from.length));
      files.push({ path, content: { hostPath }, mode: mode ?? (await stat(hostPath)).mode & 0o777 });
    }
    await this.run(`mkdir -p ${quote(to)}`, options);
    await this.upload(files, options);
  }

  /** Identity of the running boot; another one after a restart. */
  async bootId(): Promise<string> {
    return (await this.run('cat /proc/sys/kernel/random/boot_id')).stdout.trim();
  }

  /** Settles when the connection has ended, for whatever reason. */
  async ended(): Promise<void> {
    await this.#lost.catch(() => {});
  }

  /** Says that the connection is expected to break: a power-off or a restart was asked for. */
  expectEnd(): void {
    this.#closing = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing = true;
    this.#client.end();
    this.#client.destroy();
    this.#transcript?.end();
  }
}

async function fill(pack: tar.Pack, files: readonly GuestFile[]): Promise<void> {
  for (const { path, content, mode = 0o644 } of files) {
    const name = path.replace(/^\/+/, '');
    if (content instanceof Uint8Array) {
      pack.entry({ name, mode, uid: 0, gid: 0 }, Buffer.from(content));
      continue;
    }
    const { size } = await stat(content.hostPath);
    const entry = pack.entry({ name, mode, uid: 0, gid: 0, size });
    await pipeline(createReadStream(content.hostPath), entry as unknown as Writable);
  }
  pack.finalize();
}

/** The end of a text, bounded. */
class Tail {
  text = '';

  add(more: string): void {
    this.text = (this.text + more).slice(-KEPT);
  }
}

/** Rejects when a command has taken too long or was aborted. */
class Deadline {
  readonly expired: Promise<never>;
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #signal: AbortSignal | undefined;
  #onAbort: () => void = () => {};

  constructor(command: string, options: Pick<ExecOptions, 'timeoutMs' | 'signal'>) {
    const { timeoutMs, signal } = options;
    let timer: NodeJS.Timeout | undefined;
    this.expired = new Promise((_, reject) => {
      this.#onAbort = () => reject(signal?.reason);
      signal?.addEventListener('abort', this.#onAbort, { once: true });
      if (timeoutMs === undefined) return;
      timer = setTimeout(() => {
        const what = `Cannot go on: a command in the guest took longer than ${Math.round(timeoutMs / 1000)} s`;
        reject(new ProvisionError('command.timeout', what, { evidence: { command } }));
      }, timeoutMs);
    });
    this.expired.catch(() => {});
    this.#timer = timer;
    this.#signal = signal;
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener('abort', this.#onAbort);
  }
}
