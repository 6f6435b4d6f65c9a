import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { isAbsolute, join, relative, resolve, sep } from 'node:path';
import { MachineError, UsageError } from '../errors.ts';
import { nearest } from '../formats/suggest.ts';
import { stateFolder } from '../host/folders.ts';

/** What another process needs to find a machine that runs. It lies in the run's folder while the machine does. */
export interface RunningRecord {
  readonly version: 1;
  readonly name: string;
  /** Of QEMU. */
  readonly pid: number;
  /** ISO 8601. */
  readonly started: string;
  /** QMP socket that no one but `compose attach` uses. */
  readonly attachSocket: string;
  readonly serialLog: string;
}

export interface RunningRun extends RunningRecord {
  readonly runDir: string;
}

const FILE = 'machine.json';
/** The machine of an installer, and both of a rehearsal, have a folder of their own in the run's. */
const PARTS = ['install', 'deploy', 'boot'];
/** Each session of `compose debug` has one in here. */
const SESSIONS = 'debug';

/** Writes `record` into the run's folder; disposing removes it. */
export async function recordRunning(runDir: string, record: Omit<RunningRecord, 'version'>): Promise<AsyncDisposable> {
  const file = join(runDir, FILE);
  const whole: RunningRecord = { version: 1, ...record };
  await writeFile(file, `${JSON.stringify(whole, null, 2)}\n`, { mode: 0o600 });
  return { [Symbol.asyncDispose]: () => rm(file, { force: true }) };
}

/** The machines whose QEMU lives, newest first, of the runs under the state folder. */
export async function runningRuns(env: NodeJS.ProcessEnv = process.env): Promise<RunningRun[]> {
  const folder = resolve(stateFolder(env), 'runs');
  const names = await readdir(folder).catch(() => []);
  const runs = await Promise.all(names.map((name) => runsIn(join(folder, name))));
  return newestFirst(runs.flat());
}

/** The machines of one run: its own, and those of its parts. */
async function runsIn(runDir: string): Promise<RunningRun[]> {
  const sessions = await readdir(join(runDir, SESSIONS)).catch(() => []);
  const parts = [...PARTS, ...sessions.map((name) => join(SESSIONS, name))].map((part) => join(runDir, part));
  const runs = await Promise.all([runDir, ...parts].map(readRun));
  return runs.filter((run) => run !== undefined);
}

function newestFirst(runs: readonly RunningRun[]): RunningRun[] {
  return [...runs].sort((a, b) => b.started.localeCompare(a.started));
}

/**
 * The run that `which` means: a run's folder, the name of one, the name of a recipe, or the beginning of either; without it the
 * only one there is.
 * @throws UsageError `attach.none`, `attach.which`, `attach.unknown`; MachineError `attach.ended`
 */
export async function findRunning(
  which: string | undefined,
  env: NodeJS.ProcessEnv = process.env,
): Promise<RunningRun> {
  if (which !== undefined && (isAbsolute(which) || which.includes('/'))) {
    const [run] = newestFirst(await runsIn(resolve(which)));
    if (run !== undefined) return run;
    throw new MachineError('attach.ended', `Cannot attach: no machine runs in that folder (${which})`, {
      hint: 'Its machine has ended; the screenshots and logs there show how.',
    });
  }
  const runs = await runningRuns(env);
  if (runs.length === 0) {
    throw new UsageError('attach.none', 'Cannot attach: no machine of compose is running for this user', {
      hint: 'Start one with compose build; COMPOSE_STATE must be the same for both.',
    });
  }
  // The name of the run that a part belongs to stands for the part too.
  const top = resolve(stateFolder(env), 'runs');
  const namesOf = (run: RunningRun): string[] => [run.name, relative(top, run.runDir).split(sep)[0] ?? ''];
  const exact = runs.filter((run) => namesOf(run).includes(which ?? ''));
  const begins = runs.filter((run) => which !== undefined && namesOf(run).some((name) => name.startsWith(which)));
  const meant = which === undefined ? runs : exact.length > 0 ? exact : begins;
  if (meant.length === 1) return meant[0]!;
  const evidence = { running: runs.map((run) => `${namesOf(run)[1]}  ${run.name}  since ${run.started}`) };
  if (meant.length === 0) {
    const near = nearest(which ?? '', runs.flatMap(namesOf));
    const hint = `${near === undefined ? '' : `Did you mean ${near}? `}Name one of those that run.`;
    throw new UsageError('attach.unknown', `Cannot attach: no running machine has that name (${which})`, {
      hint,
      evidence,
    });
  }
  throw new UsageError('attach.which', `Cannot attach: ${meant.length} machines are running`, {
    hint: 'Name one of them: compose attach RUN',
    evidence,
  });
}

async function readRun(runDir: string): Promise<RunningRun | undefined> {
  try {
    const record = JSON.parse(await readFile(join(runDir, FILE), 'utf8')) as Partial<RunningRecord>;
    const { version, name, pid, started, attachSocket, serialLog } = record;
    if (version !== 1 || typeof pid !== 'number' || !Number.isSafeInteger(pid) || pid <= 0) return undefined;
    if ([name, started, attachSocket, serialLog].some((value) => typeof value !== 'string')) return undefined;
    // A compose that was killed leaves its record; QEMU died with it.
    process.kill(pid, 0);
    return { ...(record as RunningRecord), runDir };
  } catch {
    return undefined;
  }
}
