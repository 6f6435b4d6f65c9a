import { spawn } from 'node:child_process';
import { HostError } from '../errors.ts';
import { reapGroup } from './reaper.ts';
import { packageOf, which } from './tools.ts';

export interface RunOptions {
  readonly signal: AbortSignal;
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly input?: string | Uint8Array;
  /** Told each line of standard error as it comes. */
  readonly onLine?: (line: string) => void;
}

export interface RunResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

/** Output kept of each stream; the rest is dropped from the front. */
const KEPT = 4 * 1024 * 1024;
const TAIL_LINES = 15;
const KILL_AFTER_MS = 3000;

/**
 * Runs a program to its end in a process group of its own, with LC_ALL=C. Aborting ends the group.
 * @throws HostError `tool.missing` naming the package, `tool.failed` with the last lines it wrote
 */
export async function run(tool: string, args: readonly string[], options: RunOptions): Promise<RunResult> {
  options.signal.throwIfAborted();
  const path = which(tool, options.env);
  if (path === undefined) {
    throw new HostError('tool.missing', `Cannot run ${tool}: it is not installed`, {
      hint: `Install the package ${packageOf(tool)}, or run: compose doctor --install`,
    });
  }
  const start = performance.now();
  let held: Disposable | undefined;
  const child = spawn(path, args, {
    cwd: options.cwd,
    env: { ...(options.env ?? process.env), LC_ALL: 'C' },
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  if (child.pid !== undefined) held = reapGroup(child.pid);
  const killGroup = (signal: NodeJS.Signals): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, signal);
    } catch {
      // The group has ended already.
    }
  };
  let killer: NodeJS.Timeout | undefined;
  const onAbort = (): void => {
    killGroup('SIGTERM');
    killer = setTimeout(() => killGroup('SIGKILL'), KILL_AFTER_MS);
  };
  options.signal.addEventListener('abort', onAbort, { once: true });
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr, options.onLine);
  child.stdin.on('error', () => {});
  child.stdin.end(options.input ?? '');
  try {
    const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (...ended) => resolve(ended));
    });
    options.signal.throwIfAborted();
    if (code !== 0) throw failed(tool, args, code, signal, stderr());
    return { stdout: stdout(), stderr: stderr(), ms: performance.now() - start };
  } finally {
    clearTimeout(killer);
    held?.[Symbol.dispose]();
    options.signal.removeEventListener('abort', onAbort);
  }
}

function failed(
  tool: string,
  args: readonly string[],
  code: number | null,
  signal: NodeJS.Signals | null,
  stderr: string,
): HostError {
  const ended = signal === null ? `exit status ${code}` : `signal ${signal}`;
  const tail = stderr.trimEnd().split('\n').slice(-TAIL_LINES);
  return new HostError('tool.failed', `Cannot continue: ${tool} failed (${ended})`, {
    hint: 'Its own last lines say why; the whole command is in the evidence.',
    evidence: { command: [tool, ...args].join(' '), stderr: tail },
  });
}

function collect(stream: NodeJS.ReadableStream, onLine?: (line: string) => void): () => string {
  let text = '';
  let partial = '';
  stream.setEncoding('utf8');
  stream.on('data', (data: string) => {
    text = (text + data).slice(-KEPT);
    if (onLine === undefined) return;
    const lines = (partial + data).split(/[\r\n]+/);
    partial = lines.pop() ?? '';
    for (const line of lines) onLine(line);
  });
  return () => text;
}
