/**
 * `npm run bench -- packer`: compose beside the real Packer, from the start of the program to the powered-off disk: the same
 * base disk, seed, memory, processors, software emulation, and steps, in turns; Packer once with the machine of packer-maas's
 * templates for cloud images, once with the arguments of compose's QEMU. `--runs=2` takes the better of two runs each.
 * Packer's settings, each in its favour where there is a choice: `packerTemplate` (bench/packer-template.ts).
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { guestPackages } from '../src/build/manifest.ts';
import { openDisk } from '../src/disk/open.ts';
import type { Context } from '../src/events.ts';
import { readContent } from '../src/filesystem/file-tree.ts';
import { findRoot } from '../src/filesystem/root.ts';
import { generateKeys } from '../src/guest/keys.ts';
import { proxyEnvironment, proxyForGuest, proxyFromEnvironment } from '../src/guest/proxy.ts';
import { packageRoot, packageVersion } from '../src/host/built-module.ts';
import { temporaryFolder } from '../src/host/folders.ts';
import { run } from '../src/host/process.ts';
import { abortOnSignals } from '../src/host/signals.ts';
import { chooseAccelerator } from '../src/machine/accelerator.ts';
import { type MachineRun, machineArgv } from '../src/machine/argv.ts';
import { findFirmware, prepareFirmware } from '../src/machine/firmware.ts';
import { plan } from '../src/recipe/plan.ts';
import { buildSeedFiles, writeNoCloud } from '../src/seed/nocloud.ts';
import { benchDisk } from './disk.ts';
import { type Build, composeBuild, type LogLine, packerBuild, phaseNames } from './packer-phases.ts';
import { composeRecipe, DISK_NAME, type Job, packerTemplate } from './packer-template.ts';

const MIB = 1024 * 1024;
const TEXT = 'a file of the host\n';
const UPLOADED = '/root/bench.txt';
/** Of a tool that failed. */
const LAST_LINES = 60;
const PROOF = '/var/lib/bench/kernel';

/** A file, a package out of the archive, a restart, and a script that fails unless there was one. */
export function benchJob(folder: string, diskSize: number): Job {
  return {
    memory: 1536 * MIB,
    cpus: 2,
    diskSize,
    user: 'root',
    steps: [
      { kind: 'upload', title: 'file', from: join(folder, 'bench.txt'), to: UPLOADED },
      {
        kind: 'shell',
        title: 'package',
        lines: ['export DEBIAN_FRONTEND=noninteractive', 'apt-get update -q', 'apt-get install -q -y hello'],
      },
      {
        kind: 'shell',
        title: 'script',
        lines: ['mkdir -p /var/lib/bench', 'cat /proc/sys/kernel/random/boot_id > /var/lib/bench/boot'],
      },
      { kind: 'reboot', title: 'restart' },
      {
        kind: 'shell',
        title: 'script after the restart',
        lines: [
          'if cmp -s /var/lib/bench/boot /proc/sys/kernel/random/boot_id; then exit 1; fi',
          `uname -r > ${PROOF}`,
        ],
      },
    ],
  };
}

/**
 * Packer's template, and the files it names, in `folder`.
 * @param accelerator of a machine with compose's own QEMU arguments; without it the machine is that of packer-maas
 */
export async function packerInput(
  job: Job,
  base: string,
  folder: string,
  accelerator: MachineRun['accelerator'] | undefined,
  signal: AbortSignal,
): Promise<string> {
  const [user, host] = [generateKeys('bench'), generateKeys('bench-host')];
  const seed = join(folder, 'seed.iso');
  const privateKey = join(folder, 'key');
  writeFileSync(privateKey, user.privateKey, { mode: 0o600 });
  const login = { user: job.user, authorizedKey: user.publicKey, hostKey: host };
  await writeNoCloud(seed, buildSeedFiles({ instanceId: 'bench', hostname: 'localhost', ...login }));
  const output = join(folder, 'output');
  const firmware = await prepareFirmware(await findFirmware('amd64'), folder, { arch: 'amd64', signal });
  const { memory, cpus: count } = job;
  const env = proxyEnvironment(proxyForGuest(proxyFromEnvironment(process.env)));
  const common = { base, output, privateKey, serialLog: join(folder, 'serial.log'), env };
  if (accelerator === undefined) {
    const machine = { code: firmware.code.path, vars: firmware.vars?.path ?? '', seed };
    return packerTemplate(job, { ...common, machine });
  }
  const argv = machineArgv(
    {
      name: 'bench',
      arch: 'amd64',
      memory,
      cpus: count,
      firmware: 'uefi',
      ssh: true,
      disks: [
        { path: join(output, DISK_NAME), format: 'qcow2', scratch: true },
        { path: seed, format: 'raw', readOnly: true },
      ],
    },
    { accelerator, firmware, qmpSocket: '', serialSocket: '', serialLog: '' },
  );
  return packerTemplate(job, { ...common, machine: { argv } });
}

/** Runs a program and keeps when each line of its standard error came. */
async function timed(tool: string, args: readonly string[], folder: string, env: NodeJS.ProcessEnv, context: Context) {
  const lines: LogLine[] = [];
  const start = performance.now();
  const onLine = (text: string): void => void lines.push({ at: performance.now() - start, text });
  const options = { ...context, cwd: folder, env: { ...process.env, ...env }, onLine };
  try {
    const { stdout } = await run(tool, args, options);
    return { lines, stdout, end: performance.now() - start };
  } catch (error) {
    const last = lines.slice(-LAST_LINES).map(({ at, text }) => `${(at / 1000).toFixed(1)} ${text}`);
    if (!context.signal.aborted) console.error(last.join('\n'));
    throw error;
  }
}

/** Packer as packer-maas has it run its machine, and Packer with the arguments of compose's own QEMU. */
const TOOLS = ['compose', 'packer', 'packer with our QEMU'] as const;
type Tool = (typeof TOOLS)[number];
type Builds = Readonly<Record<Tool, Build[]>>;

type Source = Parameters<typeof composeRecipe>[1];

async function byCompose(job: Job, source: Source, folder: string, context: Context): Promise<Build> {
  const recipe = join(folder, 'recipe.json');
  writeFileSync(recipe, composeRecipe(job, source));
  const cli = join(packageRoot(), 'dist/src/cli/main.js');
  const flags = ['--source', 'packages', '--accelerator', 'tcg', '--fast', '--out', join(folder, 'out')];
  const told = ['--keep-run', '--on-error', 'clean', '--log', 'ndjson', '--json'];
  const env = { COMPOSE_STATE: join(folder, 'state') };
  const { lines, stdout } = await timed('node', [cli, 'build', recipe, ...flags, ...told], folder, env, context);
  const { runDir } = JSON.parse(stdout) as { runDir: string };
  await proveDisk(join(runDir, DISK_NAME));
  return composeBuild(lines, job);
}

async function byPacker(job: Job, base: string, folder: string, tool: Tool, context: Context): Promise<Build> {
  const template = join(folder, 'bench.pkr.hcl');
  const accelerator = tool === 'packer with our QEMU' ? await chooseAccelerator('amd64', 'tcg') : undefined;
  writeFileSync(template, await packerInput(job, base, folder, accelerator, context.signal));
  const { lines, end } = await timed('sh', packerBuildArgs(template), folder, packerEnvironment(folder, true), context);
  await proveDisk(join(folder, 'output', DISK_NAME));
  return packerBuild(lines, end, job);
}

/** What it shows and what it logs, in the order they come. */
export function packerBuildArgs(template: string): string[] {
  return ['-c', 'exec packer build -color=false "$0" >&2', template];
}

/** Packer asks nobody for news, and leaves nothing outside of `folder`. */
export function packerEnvironment(folder: string, log = false): NodeJS.ProcessEnv {
  const [cache, config] = [join(folder, 'cache'), join(folder, 'config')];
  const places = { PACKER_CACHE_DIR: cache, PACKER_CONFIG_DIR: config, TMPDIR: folder };
  return { ...places, CHECKPOINT_DISABLE: '1', PACKER_LOG: log ? '1' : '' };
}

/** A disk on which every step was done, its file system clean. */
async function proveDisk(path: string): Promise<void> {
  await using disk = await openDisk(path);
  const { tree } = await findRoot(disk);
  const content = async (file: string): Promise<string> => {
    const data = (await tree.lookup(file))?.data;
    return data === undefined ? '' : Buffer.from(await readContent(data)).toString();
  };
  const packages = await guestPackages(path);
  const done = [(await content(UPLOADED)) === TEXT, (await content(PROOF)) !== ''];
  if (done.includes(false) || !packages.some(({ name }) => name === 'hello')) {
    throw new Error(`${path} is not what the steps make: file, script ${done.join(', ')}`);
  }
}

export async function packer(): Promise<void> {
  const asked = process.argv.find((word) => word.startsWith('--runs='))?.slice('--runs='.length);
  const runs = Math.max(1, Number(asked) || 1);
  using signals = abortOnSignals();
  const context: Context = { emit: () => {}, signal: signals.signal };
  const { path: base } = await benchDisk(['packer', 'qemu-system-x86', 'qemu-utils', 'ovmf']);
  const { source } = plan({ recipe: 'debian-12', source: 'packages' });
  if (source.kind !== 'packages') throw new Error('the plan has another source');
  const { stdout } = await run('qemu-img', ['info', '--output=json', base], context);
  const diskSize = (JSON.parse(stdout) as { 'virtual-size': number })['virtual-size'];
  // Read once before anything is timed: the comparison is with a warm cache.
  await run('sh', ['-c', 'exec cat "$0" >/dev/null', base], context);
  const builds: Builds = { compose: [], packer: [], 'packer with our QEMU': [] };
  for (let round = 0; round < runs; round++) {
    for (const tool of TOOLS) {
      await using work = await temporaryFolder('compose-packer-');
      const job = benchJob(work.path, diskSize);
      writeFileSync(join(work.path, 'bench.txt'), TEXT);
      const built = await (tool === 'compose'
        ? byCompose(job, source, work.path, context)
        : byPacker(job, base, work.path, tool, context));
      builds[tool].push(built);
      const after = built.cleanUpMs === undefined ? '' : `, its own end ${built.cleanUpMs} ms later`;
      console.log(`run ${round + 1}, ${tool}: ${(built.ms / 1000).toFixed(1)} s until the guest is off${after}`);
    }
  }
  report(builds, benchJob('', diskSize));
}

function report(builds: Builds, job: Job): void {
  const best = (of: readonly Build[]): Build => of.reduce((a, b) => (b.ms < a.ms ? b : a));
  const bests = TOOLS.map((tool) => best(builds[tool]));
  const seconds = (built: Build, phase: string): string => {
    const ms = built.phases.find((one) => one.phase === phase)?.ms;
    return ms === undefined ? '–' : (ms / 1000).toFixed(1);
  };
  console.log(`\n| seconds | ${TOOLS.join(' | ')} |\n|---|${TOOLS.map(() => '---:|').join('')}`);
  for (const phase of phaseNames(job)) {
    console.log(`| ${phase} | ${bests.map((built) => seconds(built, phase)).join(' | ')} |`);
  }
  console.log(`| **whole** | ${bests.map(({ ms }) => (ms / 1000).toFixed(1)).join(' | ')} |`);
  const ours = bests[0]?.ms ?? 0;
  const share = Object.fromEntries(TOOLS.slice(1).map((tool, at) => [tool, ours / (bests[at + 1]?.ms ?? 0)]));
  console.log('');
  for (const [tool, part] of Object.entries(share)) {
    console.log(`compose takes ${part.toFixed(2)} of the time of ${tool}, from its start to a powered-off disk`);
  }
  const firstLine = (tool: string): string =>
    execFileSync(tool, ['--version'], { encoding: 'utf8' }).split('\n', 1)[0] ?? '';
  const record = {
    version: packageVersion(),
    machine: { node: process.version, cores: availableParallelism(), cpu: cpus()[0]?.model, memory: totalmem() },
    tools: { packer: firstLine('packer'), qemu: firstLine('qemu-system-x86_64') },
    share,
    ...builds,
  };
  const folder = join(packageRoot(), 'bench/results');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'packer.json'), `${JSON.stringify(record, null, 2)}\n`);
}
