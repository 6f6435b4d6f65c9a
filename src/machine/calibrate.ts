import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryFolder } from '../host/folders.ts';
import { killGroup, spawnTied } from '../host/tied-process.ts';
import type { Arch } from './arch.ts';
import { type AcceleratorKind, BOARDS } from './board.ts';

/**
 * A boot sector for the PC, at 0x7c00. It does what early Linux does and broken hosts fail at: page tables at 0x1000 (the
 * first 2 MiB one to one), CR3, CR4.PAE and OSFXSR, EFER.LME by rdmsr and wrmsr, CR0.PG and PE, lgdt, lidt, far jump into a
 * 64-bit segment, cpuid, an SSE instruction, the PIC moved to vector 0x20, the PIT at 1024 counts, and sti; hlt until its
 * interrupt came. Then the loop: 4096 times 1024 loads, adds, stores, calls and multiplications over 64 KiB, with CR3
 * loaded anew after each 1024. Before and after it reads the ACPI timer (port 0x608, 3.579545 MHz), writes the difference
 * as microseconds to port 0xe9 (four bytes, low one first), and 0x31 to port 0xf4, which ends QEMU.
 */
const AMD64 =
  'fafc6631c08ed88ec08ed0bc007cbf0010b9000c66f3ab66c70600100320000066c70600200330000066c70600308300000066c706008225' +
  '7d080066c7060482008e000066a3088266a30c8266b8001000000f22d80f20e00d20020f22e066b9800000c00f320d00010f300f20c0660d' +
  '010000800f22c00f01162d7d0f011e337dea867c0800bc0000030031c00fa2660fefc0b011e620b020e621b004e621b001e621b0fee621b0' +
  '34e64331c0e640b004e640fbf4fa66ba0806ed89c341b800100000be00000100b900040000488b064801c848890683c640e842000000ffc9' +
  '75eb0f20d80f22d841ffc875d666ba0806ed29d825ffffff004869c040420f00b9999e360031d248f7f166bae900b104eec1e808fec975f8' +
  'b03166baf400eef4486bc01fc350b020e6205848cf0f00397d00000f0200800000000000000000000000000000009a2000';

/**
 * The same for QEMU's `virt`, which loads it as a kernel at 0x40080000 and enters it at EL1: a level 1 table at 0x40200000
 * (1 GiB of device memory, 1 GiB of RAM), MAIR, TCR (T0SZ 25, walks not cached, so that the table needs no cache
 * maintenance), TTBR0, SCTLR.M, C and I; the loop, with tlbi vmalle1 in place of CR3; the difference of CNTVCT by CNTFRQ in
 * microseconds to the PL011 at 0x09000000; PSCI SYSTEM_OFF by hvc, which ends QEMU.
 */
const ARM64 =
  '0104a8d2228080d2220000f90200a8d2a2e080f2220400f902e09fd202a218d50210a0d2220380f24200c0f2422018d5012018d59f3f03d5' +
  'df3f03d5021038d5a30082d2420003aa021018d5df3f03d5df3f03d545e03bd5060082d20706a8d2088080d2e90040f92901088be90404f8' +
  '1c000094080500f161ffff541f8708d59f3f03d5df3f03d5c60400f181feff54df3f03d549e03bd5290105cb0ae03bd50b4888d2eb01a0f2' +
  '297d0b9b2909ca9a0320a1d2880080d22a1d00126a0000b929fd48d3080500f181ffff54000180520080b072020000d47f2003d5ffffff17' +
  'ec0380d2297d0c9bc0035fd6';

const SECTOR = 512;

interface Payload {
  readonly code: () => Buffer;
  readonly argv: (file: string, kind: AcceleratorKind) => string[];
  /** QEMU's exit status when the payload came to its end. */
  readonly exit: number;
}

const PAYLOADS: Readonly<Record<Arch, Payload>> = {
  amd64: {
    code: () => {
      const sector = Buffer.alloc(SECTOR);
      sector.set(Buffer.from(AMD64, 'hex'));
      sector.writeUInt16LE(0xaa55, SECTOR - 2);
      return sector;
    },
    argv: (file) => [
      ...['-machine', 'pc', '-boot', 'a', '-drive', `if=floppy,format=raw,readonly=on,file=${file}`],
      ...['-device', 'isa-debugcon,iobase=0xe9,chardev=out', '-device', 'isa-debug-exit,iobase=0xf4,iosize=1'],
    ],
    // isa-debug-exit ends QEMU with (value << 1) | 1.
    exit: (0x31 << 1) | 1,
  },
  arm64: {
    code: () => Buffer.from(ARM64, 'hex'),
    argv: (file, kind) => {
      const machine = ['virt', ...BOARDS.arm64.machineOptions[kind]].join(',');
      return ['-machine', machine, '-kernel', file, '-serial', 'chardev:out'];
    },
    exit: 0,
  },
};

/** What became of a payload: how long its loop took, or why it did not come to its end. */
export type PayloadResult =
  | { readonly ok: true; readonly loopMs: number }
  | { readonly ok: false; readonly late: boolean; readonly why: string };

export interface PayloadRun {
  readonly arch: Arch;
  readonly kind: AcceleratorKind;
  readonly cpu: string;
  readonly deadlineMs: number;
  readonly signal?: AbortSignal;
}

/** Runs the architecture's payload under an accelerator. A QEMU that does not end in time is killed. */
export async function runPayload(qemu: string, run: PayloadRun): Promise<PayloadResult> {
  const payload = PAYLOADS[run.arch];
  await using folder = await temporaryFolder('compose-payload-');
  const file = join(folder.path, 'payload');
  const out = join(folder.path, 'out');
  await writeFile(file, payload.code());
  const argv = ['-accel', run.kind, '-cpu', run.cpu, '-m', '32', '-display', 'none', '-nodefaults', '-no-user-config'];
  argv.push('-chardev', `file,id=out,path=${out}`, ...payload.argv(file, run.kind));
  const child = spawnTied(qemu, argv);
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(0, 4000);
  });
  let late = false;
  const kill = (): void => killGroup(child);
  const timer = setTimeout(() => {
    late = true;
    kill();
  }, run.deadlineMs);
  run.signal?.addEventListener('abort', kill, { once: true });
  if (run.signal?.aborted) kill();
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) => {
    child.once('error', (error) => resolve([null, error.message]));
    child.once('close', (...ended) => resolve(ended));
  });
  clearTimeout(timer);
  run.signal?.removeEventListener('abort', kill);
  if (late) return { ok: false, late, why: `it did not end within ${run.deadlineMs} ms` };
  const said = await readFile(out).catch(() => Buffer.alloc(0));
  if (code === payload.exit && said.length === 4) return { ok: true, loopMs: said.readUInt32LE(0) / 1000 };
  // Warnings come first, the line that tells why it ended comes last.
  const last = stderr
    .trimEnd()
    .split('\n')
    .findLast((line) => !/: warning: /.test(line));
  const how = signal === null ? `QEMU ended with status ${code}` : `QEMU ended by ${signal}`;
  return { ok: false, late, why: last?.replace(/^qemu-system-\S+: /, '') || how };
}

/** What the loop takes on a processor of 3 GHz, measured without a virtual machine (milliseconds). */
const NATIVE_MS = 13;
/** A boot under emulation loses more than the loop: devices, and code that is translated to run once. */
const BOOT_FACTOR = 1.5;

const LIMITS = { hardware: { least: 1, most: 10 }, emulation: { least: 10, most: 60 } } as const;

/**
 * How many times longer a guest may take than under KVM on an ordinary host. The loop is timed by the wall clock, so a
 * host that is busy, or held back by a limit on its processor time, gets more. Without a measurement it is the least, or
 * the most where the payload was too slow to end.
 */
export function timeScale(kind: AcceleratorKind, measured: PayloadResult): number {
  const { least, most } = kind === 'tcg' ? LIMITS.emulation : LIMITS.hardware;
  if (!measured.ok) return measured.late ? most : least;
  const scale = (measured.loopMs / NATIVE_MS) * (kind === 'tcg' ? BOOT_FACTOR : 1);
  return Math.min(most, Math.max(least, Math.round(scale * 10) / 10));
}
