import { accessSync, constants } from 'node:fs';
import { HostError } from '../errors.ts';
import { which } from '../host/tools.ts';
import { within } from '../host/within.ts';
import { type Arch, hostArch } from './arch.ts';
import { type AcceleratorKind, BOARDS } from './board.ts';
import { type PayloadResult, type PayloadRun, runPayload, timeScale } from './calibrate.ts';

/** What runs the guest's instructions, and why. */
export interface Accelerator {
  readonly kind: AcceleratorKind;
  /** CPU model: the host's own under KVM and HVF, a named one under TCG. */
  readonly cpu: string;
  readonly reason: string;
  /** How many times longer a guest may take for anything than it would under KVM; measured (calibrate.ts). */
  readonly timeScale: number;
  /** Of TCG: a host whose memory is ordered more weakly than the guest's runs all of its processors in one thread. */
  readonly threads?: 'multi' | 'single';
}

export type AcceleratorPolicy = 'auto' | 'require' | 'tcg';

/** The host as the choice sees it; tests put another one in its place. */
export interface AcceleratorHost {
  readonly platform: NodeJS.Platform;
  readonly arch: Arch | undefined;
  readonly which: (tool: string) => string | undefined;
  /** The errno of opening /dev/kvm; undefined where it opens. */
  readonly kvmError: () => string | undefined;
  readonly run: (qemu: string, run: PayloadRun) => Promise<PayloadResult>;
}

const HOST: AcceleratorHost = {
  platform: process.platform,
  arch: hostArch(),
  which,
  kvmError: () => {
    try {
      accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
      return undefined;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code ?? 'unknown';
    }
  },
  run: runPayload,
};

/** A choice takes less than three seconds: the proof has this long, and emulation is measured beside it once it is late. */
const PROOF_MS = 2400;
const LATE_MS = 1000;
const MEASURE_MS = 1400;

/** QEMU has no model of that name, or has it with hardware alone. */
const UNKNOWN_MODEL = /CPU model/i;

/** Kept for the life of the process only: a host's load changes, and its kernel may be mended. */
const chosen = new Map<string, Promise<Accelerator>>();

/**
 * Chooses what runs guests on this host. KVM and HVF are believed only when a 64-bit payload ran to its end with the CPU
 * model compose would use: hosts exist where /dev/kvm opens and QEMU then aborts on an MSR, or the guest hangs.
 * @throws HostError `accelerator.kvm-unusable`, `accelerator.hvf-unusable` under the policy `require`;
 * `accelerator.cpu-model` for a model that neither the host's hardware nor QEMU has
 */
export async function chooseAccelerator(
  arch: Arch,
  policy: AcceleratorPolicy = 'auto',
  options: { readonly cpuModel?: string | undefined; readonly host?: AcceleratorHost } = {},
): Promise<Accelerator> {
  const { cpuModel, host = HOST } = options;
  const choose = (): Promise<Accelerator> =>
    policy === 'tcg' ? emulate(arch, host, cpuModel, 'software emulation was asked for') : prove(arch, host, cpuModel);
  const key = `${arch} ${cpuModel ?? ''} ${policy === 'tcg'}`;
  const known = host === HOST ? chosen.get(key) : undefined;
  const choice = known ?? choose();
  if (host === HOST) chosen.set(key, choice);
  const accelerator = await choice;
  if (policy === 'require' && accelerator.kind === 'tcg') {
    const hint = 'Use a host with working virtualisation, or --accelerator auto for (slow) software emulation.';
    if (host.platform === 'darwin') {
      throw new HostError('accelerator.hvf-unusable', `Cannot use HVF: ${accelerator.reason}`, { hint });
    }
    throw new HostError('accelerator.kvm-unusable', `Cannot use KVM: ${accelerator.reason}`, { hint });
  }
  return accelerator;
}

/** TCG, measured. `signal` ends the measurement when it is no longer wanted. */
async function emulate(
  arch: Arch,
  host: AcceleratorHost,
  cpuModel: string | undefined,
  reason: string,
  signal?: AbortSignal,
): Promise<Accelerator> {
  const { qemu: program, cpu: models } = BOARDS[arch];
  const cpu = cpuModel ?? models.tcg;
  const qemu = host.which(program);
  const measured = await measure(qemu, { arch, kind: 'tcg', cpu, deadlineMs: MEASURE_MS }, host, signal);
  if (cpuModel !== undefined && !measured.ok && UNKNOWN_MODEL.test(measured.why) && !signal?.aborted) {
    throw new HostError('accelerator.cpu-model', `Cannot emulate the CPU model ${cpuModel}: ${measured.why}`, {
      hint: `Leave machine.cpu_model out, or name one of: ${program} -cpu help`,
    });
  }
  // QEMU keeps x86's order of stores on Arm by no barriers of its own across threads.
  const threads = arch === 'amd64' && host.arch !== 'amd64' ? 'single' : 'multi';
  return { kind: 'tcg', cpu, reason, timeScale: timeScale('tcg', measured), threads };
}

function measure(
  qemu: string | undefined,
  run: PayloadRun,
  host: AcceleratorHost,
  signal: AbortSignal | undefined,
): Promise<PayloadResult> {
  if (qemu === undefined) return Promise.resolve({ ok: false, late: false, why: 'it is not installed' });
  return host.run(qemu, { ...run, ...(signal && { signal }) });
}

async function prove(arch: Arch, host: AcceleratorHost, cpuModel: string | undefined): Promise<Accelerator> {
  const { qemu: program, cpu: models } = BOARDS[arch];
  const kind = host.platform === 'darwin' ? 'hvf' : 'kvm';
  const qemu = host.which(program);
  const reason = unprovable(arch, host, program, qemu);
  if (reason !== undefined || qemu === undefined) return emulate(arch, host, cpuModel, reason ?? '');
  const cpu = cpuModel ?? models[kind];
  const name = kind.toUpperCase();
  const proof = host.run(qemu, { arch, kind, cpu, deadlineMs: PROOF_MS });
  const early = await within(proof, LATE_MS);
  if (early?.ok === false) return emulate(arch, host, cpuModel, failed(name, early.why));
  const unwanted = new AbortController();
  const beside = early === undefined ? emulate(arch, host, cpuModel, '', unwanted.signal) : undefined;
  // A model that hardware alone has is no failure where the proof succeeds.
  beside?.catch(() => {});
  const result = early ?? (await proof);
  if (!result.ok && beside !== undefined) return { ...(await beside), reason: failed(name, result.why) };
  unwanted.abort();
  await beside?.catch(() => {});
  return { kind, cpu, reason: `a test payload ran under ${name}`, timeScale: timeScale(kind, result) };
}

function failed(name: string, why: string): string {
  const where = name === 'KVM' ? '/dev/kvm is there' : 'this is macOS';
  return `${where}, but a test payload failed under ${name}: ${why}`;
}

/** Why there is nothing to prove. */
function unprovable(arch: Arch, host: AcceleratorHost, program: string, qemu: string | undefined): string | undefined {
  if (host.platform !== 'linux' && host.platform !== 'darwin') {
    return `KVM exists on Linux and HVF on macOS only, this is ${host.platform}`;
  }
  if (host.arch !== arch) return `the guest is ${arch}, this host is ${host.arch ?? process.arch}`;
  if (qemu === undefined) return `${program} is not installed`;
  if (host.platform === 'darwin') return undefined;
  const code = host.kvmError();
  if (code === undefined) return undefined;
  return code === 'ENOENT' ? 'this host has no /dev/kvm' : `/dev/kvm cannot be opened (${code})`;
}
