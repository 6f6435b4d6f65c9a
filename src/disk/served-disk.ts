import type { ChildProcess } from 'node:child_process';
import { existsSync, watch } from 'node:fs';
import { join } from 'node:path';
import { FormatError, HostError, PackError } from '../errors.ts';
import { temporaryFolder } from '../host/folders.ts';
import { killGroup, spawnTied } from '../host/tied-process.ts';
import { packageOf, which } from '../host/tools.ts';
import type { ByteServer } from './block-source.ts';
import { FORMAT_NAMES, type ServedFormat } from './image-format.ts';
import { type NbdRun, NbdSession } from './nbd.ts';

/** A disk whose image format another process understands. */
export interface ServedDisk extends ByteServer, AsyncDisposable {
  /** Bytes. */
  readonly size: number;
  /** What is allocated of [offset, offset + length): runs in order that cover it exactly. */
  status(offset: number, length: number): Promise<readonly NbdRun[]>;
}

export type ServeDisk = (
  path: string,
  format: ServedFormat,
  options: { readonly signal?: AbortSignal | undefined },
) => Promise<ServedDisk>;

const SERVER = 'qemu-nbd';
const START_MS = 30_000;
const KEPT = 16 * 1024;
const DRIVERS: Readonly<Record<ServedFormat, string>> = { vmdk: 'vmdk', vhdx: 'vhdx', vhd: 'vpc', vdi: 'vdi' };

/**
 * Has qemu-nbd export the image at `path`, an absolute path, read-only at a unix socket only this user can reach. It
 * ends with the disk, and with compose however that ends. QEMU follows what the image refers to: the extents of a
 * VMDK, the parents of any.
 * @throws HostError `tool.missing`; FormatError `disk.not-served` with what QEMU says of the image; PackError
 *   `disk.server-silent`; what `NbdSession.connect` throws
 */
export const serveDisk: ServeDisk = async (path, format, { signal }) => {
  signal?.throwIfAborted();
  const program = which(SERVER);
  if (program === undefined) {
    throw new HostError('tool.missing', `Cannot run ${SERVER}: it is not installed`, {
      hint: `compose reads ${FORMAT_NAMES[format]} through it: install the package ${packageOf(SERVER)} (Debian, Ubuntu) or qemu-img (Fedora).`,
      evidence: { file: path },
    });
  }
  const folder = await temporaryFolder('compose-nbd-');
  const socket = join(folder.path, 'nbd');
  const ready = join(folder.path, 'pid');
  const options = ['--read-only', `--format=${DRIVERS[format]}`, `--socket=${socket}`, `--pid-file=${ready}`];
  const server = new Server(spawnTied(program, [...options, '--', path]));
  const dispose = async (): Promise<void> => {
    await server[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  };
  try {
    await server.ready(folder.path, ready, { path, format, signal });
    const evidence = () => ({ file: path, stderr: server.lines() });
    const session = await NbdSession.connect(socket, { signal, evidence });
    // Nobody else is to connect, and a compose that is killed leaves nothing behind.
    await folder[Symbol.asyncDispose]();
    return {
      size: session.size,
      read: (offset, into) => session.read(offset, into),
      status: (offset, length) => session.status(offset, length),
      [Symbol.asyncDispose]: async () => {
        await session[Symbol.asyncDispose]();
        await server[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await dispose();
    throw error;
  }
};

/** The process, and what it says. */
class Server implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  #stderr = '';

  constructor(child: ChildProcess) {
    this.#child = child;
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-KEPT);
    });
    this.#exited = new Promise((resolve) => {
      child.once('error', () => resolve());
      child.once('close', () => resolve());
    });
  }

  /** Its last lines. */
  lines(): string[] {
    return this.#stderr.trimEnd().split('\n').slice(-5);
  }

  /** Waits until the file `mark` is in `folder`: it is written when the socket listens and the image is open. */
  async ready(
    folder: string,
    mark: string,
    { path, format, signal }: { path: string; format: ServedFormat; signal: AbortSignal | undefined },
  ): Promise<void> {
    const ended = this.#exited.then(() => {
      const said =
        this.lines()
          .at(-1)
          ?.replace(/^qemu-nbd: /, '') ?? '';
      throw new FormatError('disk.not-served', `Cannot read the ${FORMAT_NAMES[format]} image: ${said} (${path})`, {
        hint: `QEMU cannot open it; \`qemu-img info ${path}\` says the same.`,
        evidence: { file: path, stderr: this.lines() },
      });
    });
    const over = new AbortController();
    const onAbort = (): void => over.abort(signal?.reason);
    const timer = setTimeout(() => over.abort(silent(path, this.lines())), START_MS);
    signal?.addEventListener('abort', onAbort);
    if (signal?.aborted === true) onAbort();
    const racers = [ended, appears(folder, mark, over.signal)];
    for (const racer of racers) racer.catch(() => {});
    try {
      await Promise.race(racers);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      // The watcher would keep compose running.
      over.abort();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // It serves read-only, so it has nothing to lose.
    killGroup(this.#child);
    await this.#exited;
  }
}

function silent(path: string, stderr: readonly string[]): PackError {
  return new PackError('disk.server-silent', `Cannot read the disk: ${SERVER} did not start within ${START_MS} ms`, {
    hint: 'The host may be overloaded; run the command again.',
    evidence: { file: path, stderr },
  });
}

/** Resolves when `file` is in `folder`; rejects with the reason of `end`. */
function appears(folder: string, file: string, end: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const watcher = watch(folder, () => {
      if (existsSync(file)) finish(resolve);
    });
    const onAbort = (): void => finish(() => reject(end.reason));
    const finish = (settle: () => void): void => {
      watcher.close();
      end.removeEventListener('abort', onAbort);
      settle();
    };
    watcher.on('error', (error) => finish(() => reject(error)));
    end.addEventListener('abort', onAbort);
    if (end.aborted) onAbort();
    else if (existsSync(file)) finish(resolve);
  });
}
