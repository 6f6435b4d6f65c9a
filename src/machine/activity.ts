import { readFileSync } from 'node:fs';
import type { QmpSession } from './qmp.ts';

/** Counters of everything a guest does that is seen from outside; each only grows. */
export interface Activity {
  /** performance.now() of the sample. */
  readonly at: number;
  /** Operations of all disks. */
  readonly disk: number;
  /** Characters of the console. */
  readonly serial: number;
  /** Frames the guest sent of its own accord. */
  readonly network: number;
  /** What the guest's processors ran, and waited for a processor of the host, ms; undefined where it cannot be known. */
  readonly cpu: { readonly ran: number; readonly waited: number } | undefined;
}

/** Samples taken this far apart, or nearer, belong together; a longer gap is a host that slept. */
const LONGEST_GAP_MS = 10_000;
/** A processor that would run less than this part of the time is idle: an emulated guest's clock takes some. */
const IDLE_SHARE = 0.2;

export interface Idleness {
  /** So long has nothing gone on at all, ms. */
  readonly idleMs: number;
  /** So long has nothing gone on but that its processors were busy, ms; 0 when they are idle. */
  readonly spinningMs: number;
}

/** Measures from samples how long a guest has done nothing. */
export class IdleMeter {
  #last: Activity | undefined;
  #idleSince = 0;
  #silentSince = 0;
  #busy = false;

  take(sample: Activity): Idleness {
    const last = this.#last;
    this.#last = sample;
    if (last === undefined || sample.at - last.at > LONGEST_GAP_MS) {
      this.#idleSince = sample.at;
      this.#silentSince = sample.at;
      return { idleMs: 0, spinningMs: 0 };
    }
    const silent = sample.disk === last.disk && sample.serial === last.serial && sample.network === last.network;
    this.#busy = processorShare(last, sample) >= IDLE_SHARE;
    if (!silent) this.#silentSince = sample.at;
    if (!silent || this.#busy) this.#idleSince = sample.at;
    const spinningMs = this.#busy ? sample.at - this.#silentSince : 0;
    return { idleMs: sample.at - this.#idleSince, spinningMs };
  }

  restart(): void {
    this.#last = undefined;
  }
}

/**
 * Which part of the time the guest's processors would have run had the host always had one for them. On a host that is
 * busy itself a guest at work gets little; what it waited is left out of the time.
 */
export function processorShare(from: Activity, to: Activity): number {
  if (from.cpu === undefined || to.cpu === undefined) return 0;
  const ran = to.cpu.ran - from.cpu.ran;
  const had = Math.max(to.at - from.at - Math.max(0, to.cpu.waited - from.cpu.waited), ran, 1);
  return ran / had;
}

/** Reads a guest's counters: over QMP, and of its processors' threads from the host's kernel. */
export class ActivityProbe {
  readonly #qmp: QmpSession;
  readonly #pid: number;
  readonly #serial: () => number;
  readonly #network: () => number;
  #threads: readonly number[] | undefined;

  constructor(qmp: QmpSession, pid: number, serial: () => number, network: () => number) {
    this.#qmp = qmp;
    this.#pid = pid;
    this.#serial = serial;
    this.#network = network;
  }

  /** @throws MachineError `qmp.timeout` when QEMU does not answer within `timeoutMs`, `qmp.closed` */
  async sample(timeoutMs: number): Promise<Activity> {
    if (this.#threads === undefined) {
      const processors = await this.#qmp.command('query-cpus-fast', {}, { timeoutMs });
      this.#threads = [...new Set(processors.map((one) => one['thread-id']))];
    }
    const devices = await this.#qmp.command('query-blockstats', {}, { timeoutMs, routine: true });
    const disk = devices.reduce(
      (sum, { stats }) => sum + stats.rd_operations + stats.wr_operations + stats.flush_operations,
      0,
    );
    const cpu = threadTimes(this.#pid, this.#threads);
    return { at: performance.now(), disk, serial: this.#serial(), network: this.#network(), cpu };
  }
}

/** What threads of a process ran and waited, ms (Linux Documentation/scheduler/sched-stats, per-task schedstat). */
function threadTimes(pid: number, threads: readonly number[]): Activity['cpu'] {
  let ran = 0;
  let waited = 0;
  try {
    for (const thread of threads) {
      const [run = 0, wait = 0] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ').map(Number);
      ran += run / 1e6;
      waited += wait / 1e6;
    }
  } catch {
    return undefined;
  }
  return { ran, waited };
}
