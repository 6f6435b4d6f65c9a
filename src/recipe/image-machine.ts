import type { Arch } from '../machine/arch.ts';
import type { DiskInterface, MachineDisk, MachineSpec } from '../machine/spec.ts';

/** What a recipe says of its machine beyond memory, processors, disk and firmware. */
export type MachineOptions = Pick<
  MachineSpec,
  'secureBoot' | 'tpm' | 'cpuModel' | 'machineType' | 'topology' | 'nic' | 'video' | 'extraArgs'
> & {
  /** How the guest finds the image's disk. @default virtio */
  readonly diskInterface?: DiskInterface;
};

/** A recipe's machine; sizes are bytes. */
export type PlannedMachine = {
  readonly memory: number;
  readonly cpus: number;
  readonly disk: number;
  readonly firmware: 'uefi' | 'bios';
} & MachineOptions;

/** The machine an image is provisioned in: `disk` is its own, what cloud-init reads is on `seed`. */
export function imageMachine(
  name: string,
  arch: Arch,
  machine: PlannedMachine,
  disk: string,
  seed: string,
): MachineSpec {
  const { disk: _, diskInterface, ...fields } = machine;
  return {
    name,
    arch,
    ...fields,
    ssh: true,
    disks: [imageDisk(disk, diskInterface), { path: seed, format: 'raw', readOnly: true, ...seedDrive(diskInterface) }],
  };
}

/** The disk of an image while it is made. */
export function imageDisk(path: string, diskInterface: DiskInterface | undefined): MachineDisk {
  return { path, format: 'qcow2', scratch: true, ...(diskInterface !== undefined && { interface: diskInterface }) };
}

/** Where a guest has a driver for its disk it has one for the seed; QEMU has no SATA disk that is read-only, but CDs. */
function seedDrive(diskInterface: DiskInterface | undefined): Pick<MachineDisk, 'media' | 'interface'> {
  if (diskInterface === undefined) return {};
  return { interface: diskInterface, ...(diskInterface === 'sata' && { media: 'cdrom' }) };
}
