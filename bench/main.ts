/**
 * `npm run bench`: compose's packing beside the ways people pack today, on the same disk in the same run. Prints ratios
 * of time and output size with peak memory and temporary space, and writes every run with the machine's facts and the
 * versions of the rivals to `bench/results/`. `npm run bench -- txz tbz` compares these outputs only; `--disk=<qcow2>` takes
 * another disk than Debian 12 from packages. Needs root for the rivals that read through the kernel's own mount.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir, totalmem } from 'node:os';
import { join, relative } from 'node:path';
import { packageRoot } from '../src/host/built-module.ts';
import { type BenchDisk, benchDisk, type DiskName, describeDisk, type MountedRoot, mountRoot } from './disk.ts';
import { type Measured, measure } from './measure.ts';
import { type BenchKind, diskOf, KINDS, LARGE, RIVALS, type Rival } from './rivals.ts';
import { describeRow, markdownTable, type Row } from './table.ts';
import { versionsOf } from './versions.ts';

/** What one run of a way of packing cost, and the size of what it made. */
type Run = Measured & { readonly size: number; readonly packMs?: number };

interface Way {
  readonly title: string;
  readonly runs: number;
  readonly run: () => Promise<Run>;
}

/** Runs the ways one after another, again and again, until each has its runs: a host that slows down slows them all. */
async function inTurns(kind: string, ways: readonly Way[]): Promise<Row[]> {
  const runs = ways.map((): Run[] => []);
  for (let round = 0; round < Math.max(...ways.map((way) => way.runs)); round++) {
    for (const [at, way] of ways.entries()) if (round < way.runs) runs[at]?.push(await way.run());
  }
  return ways.map(({ title }, at) => best(runs[at] ?? [], title, kind));
}

/** The fastest run; the most memory and room that any took. */
function best(runs: readonly Run[], title: string, kind: string): Row {
  return {
    title,
    kind,
    size: runs.at(-1)?.size ?? 0,
    ms: Math.min(...runs.map((run) => run.ms)),
    packMs: runs.some((run) => run.packMs === undefined) ? undefined : Math.min(...runs.map((run) => run.packMs ?? 0)),
    peakMemory: Math.max(...runs.map((run) => run.peakMemory)),
    peakTemporary: Math.max(...runs.map((run) => run.peakTemporary)),
    runs: runs.map(({ ms, packMs, size, peakMemory, peakTemporary }) => ({
      ms,
      packMs,
      size,
      peakMemory,
      peakTemporary,
    })),
  };
}

/** The disk as the beginning of a larger one, nothing copied. */
async function largeDisk(path: string, work: string): Promise<string> {
  const large = join(work, 'large.qcow2');
  const command = `qemu-img create -q -f qcow2 -b "${path}" -F qcow2 "${large}" ${LARGE.size}`;
  mustSucceed(await measure(command, { cwd: work }), 'qemu-img create');
  return large;
}

/** The disks of the kinds, each mounted once. */
class Disks implements AsyncDisposable {
  readonly #work: string;
  readonly #all = new Map<DiskName, MountedRoot & { readonly disk: BenchDisk }>();

  constructor(work: string) {
    this.#work = work;
  }

  async add(name: DiskName, disk: BenchDisk): Promise<MountedRoot> {
    const mounted = { ...(await mountRoot(disk, this.#work)), disk };
    this.#all.set(name, mounted);
    return mounted;
  }

  of(kind: BenchKind): MountedRoot & { readonly disk: BenchDisk } {
    const mounted = this.#all.get(diskOf(kind));
    if (mounted === undefined) throw new Error(`the disk of ${kind} is not mounted`);
    return mounted;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const mounted of this.#all.values()) await mounted[Symbol.asyncDispose]();
  }
}

function mustSucceed(run: Measured, title: string): Measured {
  if (run.exitCode !== 0) throw new Error(`${title} ended with ${run.exitCode}: ${run.stderr}`);
  return run;
}

/** What the run before left to be written is written, and does not take from the next one's time. */
function settle(): void {
  execFileSync('sync');
}

/** Milliseconds from the first phase of a run, in which the root is looked for, to the last artifact under its name. */
function packing(events: string): number {
  const told = events
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { type: string; time: string });
  const first = told.find(({ type }) => type === 'phase');
  const last = told.findLast(({ type }) => type === 'artifact');
  if (first === undefined || last === undefined) throw new Error(`compose told nothing of its packing:\n${events}`);
  return Date.parse(last.time) - Date.parse(first.time);
}

async function main(): Promise<void> {
  const work = mkdtempSync(join(tmpdir(), 'compose-bench-'));
  const rows: Row[] = [];
  const composeRows = new Map<string, Row>();
  try {
    const given = process.argv.find((word) => word.startsWith('--disk='))?.slice('--disk='.length);
    const named = process.argv.slice(2).filter((word) => Object.hasOwn(KINDS, word)) as BenchKind[];
    const all = (Object.keys(KINDS) as BenchKind[]).filter((kind) => given === undefined || diskOf(kind) === 'usual');
    const kinds = named.length > 0 ? named : all;
    const rivals = RIVALS.filter((rival) => kinds.includes(rival.kind));
    const packages = [...new Set(rivals.flatMap((rival) => rival.packages))];
    await using disks = new Disks(work);
    for (const name of new Set(kinds.map(diskOf))) {
      const disk = given === undefined ? await benchDisk(packages, name) : await describeDisk(given);
      const { path, usedBytes } = await disks.add(name, disk);
      console.log(`${name} disk: ${disk.path}, root partition ${disk.partition}, ${usedBytes} bytes used`);
      // Every rival's input is read once before anything is timed: the comparison is with a warm cache.
      const warm = `cat "${disk.path}" > /dev/null; tar -cf - -C "${path}" . > /dev/null`;
      mustSucceed(await measure(warm, { cwd: work }), 'warm');
    }

    const cli = join(packageRoot(), 'dist/src/cli/main.js');
    const large = kinds.includes(LARGE.kind) ? await largeDisk(disks.of(LARGE.kind).disk.path, work) : '';
    const runCompose = async (kind: BenchKind): Promise<Run> => {
      const { flags, suffix } = KINDS[kind];
      const { disk } = disks.of(kind);
      const path = kind === LARGE.kind ? large : disk.path;
      const out = join(work, `compose-${kind}`);
      const events = join(work, 'events');
      const temporary = mkdtempSync(join(work, 'tmp-'));
      const pack = `node "${cli}" pack "${path}" --no-seal ${flags} --name bench --out "${out}" --log ndjson`;
      settle();
      const run = await measure(`TMPDIR="${temporary}" ${pack} 2> "${events}"`, { cwd: work, temporary });
      mustSucceed({ ...run, stderr: readFileSync(events, 'utf8') }, 'compose');
      const { size } = statSync(join(out, `bench.${suffix}`));
      rmSync(out, { recursive: true });
      return { ...run, size, packMs: packing(readFileSync(events, 'utf8')) };
    };
    const runRival = async (rival: Rival): Promise<Run> => {
      const { disk, path, mounted } = disks.of(rival.kind);
      const out = join(work, `${rival.id}.out`);
      const temporary = mkdtempSync(join(work, 'tmp-'));
      const values = {
        DISK: disk.path,
        PART: String(disk.partition),
        MNT: path,
        MOUNTED: mounted,
        TMP: temporary,
        OUT: out,
        CLI: cli,
        BARE: join(packageRoot(), 'dist/bench/bare-workers.js'),
      };
      const settings = Object.entries(values).map(([key, value]) => `${key}='${value}'`);
      // compose ends when its file is durable.
      const script = `${settings.join('\n')}\n${rival.script}\nsync "$OUT"`;
      settle();
      const run = mustSucceed(await measure(script, { cwd: work, temporary }), rival.title);
      const ms = rival.timesItself ? Number(readFileSync(join(temporary, 'ms'), 'utf8')) : run.ms;
      const { size } = statSync(out);
      rmSync(temporary, { recursive: true });
      rmSync(out);
      return { ...run, ms, size };
    };
    for (const kind of kinds) {
      const own = { title: 'compose', runs: KINDS[kind].runs, run: () => runCompose(kind) };
      const others = rivals
        .filter((rival) => rival.kind === kind)
        .map((rival) => ({ title: rival.title, runs: rival.runs, run: () => runRival(rival) }));
      const [row, ...rest] = await inTurns(kind, [own, ...others]);
      if (row !== undefined) composeRows.set(kind, row);
      for (const [at, { timesItself, packages }] of rivals.filter((rival) => rival.kind === kind).entries()) {
        const measured = rest[at];
        if (measured === undefined) continue;
        const rival = { ...measured, versions: versionsOf(packages) };
        rows.push(rival);
        const title = 'the same beside compose from its first phase to its last artifact';
        if (timesItself) rows.push({ ...rival, title, besidePacking: true });
      }
      for (const one of [row, ...rest]) if (one !== undefined) console.log(describeRow(one));
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }

  const ordinary = composeRows.get(LARGE.beside);
  if (ordinary !== undefined && composeRows.has(LARGE.kind)) {
    rows.push({ ...ordinary, title: 'compose, the same data in a disk of 4 GiB', kind: LARGE.kind });
  }
  const report = [...composeRows.values()].map((base) => {
    const table = markdownTable(
      base,
      rows.filter((row) => row.kind === base.kind),
    );
    return `### ${base.kind}\n\n${table}`;
  });
  const versions = Object.assign({}, ...rows.map((row) => row.versions ?? {})) as Record<string, string>;
  const told = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  console.log(`\n${report.join('\n\n')}\n\nRivals: ${told.join(', ')}.`);
  const folder = join(packageRoot(), 'bench/results');
  mkdirSync(folder, { recursive: true });
  const machine = { node: process.version, cores: availableParallelism(), cpu: cpus()[0]?.model, memory: totalmem() };
  const { version } = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')) as { version: string };
  const record = { date: new Date().toISOString(), version, machine, compose: [...composeRows.values()], rivals: rows };
  const path = join(folder, `pack-${[...composeRows.keys()].join('-')}.json`);
  writeFileSync(path, `${JSON.stringify(record, null, 2)}\n`);
  console.log(`Every run is in ${relative(process.cwd(), path)}.`);
}

if (process.argv.includes('first-command')) await (await import('./first-command.ts')).firstCommand();
else if (process.argv.includes('failures')) await (await import('./failures.ts')).failures();
else if (process.argv.includes('readiness')) await (await import('./readiness.ts')).readiness();
else if (process.argv.includes('memory')) await (await import('./memory.ts')).memory();
else if (process.argv.includes('libraries')) await (await import('./libraries/main.ts')).libraries();
else if (process.argv.includes('packer')) await (await import('./packer.ts')).packer();
else await main();
