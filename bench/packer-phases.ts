/** Where the time of a build went, by the same phases for both tools. */
import type { Job } from './packer-template.ts';

/** A line of a tool's log and when it came, ms since the tool was started. */
export interface LogLine {
  readonly at: number;
  readonly text: string;
}

export interface Phase {
  readonly phase: string;
  readonly ms: number;
}

/** What a tool took from its start until it knew that the guest was off: the sum of its phases. */
export interface Build {
  readonly ms: number;
  readonly phases: readonly Phase[];
  /** From then until the tool ended by itself; of compose not measured, for it goes on to pack. */
  readonly cleanUpMs?: number;
}

const BEFORE = 'before QEMU runs';
const LOGIN = 'boot to login';
const CLOUD_INIT = 'wait for cloud-init';
const TRIM = 'trim';
const POWER_OFF = 'power off';

/** Every phase of the table, in order. */
export function phaseNames(job: Pick<Job, 'steps'>): string[] {
  return [BEFORE, LOGIN, CLOUD_INIT, ...job.steps.map(({ title }) => title), TRIM, POWER_OFF];
}

interface Mark {
  readonly phase: string;
  /** End of the phase, ms since the start. */
  readonly end: number;
}

function build(marks: readonly Mark[]): Build {
  const phases = marks.map(({ phase, end }, index) => ({ phase, ms: Math.round(end - (marks[index - 1]?.end ?? 0)) }));
  return { ms: Math.round(marks.at(-1)?.end ?? 0), phases };
}

/** The phases in compose's own events, one JSON object a line. */
export function composeBuild(lines: readonly LogLine[], job: Pick<Job, 'steps'>): Build {
  const marks: Mark[] = [];
  const named = new Map([
    ['start', BEFORE],
    ['boot', LOGIN],
    ['cloud-init', CLOUD_INIT],
    ...job.steps.map(({ title }, index) => [`step ${index + 1}: ${title}`, title] as const),
    ['trim', TRIM],
    ['power off', POWER_OFF],
  ]);
  for (const { at, text } of lines) {
    const event = text.startsWith('{') ? (JSON.parse(text) as Record<string, unknown>) : {};
    if (event.type !== 'phase' || event.state !== 'done') continue;
    const phase = named.get(String(event.phase));
    if (phase === undefined) continue;
    marks.push({ phase, end: at });
    if (phase === POWER_OFF) break;
  }
  return whole(marks, job, [], 'compose');
}

/** What Packer shows when a provisioner of the shell or the file begins, and at the ends of the others. */
const PROVISIONER = /^==> \S+: (?:Provisioning with shell script|Uploading \S+ => )/;
const CONNECTED = /^==> \S+: Connected to SSH/;
const HALTS = /^==> \S+: Gracefully halting/;
/** What it logs alone. */
const QEMU_RUNS = /Executing \S*qemu-system/;
const OFF = /VM shut down/;

/** The phases in what Packer shows and logs (PACKER_LOG=1); it ended by itself at `end`. */
export function packerBuild(lines: readonly LogLine[], end: number, job: Pick<Job, 'steps'>): Build {
  const marks: Mark[] = [];
  const steps = [CLOUD_INIT, ...job.steps.map(({ title }) => title)];
  let running: string | undefined;
  const next = (at: number): void => {
    if (running !== undefined) marks.push({ phase: running, end: at });
  };
  for (const { at, text } of lines) {
    if (QEMU_RUNS.test(text) && running === undefined) {
      marks.push({ phase: BEFORE, end: at });
      running = LOGIN;
    } else if (CONNECTED.test(text) && running === LOGIN) {
      next(at);
      running = undefined;
    } else if (PROVISIONER.test(text) && steps.length > 0) {
      next(at);
      running = steps.shift();
    } else if (HALTS.test(text)) {
      next(at);
      running = POWER_OFF;
    } else if (OFF.test(text) && running === POWER_OFF) {
      next(at);
      running = undefined;
      break;
    }
  }
  const built = whole(marks, job, [TRIM], 'Packer');
  return { ...built, cleanUpMs: Math.round(end - built.ms) };
}

/** A log that was read wrongly must not become a figure. */
function whole(marks: readonly Mark[], job: Pick<Job, 'steps'>, without: readonly string[], tool: string): Build {
  const wanted = phaseNames(job).filter((phase) => !without.includes(phase));
  const found = marks.map(({ phase }) => phase);
  if (found.join() !== wanted.join()) {
    throw new Error(`the log of ${tool} has the phases ${found.join(', ')}, not ${wanted.join(', ')}`);
  }
  return build(marks);
}
