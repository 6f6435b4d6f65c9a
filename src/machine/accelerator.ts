import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HostError } from '../errors.ts';
import { temporaryFolder } from '../host/folders.ts';
import { which } from '../host/tools.ts';
import { type Arch, QEMU } from './arch.ts';

/** What runs the guest's instructions, and why. */
export interface Accelerator {
  readonly kind: 'kvm' | 'tcg';
  /** CPU model: the host's own under KVM, a named x86-64-v2 one under TCG. */
  readonly cpu: string;
  readonly reason: string;
  /** How many times longer a guest may take for anything than it would under KVM. */
  readonly timeScale: number;
}

export type AcceleratorPolicy = 'auto' | 'require' | 'tcg';

const TCG_CPU = 'Westmere';
const TCG_SCALE = 10;
const DEADLINE_MS = 2500;

/**
 * A boot sector that enters long mode through its own page tables and writes 0x31 to port 0xf4:
 * cli; clear 0x1000-0x4000; PML4, PDPT and a 2 MiB page; CR3; CR4.PAE; EFER.LME by rdmsr/wrmsr; CR0.PG|PE; lgdt; far jump
 * into a 64-bit segment; mov al, 0x31; mov dx, 0xf4; out dx, al; hlt.
 */
const PAYLOAD =
  'fafc31c08ed88ec08ed0bc007cbf00106631c0b9000c66f3ab66c70600100320000066c70600200330000066c7060030830000' +
  '0066b8001000000f22d80f20e06683c8200f22e066b9800000c00f32660d000100000f300f20c0660d010000800f22c00f0116' +
  '887cea6d7c0800b03166baf400eef4ebfd90000000000000000000000000009a20000f00787c0000';
const SECTOR = 512;
/** isa-debug-exit ends QEMU with (value << 1) | 1. */
const PAYLOAD_EXIT = (0x31 << 1) | 1;

let proven: Promise<Accelerator> | undefined;

/**
 * Chooses what runs guests on this host. KVM is believed only when a 64-bit payload ran to its end with the CPU model
 * compose would use: hosts exist where /dev/kvm opens and QEMU then aborts on an MSR, or the guest hangs.
 * @throws HostError `accelerator.kvm-unusable` under the policy `require`
 */
export async function chooseAccelerator(arch: Arch, policy: AcceleratorPolicy = 'auto'): Promise<Accelerator> {
  if (policy === 'tcg') return tcg('software emulation was asked for');
  proven ??= proveKvm(arch);
  const accelerator = await proven;
  if (policy === 'require' && accelerator.kind !== 'kvm') {
    throw new HostError('accelerator.kvm-unusable', `Cannot use KVM: ${accelerator.reason}`, {
      hint: 'Use a host with working virtualisation, or --accelerator auto for (slow) software emulation.',
    });
  }
  return accelerator;
}

function tcg(reason: string): Accelerator {
  return { kind: 'tcg', cpu: TCG_CPU, reason, timeScale: TCG_SCALE };
}

async function proveKvm(arch: Arch): Promise<Accelerator> {
  if (process.platform !== 'linux') return tcg(`KVM exists on Linux only, this is ${process.platform}`);
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return tcg(code === 'ENOENT' ? 'this host has no /dev/kvm' : `/dev/kvm cannot be opened (${code})`);
  }
  const qemu = which(QEMU[arch]);
  if (qemu === undefined) return tcg(`${QEMU[arch]} is not installed`);
  const failure = await runPayload(qemu, ['-accel', 'kvm', '-cpu', 'host']);
  if (failure !== undefined) return tcg(`/dev/kvm is there, but a test payload failed under it: ${failure}`);
  return { kind: 'kvm', cpu: 'host', reason: 'a test payload ran under KVM', timeScale: 1 };
}

/** Runs the payload; answers why it failed, or undefined when it ran to its end. */
export async function runPayload(qemu: string, accelerator: readonly string[]): Promise<string | undefined> {
  await using folder = await temporaryFolder('compose-kvm-');
  const image = join(folder.path, 'payload.img');
  const sector = Buffer.alloc(SECTOR);
  sector.set(Buffer.from(PAYLOAD, 'hex'));
  sector.writeUInt16LE(0xaa55, SECTOR - 2);
  await writeFile(image, sector);
  const argv = [...accelerator, '-machine', 'pc', '-m', '32', '-display', 'none', '-nodefaults', '-no-user-config'];
  argv.push('-device', 'isa-debug-exit,iobase=0xf4,iosize=1', '-boot', 'a');
  argv.push('-drive', `if=floppy,format=raw,readonly=on,file=${image}`);
  const child = spawn(qemu, argv, { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(0, 2000);
  });
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill('SIGKILL');
  }, DEADLINE_MS);
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) => {
    child.once('error', (error) => resolve([null, error.message]));
    child.once('close', (...ended) => resolve(ended));
  });
  clearTimeout(timer);
  if (code === PAYLOAD_EXIT) return undefined;
  if (late) return `it did not end within ${DEADLINE_MS} ms`;
  const said = stderr.split('\n', 1)[0]?.replace(/^qemu-system-\S+: /, '') ?? '';
  return said || (signal === null ? `QEMU ended with status ${code}` : `QEMU ended by ${signal}`);
}
