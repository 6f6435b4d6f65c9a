import { UsageError } from '../errors.ts';
import type { Arch } from './arch.ts';
import { BOARDS, type NicModel } from './board.ts';

/** By the names recipes use; every board has them all. */
export const DISK_INTERFACES = ['virtio', 'scsi', 'sata', 'nvme', 'usb'] as const;
export type DiskInterface = (typeof DISK_INTERFACES)[number];

/** A disk or a medium. */
export interface MachineDisk {
  readonly path: string;
  readonly format: 'qcow2' | 'raw';
  readonly readOnly?: boolean;
  /** A disk that is thrown away when QEMU or the host dies: writes need not be flushed. */
  readonly scratch?: boolean;
  /** A CD and a floppy are read-only. @default disk */
  readonly media?: 'disk' | 'cdrom' | 'floppy';
  /** A floppy has none. @default virtio; sata for a CD of amd64, scsi for one of arm64 */
  readonly interface?: DiskInterface;
  /** By which a guest tells a disk from others, at most 20 characters; a virtio disk's. @default none */
  readonly serial?: string;
}

/** A guest port reached through a port of the host's loopback address that QEMU binds itself. */
export interface PortForward {
  readonly protocol: 'tcp' | 'udp';
  readonly guestPort: number;
}

/** A TCP port of this host's loopback address under an address of the guest's network, for guests that reach no host. */
export interface GuestService {
  /** In the user network 10.0.2.0/24, and neither the host's (.2) nor the resolver's (.3). */
  readonly address: string;
  readonly port: number;
  readonly hostPort: number;
}

/** What a machine is made of; data, nothing started. */
export interface MachineSpec {
  /** Shown in errors and in the process list. */
  readonly name: string;
  readonly arch: Arch;
  /** Bytes. */
  readonly memory: number;
  readonly cpus: number;
  /** Factors of `cpus`. */
  readonly topology?: { readonly sockets: number; readonly cores: number; readonly threads: number };
  /** `bios` exists on amd64 only. */
  readonly firmware: 'uefi' | 'bios';
  /** Firmware that enforces Secure Boot with the vendors' keys enrolled. */
  readonly secureBoot?: boolean;
  /** A TPM 2.0, emulated by swtpm. */
  readonly tpm?: boolean;
  /** @default the host's own under KVM and HVF, a named one under TCG */
  readonly cpuModel?: string;
  /** QEMU's machine type. @default q35, virt */
  readonly machineType?: string;
  readonly disks: readonly MachineDisk[];
  /** Forwards a loopback port to the guest's port 22. */
  readonly ssh: boolean;
  /** More ports of the guest to reach. */
  readonly forwards?: readonly PortForward[];
  /**
   * User-mode network, the same without a way out of it (`private`: no host, no resolver, nothing beyond), or none at all.
   * @default user where `ssh` or `forwards` need it, else none
   */
  readonly network?: 'user' | 'private' | 'none';
  /** What a guest on a private network reaches all the same. */
  readonly services?: readonly GuestService[];
  /** @default virtio */
  readonly nic?: NicModel;
  /** A graphics card, and a keyboard and a pointer where the machine has none; nothing is shown on the host. */
  readonly video?: 'standard' | 'virtio';
  /**
   * A VNC server on a unix socket, or on a loopback port that QEMU chooses (5900 to 5999), with the password in a file.
   * A screen needs `video`.
   */
  readonly vnc?: { readonly unix: string } | { readonly passwordFile: string };
  /** Direct boot instead of a boot loader. */
  readonly kernel?: { readonly image: string; readonly initrd?: string; readonly append: string };
  /** Appended to QEMU's arguments; they add, they do not replace (src/machine/extra-args.ts). */
  readonly extraArgs?: readonly string[];
}

/** Ports of the controller that q35 brings, and of the one added elsewhere. */
const SATA_PORTS = 6;
const FLOPPY_DRIVES = 2;

/** The interface of a disk; undefined for a floppy. */
export function diskInterface(disk: MachineDisk, arch: Arch): DiskInterface | undefined {
  if (disk.media === 'floppy') return undefined;
  if (disk.media !== 'cdrom') return disk.interface ?? 'virtio';
  return disk.interface ?? (BOARDS[arch].sata === undefined ? 'scsi' : 'sata');
}

/** Whether the machine has a network. */
export function hasNetwork(spec: MachineSpec): boolean {
  return (spec.network ?? (spec.ssh || (spec.forwards ?? []).length > 0 ? 'user' : 'none')) !== 'none';
}

/**
 * Refuses a machine that cannot be.
 * @throws UsageError `machine.no-bios`, `machine.secure-boot`, `machine.network`, `machine.nic`, `machine.forward`,
 * `machine.topology`, `machine.disk-interface`, `machine.no-floppy`, `machine.too-many-disks`
 */
export function checkSpec(spec: MachineSpec): void {
  const { name, arch, disks, topology, forwards = [] } = spec;
  const board = BOARDS[arch];
  if (spec.firmware === 'bios' && !board.firmware.bios) {
    throw new UsageError('machine.no-bios', `Cannot make the machine ${name}: ${arch} has no BIOS`, {
      hint: 'Use firmware: uefi.',
    });
  }
  if (spec.secureBoot && spec.firmware !== 'uefi') {
    throw new UsageError('machine.secure-boot', `Cannot make the machine ${name}: Secure Boot is a part of UEFI`, {
      hint: 'Use firmware: uefi, or leave Secure Boot out.',
    });
  }
  if (spec.network === 'none' && (spec.ssh || forwards.length > 0)) {
    const what = spec.ssh ? 'ssh' : 'forwards';
    throw new UsageError('machine.network', `Cannot make the machine ${name}: ${what} needs a network (none)`, {
      hint: `Leave ${what} out, or use network: user.`,
    });
  }
  if (spec.nic !== undefined && board.nics[spec.nic] === undefined) {
    throw new UsageError('machine.nic', `Cannot make the machine ${name}: ${arch} has no network card "${spec.nic}"`, {
      hint: `It has ${Object.keys(board.nics).join(', ')}.`,
    });
  }
  const port = forwards.find(({ guestPort }) => !(Number.isInteger(guestPort) && guestPort > 0 && guestPort < 65536));
  if (port !== undefined) {
    throw new UsageError('machine.forward', `Cannot make the machine ${name}: there is no port ${port.guestPort}`, {
      hint: 'A port is 1 to 65535.',
    });
  }
  if (topology !== undefined && topology.sockets * topology.cores * topology.threads !== spec.cpus) {
    const product = `${topology.sockets} × ${topology.cores} × ${topology.threads}`;
    throw new UsageError('machine.topology', `Cannot make the machine ${name}: ${product} is not ${spec.cpus}`, {
      hint: 'Make cpus the product of topology.',
    });
  }
  checkDisks(name, arch, disks);
}

function checkDisks(name: string, arch: Arch, disks: readonly MachineDisk[]): void {
  const wrong = disks.find(({ media, interface: kind }) => media === 'cdrom' && (kind === 'virtio' || kind === 'nvme'));
  if (wrong !== undefined) {
    const why = `${wrong.interface} has no CD drives (${wrong.path})`;
    throw new UsageError('machine.disk-interface', `Cannot make the machine ${name}: ${why}`, {
      hint: 'Use sata, scsi or usb; or leave media out, and the guest has a read-only disk.',
    });
  }
  const floppies = disks.filter(({ media }) => media === 'floppy').length;
  if (floppies > 0 && !BOARDS[arch].floppy) {
    throw new UsageError('machine.no-floppy', `Cannot make the machine ${name}: ${arch} has no floppy drives`, {
      hint: 'Use a CD or a disk with the label the guest looks for.',
    });
  }
  const sata = disks.filter((disk) => diskInterface(disk, arch) === 'sata').length;
  if (floppies > FLOPPY_DRIVES || sata > SATA_PORTS) {
    const many =
      floppies > FLOPPY_DRIVES ? `${floppies} floppies (${FLOPPY_DRIVES})` : `${sata} SATA disks (${SATA_PORTS})`;
    throw new UsageError('machine.too-many-disks', `Cannot make the machine ${name}: it has no room for ${many}`, {
      hint: 'Use virtio or scsi, which have room for more.',
    });
  }
}
