import type { Accelerator } from './accelerator.ts';
import { diskArgv } from './argv-disks.ts';
import { networkArgv } from './argv-network.ts';
import { joinOptions } from './argv-options.ts';
import { BOARDS } from './board.ts';
import { checkExtraArgs } from './extra-args.ts';
import type { Firmware } from './firmware.ts';
import { checkSpec, type MachineSpec } from './spec.ts';
import { type ViewPlace, viewArgv } from './view.ts';

/** Paths and choices of one run that the arguments name. */
export interface MachineRun {
  readonly accelerator: Pick<Accelerator, 'kind' | 'cpu' | 'threads'>;
  readonly firmware: Firmware | undefined;
  readonly qmpSocket: string;
  readonly serialSocket: string;
  readonly serialLog: string;
  /** swtpm's control socket, where the machine has a TPM. */
  readonly tpmSocket?: string;
  /** A QMP socket for another process: a monitor takes one client at a time. */
  readonly attachSocket?: string;
  /** Where a viewer reaches the screen. A machine without `video` gets an adapter for it. */
  readonly view?: ViewPlace | undefined;
}

const MIB = 1024 * 1024;
const USB = ['-device', 'qemu-xhci,id=usb'];
/**
 * Room for translated code, MiB; QEMU takes an eighth of the host's memory, up to 1 GiB. What was translated is forgotten
 * piece by piece when its memory is written, and all at once, which costs far less, when the room is full. After a restart
 * of the guest nearly all of it is stale: with 1 GiB firmware and kernel of a Debian 12 take four times as long to start.
 */
const TRANSLATED_MIB = 256;
/**
 * Tells systemd (since 252, by a credential of systemd-sysctl) to load programs at the same addresses, while this machine
 * runs and no longer. TCG finds what it has translated by the guest's addresses: with other addresses for each process it
 * translates libc and Python anew each time. A Debian 12 needs 0.6 of the translated code to come up.
 */
const SAME_ADDRESSES = 'type=11,value=io.systemd.credential:sysctl.extra=kernel.randomize_va_space=0';

/**
 * QEMU's arguments without the program. The guest starts paused: QMP and the serial line are connected before its first
 * instruction, so that nothing it says is missed.
 * @throws UsageError for a machine that cannot be (`checkSpec`) and for extra arguments that collide (`checkExtraArgs`)
 */
export function machineArgv(spec: MachineSpec, run: MachineRun): string[] {
  checkSpec(spec);
  const board = BOARDS[spec.arch];
  const argv = ['-name', `compose-${spec.name}`, '-S', '-nodefaults', '-no-user-config', '-display', 'none'];
  argv.push(...processorArgv(spec, run), '-m', `${Math.ceil(spec.memory / MIB)}M`);
  if (run.firmware !== undefined) argv.push(...firmwareArgv(run.firmware));
  if (spec.kernel !== undefined) argv.push(...kernelArgv(spec.kernel));
  const socket = { server: 'on', wait: 'off' };
  argv.push('-chardev', joinOptions('socket', { id: 'qmp', path: run.qmpSocket, ...socket }));
  argv.push('-mon', 'chardev=qmp,mode=control');
  if (run.attachSocket !== undefined) {
    argv.push('-chardev', joinOptions('socket', { id: 'attach', path: run.attachSocket, ...socket }));
    argv.push('-mon', 'chardev=attach,mode=control');
  }
  const serial = { id: 'serial0', path: run.serialSocket, ...socket, logfile: run.serialLog };
  argv.push('-chardev', joinOptions('socket', serial), '-serial', 'chardev:serial0');
  argv.push('-device', board.pvpanic, '-device', 'virtio-rng-pci');
  if (run.tpmSocket !== undefined) argv.push(...tpmArgv(board.tpm, run.tpmSocket));
  if (needsUsb(spec)) argv.push(...USB);
  if (spec.video !== undefined) argv.push(...videoArgv(spec, spec.video));
  if (spec.vnc !== undefined) argv.push(...vncArgv(spec.vnc));
  argv.push(...diskArgv(spec), ...networkArgv(spec));
  if (run.view !== undefined) {
    // Last, so that the addresses of all others, which guests name their network cards by, are the same without a view.
    if (spec.video === undefined) argv.push(...(needsUsb(spec) ? [] : USB), ...videoArgv(spec, 'standard'));
    argv.push(...viewArgv(run.view));
  }
  checkExtraArgs(spec.extraArgs ?? [], argv);
  return [...argv, ...(spec.extraArgs ?? [])];
}

function processorArgv(spec: MachineSpec, { accelerator, firmware }: MachineRun): string[] {
  const board = BOARDS[spec.arch];
  const options = spec.machineType === undefined ? board.machineOptions[accelerator.kind] : [];
  // SMM is what keeps the guest's kernel from writing the variables by itself.
  const machine = [spec.machineType ?? board.machine, ...options, ...(firmware?.smm ? ['smm=on'] : [])];
  const { kind, threads = 'multi' } = accelerator;
  const accel = kind === 'tcg' ? joinOptions('tcg', { thread: threads, 'tb-size': TRANSLATED_MIB }) : kind;
  const { topology } = spec;
  const smp = {
    cpus: spec.cpus,
    ...(topology && { sockets: topology.sockets, cores: topology.cores, threads: topology.threads }),
  };
  return [
    ...['-machine', machine.join(',')],
    ...(firmware?.smm ? ['-global', 'driver=cfi.pflash01,property=secure,value=on'] : []),
    ...['-accel', accel, '-cpu', spec.cpuModel ?? accelerator.cpu],
    ...['-smp', topology === undefined ? String(spec.cpus) : joinOptions(undefined, smp)],
    ...(kind === 'tcg' ? ['-smbios', SAME_ADDRESSES] : []),
  ];
}

function firmwareArgv(firmware: Firmware): string[] {
  const { code, vars, mode } = firmware;
  const access = mode === 'combined' ? {} : { readonly: 'on' };
  const drive = (unit: number, file: { path: string; format: string }, more: Record<string, string>): string =>
    joinOptions(undefined, { if: 'pflash', unit, format: file.format, ...more, file: file.path });
  return ['-drive', drive(0, code, access), ...(vars ? ['-drive', drive(1, vars, {})] : [])];
}

function kernelArgv(kernel: NonNullable<MachineSpec['kernel']>): string[] {
  const initrd = kernel.initrd === undefined ? [] : ['-initrd', kernel.initrd];
  return ['-kernel', kernel.image, ...initrd, '-append', kernel.append];
}

function tpmArgv(device: string, socket: string): string[] {
  return [
    ...['-chardev', joinOptions('socket', { id: 'tpm', path: socket })],
    ...['-tpmdev', 'emulator,id=tpm0,chardev=tpm', '-device', `${device},tpmdev=tpm0`],
  ];
}

function videoArgv(spec: MachineSpec, video: NonNullable<MachineSpec['video']>): string[] {
  const { graphics, inputs } = BOARDS[spec.arch];
  return ['-device', graphics[video], ...inputs.flatMap((input) => ['-device', `${input},bus=usb.0`])];
}

function needsUsb(spec: MachineSpec): boolean {
  return spec.video !== undefined || spec.nic === 'usb' || spec.disks.some((disk) => disk.interface === 'usb');
}

/** QEMU takes the first free one of the displays 0 to 99 itself, so that no other program can take it in between. */
function vncArgv(vnc: NonNullable<MachineSpec['vnc']>): string[] {
  if ('unix' in vnc) return ['-vnc', joinOptions(`unix:${vnc.unix}`, {})];
  const secret = joinOptions('secret', { id: 'vnc0', file: vnc.passwordFile });
  return ['-object', secret, '-vnc', '127.0.0.1:0,to=99,password-secret=vnc0'];
}
