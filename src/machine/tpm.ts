import { join } from 'node:path';
import { HostError, MachineError } from '../errors.ts';
import { appearance } from '../host/appearance.ts';
import { makeFolder } from '../host/make-folder.ts';
import { killGroup, spawnTied } from '../host/tied-process.ts';
import { packageOf, which } from '../host/tools.ts';

/** A TPM 2.0 that waits for QEMU. */
export interface Tpm extends AsyncDisposable {
  /** Control socket, for QEMU's -chardev. */
  readonly socket: string;
  readonly pid: number;
}

const KEPT = 4000;
const FOLDER = 'tpm';
const SOCKET = 'tpm';
/** Written when the socket takes connections; the socket itself is there a moment before it does. */
const READY = 'tpm.pid';

/** Where a run keeps the state of its TPM. */
export function tpmState(runDir: string): string {
  return join(runDir, FOLDER);
}

/** The command of a TPM: its control socket and, once that takes connections, its process file are in `sockets`. */
export function tpmCommand(program: string, sockets: string, state: string): readonly [string, ...string[]] {
  return [
    program,
    ...['socket', '--tpm2', '--tpmstate', `dir=${state},mode=0600`],
    ...['--ctrl', `type=unixio,path=${join(sockets, SOCKET)},mode=0600`],
    ...['--terminate', '--pid', `file=${join(sockets, READY)}`],
  ];
}

/**
 * Starts swtpm and waits until its control socket takes connections. It ends when QEMU closes the connection, with compose however that ends,
 * and when disposed. Its state is in `state`, which is made, and a TPM that has none there is a new one.
 * @param sockets a folder of short path: a socket's path has at most 107 bytes
 * @throws HostError `tool.missing`; MachineError `tpm.failed` with what swtpm said
 */
export async function startTpm(
  sockets: string,
  state: string,
  options: { readonly signal: AbortSignal; readonly program?: string },
): Promise<Tpm> {
  options.signal.throwIfAborted();
  const program = options.program ?? 'swtpm';
  const path = which(program);
  if (path === undefined) {
    throw new HostError('tool.missing', `Cannot emulate a TPM: ${program} is not installed`, {
      hint: `Install the package ${packageOf(program)}, or run: compose doctor --install`,
    });
  }
  await makeFolder(state);
  const socket = join(sockets, SOCKET);
  const ready = join(sockets, READY);
  const [command, ...argv] = tpmCommand(path, sockets, state);
  const child = spawnTied(command, argv);
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-KEPT);
  });
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) => resolve(signal === null ? `exit status ${code}` : `signal ${signal}`));
  });
  const dispose = async (): Promise<void> => {
    killGroup(child);
    await ended;
  };
  const waiting = new AbortController();
  const signal = AbortSignal.any([options.signal, waiting.signal]);
  try {
    const early = await Promise.race([ended, appearance(ready, signal)]);
    if (early !== undefined) {
      throw new MachineError('tpm.failed', `Cannot emulate a TPM: swtpm ended by itself (${early})`, {
        hint: 'Its own last lines say why.',
        evidence: { stderr: said.trimEnd().split('\n').slice(-10) },
      });
    }
  } catch (error) {
    await dispose();
    throw error;
  } finally {
    waiting.abort();
  }
  return { socket, pid: child.pid ?? -1, [Symbol.asyncDispose]: dispose };
}
