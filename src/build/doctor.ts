import { access, constants, readdir, statfs } from 'node:fs/promises';
import { freemem } from 'node:os';
import { dirname } from 'node:path';
import { HostError, isComposeError } from '../errors.ts';
import type { Context } from '../events.ts';
import { columns, humanSize } from '../formats/human.ts';
import { aptInstall } from '../host/apt.ts';
import { cacheFolder, stateFolder } from '../host/folders.ts';
import { makeFolder } from '../host/make-folder.ts';
import { packageOf, which } from '../host/tools.ts';
import { type AcceleratorPolicy, chooseAccelerator } from '../machine/accelerator.ts';
import { type Arch, hostArch } from '../machine/arch.ts';
import { BOARDS } from '../machine/board.ts';
import { findFirmware } from '../machine/firmware.ts';
import type { Codec } from '../pack/codec.ts';
import { openEngine } from '../pack/engine.ts';
import { FILE_TYPES } from '../pack/filetypes.ts';
import { mostMemory, type Plan } from '../recipe/plan.ts';

/** One thing a build needs of its host. */
export interface Check {
  readonly id: string;
  readonly what: string;
  /** `warn` does not stop a build. */
  readonly state: 'ok' | 'warn' | 'missing';
  readonly found: string;
  /** What to do about it; empty where it is fine. */
  readonly remedy: string;
  /** Debian packages that bring it. */
  readonly packages: readonly string[];
}

/** What a plan asks of a host; without a plan everything is looked at. */
export type Needs = Pick<Plan, 'arch' | 'source' | 'machine' | 'artifacts'>;

const PACKAGE_TOOLS = ['mmdebstrap', 'mke2fs', 'mformat', 'mcopy', 'gpgv'];
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
/** Room beside the disk's own length: the overlay and the artifacts of an ordinary build. */
const DISK_MARGIN = 2 * 1024 ** 3;
const SAFE_MEMORY = 256 * 1024 ** 2;

/** How the checks look at the host; tests put another one in its place. */
export interface Probes {
  readonly which: (tool: string) => string | undefined;
  readonly exists: (path: string) => Promise<boolean>;
  readonly freeDisk: (folder: string) => Promise<number>;
  readonly freeMemory: () => number;
  readonly firmware: (options: { readonly secureBoot: boolean }) => Promise<string>;
  readonly accelerator: () => Promise<string>;
  readonly engine: (codec: Codec) => Promise<string>;
  readonly nodeVersion: string;
  /** Undefined where it is none compose has guests of. */
  readonly hostArch: Arch | undefined;
  /** Whether compose runs as root. */
  readonly root: boolean;
}

export function hostProbes(arch: Arch, policy: AcceleratorPolicy = 'auto', cpuModel?: string): Probes {
  return {
    which,
    exists: (path) =>
      access(path, constants.R_OK).then(
        () => true,
        () => false,
      ),
    freeDisk,
    freeMemory: freemem,
    firmware: async (options) => (await findFirmware(arch, options)).code.path,
    accelerator: async () => {
      const { kind, reason } = await chooseAccelerator(arch, policy, { cpuModel });
      return `${kind}: ${reason}`;
    },
    engine: async (codec) => (await openEngine({ codec })).name,
    nodeVersion: process.versions.node,
    hostArch: hostArch(),
    root: process.getuid?.() === 0,
  };
}

/** Programs that a build from a source needs of its host, for people. */
export function toolsOf(kind: Plan['source']['kind'], arch: Arch): string[] {
  const common = [BOARDS[arch].qemu, 'qemu-img', 'UEFI firmware'];
  return kind === 'packages' ? [...common, ...PACKAGE_TOOLS] : common;
}

/** Looks at all that `needs` asks for. Nothing is changed. */
export async function checkHost(needs: Needs, probes: Probes, out?: string): Promise<Check[]> {
  const tool = (name: string): Check => {
    const path = probes.which(name);
    const what = packageOf(name) === name ? name : `${name} (${packageOf(name)})`;
    if (path !== undefined) return { id: `tool.${name}`, what, state: 'ok', found: path, remedy: '', packages: [] };
    return missing(`tool.${name}`, what, 'not installed', [packageOf(name)]);
  };
  const checks: Check[] = [nodeCheck(probes.nodeVersion), tool(BOARDS[needs.arch].qemu), tool('qemu-img')];
  if (needs.machine.firmware === 'uefi') checks.push(await firmwareCheck(needs, probes));
  if (needs.machine.tpm) checks.push(tool('swtpm'));
  if (needs.source.kind === 'packages') {
    // Without root mmdebstrap works in a user namespace, whose owners newuidmap maps (mmdebstrap(1), unshare mode).
    checks.push(...[...PACKAGE_TOOLS, ...(probes.root ? [] : ['newuidmap'])].map(tool));
    if (needs.arch !== probes.hostArch) checks.push(tool('arch-test'), await userEmulationCheck(needs.arch, probes));
    const there = await probes.exists(KEYRING);
    checks.push(
      there
        ? { id: 'keyring', what: 'Debian archive keys', state: 'ok', found: KEYRING, remedy: '', packages: [] }
        : missing('keyring', 'Debian archive keys', 'not installed', ['debian-archive-keyring']),
    );
  }
  checks.push(await acceleratorCheck(probes));
  const kinds = new Set(needs.artifacts.map(({ filetype }) => FILE_TYPES[filetype].compression));
  for (const kind of kinds) if (kind !== 'none') checks.push(await engineCheck(kind, probes));
  checks.push(memoryCheck(needs, probes));
  for (const [id, folder] of [['cache', cacheFolder()], ['runs', stateFolder()], ...(out ? [['output', out]] : [])] as [
    string,
    string,
  ][]) {
    checks.push(
      await diskCheck(id, folder, id === 'output' ? DISK_MARGIN / 2 : needs.machine.disk / 2 + DISK_MARGIN / 2, probes),
    );
  }
  return checks;
}

function missing(id: string, what: string, found: string, packages: readonly string[]): Check {
  return { id, what, state: 'missing', found, remedy: `apt-get install ${packages.join(' ')}`, packages };
}

function nodeCheck(version: string): Check {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const fine = major > 20 || (major === 20 && minor >= 19);
  const remedy = fine ? '' : 'install Node 20.19 or later';
  return { id: 'node', what: 'Node', state: fine ? 'ok' : 'missing', found: version, remedy, packages: [] };
}

/** The package manager's scripts of another architecture run through binfmt_misc (Linux Documentation/admin-guide). */
async function userEmulationCheck(arch: Arch, probes: Probes): Promise<Check> {
  const name = `qemu-${BOARDS[arch].firmware.architecture}`;
  const id = `emulation.${arch}`;
  const what = `programs of ${arch} (binfmt_misc)`;
  if (probes.which(`${name}-static`) === undefined) return missing(id, what, 'not installed', ['qemu-user-static']);
  const entry = `/proc/sys/fs/binfmt_misc/${name}`;
  if (await probes.exists(entry)) return { id, what, state: 'ok', found: entry, remedy: '', packages: [] };
  const remedy = 'mount binfmt_misc at /proc/sys/fs/binfmt_misc, then run /usr/lib/systemd/systemd-binfmt';
  return { id, what, state: 'missing', found: 'not registered with the kernel', remedy, packages: [] };
}

async function firmwareCheck(needs: Needs, probes: Probes): Promise<Check> {
  const secureBoot = needs.machine.secureBoot ?? false;
  const what = secureBoot ? 'UEFI firmware with Secure Boot' : 'UEFI firmware';
  try {
    const found = await probes.firmware({ secureBoot });
    return { id: 'firmware', what, state: 'ok', found, remedy: '', packages: [] };
  } catch (error) {
    if (!isComposeError(error)) throw error;
    return missing('firmware', what, 'no descriptor fits', [BOARDS[needs.arch].firmware.package]);
  }
}

async function acceleratorCheck(probes: Probes): Promise<Check> {
  let found: string;
  try {
    found = await probes.accelerator();
  } catch (error) {
    if (!isComposeError(error)) throw error;
    const { message, hint = '' } = error;
    return { id: 'accelerator', what: 'accelerator', state: 'missing', found: message, remedy: hint, packages: [] };
  }
  const slow = found.startsWith('tcg');
  const remedy = slow ? 'builds work, some ten times slower; a host of the same architecture with KVM is faster' : '';
  return { id: 'accelerator', what: 'accelerator', state: slow ? 'warn' : 'ok', found, remedy, packages: [] };
}

async function engineCheck(codec: Codec, probes: Probes): Promise<Check> {
  const id = codec === 'gzip' ? 'engine' : `engine.${codec}`;
  const what = codec === 'gzip' ? 'compression' : `${codec} compression`;
  try {
    const found = await probes.engine(codec);
    if (found !== 'zlib') return { id, what, state: 'ok', found, remedy: '', packages: [] };
    const remedy = 'apt-get install libdeflate0 (packing is then about three times as fast, and smaller)';
    return { id, what, state: 'warn', found, remedy, packages: ['libdeflate0'] };
  } catch (error) {
    if (!isComposeError(error)) throw error;
    return missing(id, what, 'neither library nor program', [packageOf(codec)]);
  }
}

function memoryCheck(needs: Needs, probes: Probes): Check {
  const free = probes.freeMemory();
  const need = mostMemory(needs) + SAFE_MEMORY;
  const found = `${humanSize(free)} free, ${humanSize(need)} needed`;
  const state = free >= need ? 'ok' : 'missing';
  const remedy = state === 'ok' ? '' : 'end other programs, or lower machine.memory in a recipe of your own';
  return { id: 'memory', what: 'memory', state, found, remedy, packages: [] };
}

async function diskCheck(id: string, folder: string, need: number, probes: Probes): Promise<Check> {
  const free = await probes.freeDisk(folder);
  const state = free >= need ? 'ok' : 'missing';
  const found = `${humanSize(free)} free, up to ${humanSize(need)} needed`;
  const variable = { cache: 'COMPOSE_CACHE', runs: 'COMPOSE_STATE' }[id];
  const remedy =
    state === 'ok' ? '' : variable ? `free some space, or set ${variable}` : 'choose another folder with --out';
  return { id: `disk.${id}`, what: `disk for ${id}`, state, found, remedy, packages: [] };
}

/** Free bytes where `folder` is, or will be. */
async function freeDisk(folder: string): Promise<number> {
  for (let at = folder; ; at = dirname(at)) {
    try {
      const { bavail, bsize } = await statfs(at);
      return bavail * bsize;
    } catch (error) {
      if (dirname(at) === at) throw error;
    }
  }
}

/**
 * Looks at the host and, with `install`, lets the package manager bring what is missing and looks again.
 * @throws HostError when installing fails
 */
export async function doctor(
  needs: Needs,
  options: { readonly install?: boolean; readonly out?: string },
  context: Context,
): Promise<Check[]> {
  const probes = hostProbes(needs.arch, 'auto', needs.machine.cpuModel);
  const checks = await checkHost(needs, probes, options.out);
  const packages = [...new Set(checks.flatMap((check) => (check.state === 'ok' ? [] : check.packages)))];
  if (!options.install || packages.length === 0) return checks;
  context.emit({ type: 'log', level: 'info', message: `installing ${packages.join(' ')}` });
  const onLine = (line: string): void => context.emit({ type: 'log', level: 'debug', message: line });
  await aptInstall(packages, { signal: context.signal, onLine });
  return checkHost(needs, probes, options.out);
}

/**
 * @throws HostError `host.not-ready` naming all that is missing, `host.output`, and those of `chooseAccelerator`, before
 * anything is downloaded or started
 */
export async function requireHost(
  plan: Plan,
  options: { readonly out: string; readonly accelerator?: AcceleratorPolicy | undefined },
  context: Context,
): Promise<void> {
  const { out, accelerator } = options;
  await makeFolder(out).catch(() => {});
  await readdir(out).catch((cause: unknown) => {
    throw new HostError('host.output', `Cannot write into ${out}: ${(cause as Error).message}`, { cause });
  });
  const { cpuModel } = plan.machine;
  if (accelerator === 'require') await chooseAccelerator(plan.arch, 'require', { cpuModel });
  // What is to be emulated needs no proof of KVM.
  const probes = hostProbes(plan.arch, accelerator === 'tcg' ? 'tcg' : 'auto', cpuModel);
  const checks = (await checkHost(plan, probes, out)).filter((check) => check.state === 'missing');
  context.signal.throwIfAborted();
  if (checks.length === 0) return;
  const arch = plan.arch === 'amd64' ? '' : ` --arch ${plan.arch}`;
  const install = checks.some((check) => check.packages.length > 0);
  throw new HostError(
    'host.not-ready',
    `Cannot build ${plan.recipe} on this host: ${checks.map((check) => check.what).join(', ')}`,
    {
      hint: install
        ? `Run: compose doctor ${plan.recipe}${arch} --source ${plan.source.kind} --install`
        : (checks[0]?.remedy ?? ''),
      evidence: Object.fromEntries(checks.map((check) => [check.what, `${check.found}; ${check.remedy}`])),
    },
  );
}

export function doctorText(checks: readonly Check[]): string {
  const mark = { ok: 'ok', warn: 'warn', missing: 'MISSING' };
  const rows = checks.map((check) => [mark[check.state], check.what, check.found, check.remedy && `→ ${check.remedy}`]);
  return columns(rows).join('\n');
}
