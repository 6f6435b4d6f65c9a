import { createWriteStream } from 'node:fs';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Client, ClientChannel } from 'ssh2';
import { ProvisionError, scrub } from '../errors.ts';
import { Deadline, type OpenChannel, watchChannel } from './channel.ts';
import { Masked, Tail } from './output.ts';

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

/** How long the machine may take to say why, once the connection is gone. */
const BLAME_MS = 1500;
/** How long a connection may take to be known as broken, once a command has ended without a status. */
const VANISH_MS = 500;
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
  #gone = false;

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
    // A transcript that cannot be written must not end the process: an unheard 'error' would.
    this.#transcript?.on('error', () => {});
    this.#lost = new Promise((_, reject) => {
      let cause: Error | undefined;
      client.on('error', (error) => {
        cause = error;
      });
      client.on('close', () => {
        this.#gone = true;
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
    const failure = this.#failure ?? this.#lost;
    const guard = new Deadline(command, options);
    const early = [this.#lost, failure, guard.expired];
    const { line, head } = this.#wrap(command, options.env);
    const opened = this.#open(line);
    const { channel, closed, active } = await Promise.race([opened, ...early]).catch((error: unknown) => {
      guard.end();
      opened.then(
        (late) => late.channel.destroy(),
        () => {},
      );
      throw error;
    });
    const stdout = new Tail();
    const stderr = new Tail();
    const record = new Masked((text) => this.#transcript?.write(text));
    const take = (name: 'stdout' | 'stderr', tail: Tail) => (text: string) => {
      active();
      tail.add(text);
      record.write(text);
      options.onOutput?.(name, text);
    };
    channel.setEncoding('utf8').on('data', take('stdout', stdout));
    channel.stderr.setEncoding('utf8').on('data', take('stderr', stderr));
    const feeding = new AbortController();
    const fed = this.#feed(channel, head, options.stdin, feeding.signal);
    // A command that ends early closes its input; its status tells more than the broken pipe.
    fed.catch(() => {});
    try {
      const ended = await Promise.race([closed, ...early]);
      record.end();
      if (ended.exitCode === -1 && ended.signal === undefined) throw await this.#withoutStatus(command);
      this.#transcript?.write(`# status ${ended.signal ?? ended.exitCode}\n`);
      return { ...ended, stdout: stdout.text, stderr: stderr.text, ms: performance.now() - start };
    } catch (error) {
      channel.destroy();
      throw error;
    } finally {
      guard.end();
      feeding.abort();
    }
  }

  /** Why a command has neither status nor signal: the connection broke, or the server is at fault. */
  async #withoutStatus(command: string): Promise<unknown> {
    let timer: NodeJS.Timeout | undefined;
    const still = new Promise<'still'>((resolve) => {
      if (!this.#gone) timer = setTimeout(() => resolve('still'), VANISH_MS);
    });
    const why = await Promise.race([this.#lost, still]).catch((error: unknown) => error);
    clearTimeout(timer);
    if (why !== 'still') return why;
    const what = 'Cannot go on: a command in the guest ended, and the server did not say how';
    return new ProvisionError('ssh.no-exit-status', what, { evidence: { command } });
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

  /**
   * The command as the account runs it, and what goes before its input. sshd's AcceptEnv leaves out what a client sets,
   * so variables are set by the shell; under sudo they come by the input, because sudo logs its command line and the
   * variables it is told to keep. dd takes exactly its count from a pipe, where head may read ahead.
   */
  #wrap(command: string, env: Readonly<Record<string, string>> = {}): { line: string; head: string } {
    const settings = Object.entries(env).map(([key, value]) => `export ${key}=${quote(value)}; `);
    const head = settings.join('');
    if (this.#username === 'root') return { line: `${head}${command}`, head: '' };
    const take = head === '' ? '' : `eval "$(dd bs=1 count=${Buffer.byteLength(head)} 2>/dev/null)"; `;
    return { line: `exec sudo -n sh -c ${quote(take + command)}`, head };
  }

  #open(command: string): Promise<OpenChannel> {
    return new Promise((resolve, reject) => {
      try {
        this.#client.exec(command, (error, channel) => {
          if (error === undefined) resolve(watchChannel(channel));
          else if (this.#gone) this.#lost.catch(reject);
          else {
            const what = `Cannot go on: the guest's SSH server does not run a command (${error.message})`;
            reject(new ProvisionError('ssh.channel-refused', what, { cause: error }));
          }
        });
      } catch (cause) {
        reject(new ProvisionError('ssh.lost', 'Cannot go on: the SSH connection to the guest is closed', { cause }));
      }
    });
  }

  async #feed(channel: ClientChannel, head: string, stdin: ExecOptions['stdin'], signal: AbortSignal): Promise<void> {
    if (head !== '') channel.write(head);
    if (stdin === undefined) channel.end();
    // ssh2 never calls a write back once the channel is closed: the signal ends the pipeline and closes its source.
    else if (stdin instanceof Readable) await pipeline(stdin, channel, { signal });
    else channel.end(stdin);
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
    const transcript = this.#transcript;
    if (transcript !== undefined) await new Promise<void>((resolve) => transcript.end(() => resolve()));
  }
}
