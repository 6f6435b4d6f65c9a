import { spawn } from 'node:child_process';
import { createWriteStream, readdirSync, readFileSync, statSync } from 'node:fs';
import { finished } from 'node:stream/promises';

/** What one run of a command cost. */
export interface Measured {
  readonly ms: number;
  /** Largest sum of resident memory over the command and all its descendants, bytes, sampled. */
  readonly peakMemory: number;
  /** Largest number of bytes the command had in its temporary folder, sampled, its final output not counted. */
  readonly peakTemporary: number;
  readonly exitCode: number | null;
  readonly stderr: string;
}

const SAMPLE_MS = 40;
const PAGE = 4096;

/**
 * Runs `command` with bash in a session of its own and samples what it uses. Descendants are found by session id, so
 * servers a script leaves in the background (qemu-nbd, nbdkit) are counted as long as they live.
 */
export async function measure(
  command: string,
  options: { readonly cwd: string; readonly temporary?: string; readonly stdoutTo?: string },
): Promise<Measured> {
  const start = performance.now();
  const child = spawn('bash', ['-euc', command], {
    cwd: options.cwd,
    detached: true,
    stdio: ['ignore', options.stdoutTo ? 'pipe' : 'ignore', 'pipe'],
    env: { ...process.env, LC_ALL: 'C' },
  });
  const stderr: Buffer[] = [];
  child.stderr?.on('data', (data: Buffer) => stderr.push(data));
  const sink = options.stdoutTo ? createWriteStream(options.stdoutTo) : undefined;
  if (sink) child.stdout?.pipe(sink);
  let peakMemory = 0;
  let peakTemporary = 0;
  const others = new Set<string>();
  const sample = (): void => {
    peakMemory = Math.max(peakMemory, sessionMemory(child.pid ?? -1, others));
    if (options.temporary) peakTemporary = Math.max(peakTemporary, folderBytes(options.temporary));
  };
  const timer = setInterval(sample, SAMPLE_MS);
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code));
  });
  if (sink) await finished(sink.end());
  clearInterval(timer);
  return {
    ms: performance.now() - start,
    peakMemory,
    peakTemporary,
    exitCode,
    stderr: Buffer.concat(stderr).toString().slice(-2000),
  };
}

/**
 * `others` are processes of other sessions, which grows: to look at all of them every time took a thirtieth of a processor
 * from what is measured. A process of the session begins with the session of its parent, so that none of it gets in there.
 */
function sessionMemory(session: number, others: Set<string>): number {
  let total = 0;
  for (const name of readdirSync('/proc')) {
    if (others.has(name) || !/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (Number(fields[3]) !== session) {
        others.add(name);
        continue;
      }
      total += Number(readFileSync(`/proc/${name}/statm`, 'latin1').split(' ')[1]) * PAGE;
    } catch {
      // The process ended between the listing and the read.
    }
  }
  return total;
}

/** Bytes that the files in `folder` take on its storage. */
export function folderBytes(folder: string): number {
  let total = 0;
  try {
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      total += statBlocks(`${entry.parentPath}/${entry.name}`);
    }
  } catch {
    // A file vanished while it was being counted; the next sample sees the rest.
  }
  return total;
}

function statBlocks(path: string): number {
  try {
    return statSync(path).blocks * 512;
  } catch {
    return 0;
  }
}
