import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Client, ClientChannel, SFTPWrapper } from 'ssh2';
import { ProvisionError, scrub } from '../errors.ts';
import { Deadline, type OpenChannel, watchChannel } from './channel.ts';
import { describeEnd, type ExecExited, type ExecLost, type ExecResult, evidenceOf, neverBegan } from './exec-result.ts';
import { Intake } from './intake.ts';
import type { Preamble } from './preamble.ts';
import { openSftp } from './sftp.ts';
import { frame } from './shell.ts';

export type { ExecLost, ExecResult } from './exec-result.ts';
export { quote } from './shell.ts';

export interface ExecOptions {
  readonly stdin?: string | Uint8Array | Readable;
  /** Takes standard output as bytes, at its own pace; then `stdout` of the result is empty. */
  readonly stdout?: Writable;
  readonly env?: Readonly<Record<string, string>>;
  /** Account the command runs as. @default root */
  readonly user?: string | undefined;
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** One of the causes of `signal`: a command that it aborts is ended in the guest too, as one that took too long is. */
  readonly limit?: AbortSignal | undefined;
  /** Told the text as it comes, secrets masked. */
  readonly onOutput?: ((stream: 'stdout' | 'stderr', text: string) => void) | undefined;
}

/** How long the machine may take to say why, once the connection is gone. */
const BLAME_MS = 1500;
/** How long a connection may take to be known as broken, once a command has ended without a status. */
const VANISH_MS = 500;
/** How long a command that ran out of time may take to end once it was asked to. */
const END_MS = 5_000;

/** Signals a process and all that it started; the parent first, so that it does not go on with its next command. */
const KILL_TREE =
  'k() { s=$2; set -- $1 $(cat /proc/$1/task/*/children 2>/dev/null); kill -$s $1 2>/dev/null; shift; for p; do k $p $s; done; }';

/** A logged-in connection. Commands run as root: by sudo or doas where the account is another. */
export class GuestSession implements AsyncDisposable {
  readonly username: string;
  readonly #client: Client;
  readonly #failure: Promise<never> | undefined;
  readonly #transcript: Writable | undefined;
  readonly #lost: Promise<never>;
  readonly #mark = `compose-${randomBytes(6).toString('hex')}`;
  #sftp: Promise<SFTPWrapper | undefined> | undefined;
  #closing = false;
  #gone = false;
  #ending = false;

  constructor(
    client: Client,
    options: {
      readonly username: string;
      readonly failure?: Promise<never> | undefined;
      readonly transcript?: string | undefined;
    },
  ) {
    this.#client = client;
    this.username = options.username;
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
   * @throws ProvisionError `ssh.lost`, `command.timeout`, `sudo.…`; the machine's failure
   */
  async exec(command: string, options: ExecOptions = {}): Promise<ExecResult> {
    options.signal?.throwIfAborted();
    const start = performance.now();
    this.#transcript?.write(scrub(`$ ${command}\n`));
    const guard = new Deadline(command, options);
    const { line, head } = frame(command, { ...options, mark: this.#mark, username: this.username });
    const { channel, closed, active, hold } = await this.#begin(line, guard);
    const take = (name: 'stdout' | 'stderr'): Intake =>
      new Intake(name === 'stdout' ? channel : channel.stderr, {
        mark: this.#mark,
        sink: name === 'stdout' ? options.stdout : undefined,
        listeners: [(text) => this.#transcript?.write(text), (text) => options.onOutput?.(name, text)],
        active,
        hold,
      });
    const [stdout, stderr] = [take('stdout'), take('stderr')];
    const feeding = new AbortController();
    const fed = this.#feed(channel, head, options.stdin, feeding.signal);
    // A command that ends early closes its input; its status tells more than the broken pipe.
    fed.catch(() => {});
    const sinkFailed = new Promise<never>((_, reject) => options.stdout?.once('error', reject));
    try {
      const ended = await Promise.race([closed, ...this.#early(guard), sinkFailed]);
      const begun = stdout.preamble.rest !== undefined || stderr.preamble.rest !== undefined;
      stdout.end();
      stderr.end();
      if (ended.exitCode === -1 && ended.signal === undefined) throw await this.#withoutStatus(command);
      this.#transcript?.write(`\n# status ${ended.signal ?? ended.exitCode}\n`);
      const output = {
        stdout: stdout.tail.text,
        stderr: stderr.tail.text,
        dropped: { stdout: stdout.tail.dropped, stderr: stderr.tail.dropped },
        ms: performance.now() - start,
      };
      if (ended.signal !== undefined) return { how: 'signalled', exitCode: -1, signal: ended.signal, ...output };
      const result: ExecExited = { how: 'exited', exitCode: ended.exitCode, signal: undefined, ...output };
      if (!begun && result.exitCode !== 0) throw neverBegan(this.username, result);
      return result;
    } catch (error) {
      if (guard.late) await this.#end(await this.#processOf(stdout.preamble, closed), closed);
      channel.destroy();
      throw error;
    } finally {
      guard.end();
      feeding.abort();
    }
  }

  /** `exec`, where a connection that breaks is an answer too. @throws the machine's failure, `command.timeout` */
  async attempt(command: string, options: ExecOptions = {}): Promise<ExecResult | ExecLost> {
    try {
      return await this.exec(command, options);
    } catch (error) {
      if (!this.#gone || (error as { code?: string }).code !== 'ssh.lost') throw error;
      return { how: 'lost', error };
    }
  }

  #early(guard: Deadline): Promise<never>[] {
    return [this.#lost, this.#failure ?? this.#lost, guard.expired];
  }

  /** The channel of a command, unless something ends the wait for it before. */
  async #begin(line: string, guard: Deadline): Promise<OpenChannel> {
    const opened = this.#open(line);
    return Promise.race([opened, ...this.#early(guard)]).catch((error: unknown) => {
      guard.end();
      opened.then(
        (late) => late.channel.destroy(),
        () => {},
      );
      throw error;
    });
  }

  /** The process of a command that ran out of time: it may have begun so late that it has not said yet which it is. */
  async #processOf(preamble: Preamble, closed: Promise<unknown>): Promise<number> {
    let over = false;
    closed.then(() => {
      over = true;
    });
    for (const end = performance.now() + END_MS; performance.now() < end; ) {
      if (preamble.rest !== undefined || over || this.#gone) break;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return Number(preamble.rest);
  }

  /** Ends a command that ran out of time, and what it started: a closed channel alone leaves them running. */
  async #end(pid: number, closed: Promise<unknown>): Promise<void> {
    if (!Number.isSafeInteger(pid) || pid < 2 || this.#gone || this.#ending) return;
    this.#ending = true;
    for (const signal of ['TERM', 'KILL']) {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<boolean>((resolve) => {
        timer = setTimeout(() => resolve(false), END_MS);
      });
      const asked = this.exec(`${KILL_TREE}; k ${pid} ${signal}`, { timeoutMs: END_MS });
      const ended = asked.then(() => closed).then(() => true);
      const over = await Promise.race([ended, late]).catch(() => true);
      clearTimeout(timer);
      if (over) break;
    }
    this.#ending = false;
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
    const what = `Cannot go on: a command in the guest ended with ${describeEnd(result)}`;
    throw new ProvisionError('command.failed', what, {
      evidence: { command, ...evidenceOf(result) },
      hint: 'ssh.log in the run folder has everything it wrote.',
    });
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

  /** The server's SFTP, opened once; undefined where it has none that works. */
  sftp(): Promise<SFTPWrapper | undefined> {
    this.#sftp ??= openSftp(this.#client);
    return this.#sftp;
  }

  /** A root shell on a terminal of the guest's; output and errors come together. @throws ProvisionError `ssh.…` */
  terminal(pty: { readonly rows: number; readonly cols: number; readonly term: string }): Promise<ClientChannel> {
    const { line } = frame('cd; exec "${SHELL:-/bin/sh}" -l', { mark: '', username: this.username });
    return new Promise((resolve, reject) => {
      const opened = (error: Error | undefined, channel: ClientChannel): void => {
        if (error === undefined) resolve(channel);
        else
          reject(new ProvisionError('ssh.channel-refused', `Cannot open a shell: ${error.message}`, { cause: error }));
      };
      try {
        if (this.username === 'root') this.#client.shell(pty, opened);
        else this.#client.exec(line, { pty }, opened);
      } catch (cause) {
        reject(new ProvisionError('ssh.lost', 'Cannot open a shell: the SSH connection is closed', { cause }));
      }
    });
  }

  /** Identity of the running boot; another one after a restart. */
  async bootId(signal?: AbortSignal): Promise<string> {
    return (await this.run('cat /proc/sys/kernel/random/boot_id', { signal })).stdout.trim();
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
