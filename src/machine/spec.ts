import type { Accelerator } from './accelerator.ts';
import type { Arch } from './arch.ts';
import type { Firmware } from './firmware.ts';

/** A disk or a medium on virtio-blk. */
export interface MachineDisk {
  readonly path: string;
  readonly format: 'qcow2' | 'raw';
  readonly readOnly?: boolean;
  /** A disk that is thrown away when QEMU or the host dies: writes need not be flushed. */
  readonly scratch?: boolean;
}

/** What a machine is made of; data, nothing started. */
export interface MachineSpec {
  /** Shown in errors and in the process list. */
  readonly name: string;
  readonly arch: Arch;
  /** Bytes. */
  readonly memory: number;
  readonly cpus: number;
  readonly firmware: 'uefi' | 'bios';
  readonly disks: readonly MachineDisk[];
  /** User-mode network with a loopback port forwarded to the guest's port 22; without it there is no network. */
  readonly ssh: boolean;
  /** Direct boot instead of a boot loader. */
  readonly kernel?: { readonly image: string; readonly initrd?: string; readonly append: string };
  /** Appended to QEMU's arguments; they add, they do not replace. */
  readonly extraArgs?: readonly string[];
}

/** Paths and choices of one run that the arguments name. */
export interface MachineRun {
  readonly accelerator: Pick<Accelerator, 'kind' | 'cpu'>;
  readonly firmware: Firmware | undefined;
  readonly qmpSocket: string;
  readonly serialSocket: string;
  readonly serialLog: string;
  /** A QMP socket for another process: a monitor takes one client at a time. */
  readonly attachSocket?: string;
}

const MIB = 1024 * 1024;

/**
 * QEMU's arguments without the program. The guest starts paused: QMP and the serial line are connected before its first
 * instruction, so that nothing it says is missed.
 */
export function machineArgv(spec: MachineSpec, run: MachineRun): string[] {
  const argv = ['-name', `compose-${spec.name}`, '-S', '-nodefaults', '-no-user-config', '-display', 'none'];
  argv.push('-machine', 'q35', '-accel', run.accelerator.kind === 'kvm' ? 'kvm' : 'tcg,thread=multi');
  argv.push('-cpu', run.accelerator.cpu, '-smp', String(spec.cpus), '-m', `${Math.ceil(spec.memory / MIB)}M`);
  if (run.firmware !== undefined) argv.push(...firmwareArgv(run.firmware));
  if (spec.kernel !== undefined) argv.push(...kernelArgv(spec.kernel));
  argv.push(
    '-chardev',
    `socket,id=qmp,path=${escapeComma(run.qmpSocket)},server=on,wait=off`,
    '-mon',
    'chardev=qmp,mode=control',
  );
  if (run.attachSocket !== undefined) {
    argv.push('-chardev', `socket,id=attach,path=${escapeComma(run.attachSocket)},server=on,wait=off`);
    argv.push('-mon', 'chardev=attach,mode=control');
  }
  argv.push(
    '-chardev',
    `socket,id=serial0,path=${escapeComma(run.serialSocket)},server=on,wait=off,logfile=${escapeComma(run.serialLog)}`,
  );
  argv.push('-serial', 'chardev:serial0', '-device', 'pvpanic', '-device', 'virtio-rng-pci');
  for (const [index, disk] of spec.disks.entries()) argv.push(...diskArgv(disk, index, spec.kernel === undefined));
  if (spec.ssh) {
    // Port 0: QEMU binds a free port itself, so no other program can take it in between.
    argv.push('-netdev', 'user,id=net0,hostfwd=tcp:127.0.0.1:0-:22', '-device', 'virtio-net-pci,netdev=net0');
  }
  return [...argv, ...(spec.extraArgs ?? [])];
}

function firmwareArgv(firmware: Firmware): string[] {
  const { code, vars } = firmware;
  const drive = (unit: number, file: { path: string; format: string }, more: string): string =>
    `if=pflash,unit=${unit},format=${file.format}${more},file=${escapeComma(file.path)}`;
  return ['-drive', drive(0, code, ',readonly=on'), ...(vars ? ['-drive', drive(1, vars, '')] : [])];
}

function kernelArgv(kernel: NonNullable<MachineSpec['kernel']>): string[] {
  const initrd = kernel.initrd === undefined ? [] : ['-initrd', kernel.initrd];
  return ['-kernel', kernel.image, ...initrd, '-append', kernel.append];
}

/** A kernel given directly has boot index 0 already (hw/i386/x86.c, linuxboot.bin). */
function diskArgv(disk: MachineDisk, index: number, boots: boolean): string[] {
  const access = disk.readOnly ? 'readonly=on' : 'discard=unmap,detect-zeroes=unmap';
  const cache = disk.scratch ? ',cache=unsafe' : '';
  const drive = `if=none,id=disk${index},format=${disk.format},${access}${cache},file=${escapeComma(disk.path)}`;
  return ['-drive', drive, '-device', `virtio-blk-pci,drive=disk${index}${boots ? `,bootindex=${index}` : ''}`];
}

/** QEMU's option syntax doubles a comma that belongs to a value. */
function escapeComma(value: string): string {
  return value.replaceAll(',', ',,');
}
