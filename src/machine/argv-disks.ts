import { joinOptions } from './argv-options.ts';
import { BOARDS } from './board.ts';
import { diskInterface, type MachineDisk, type MachineSpec } from './spec.ts';

/**
 * Drives, the controllers they need, and their devices. Drive and device of a disk have one name, `disk0` and on, by which
 * QMP ejects and counts.
 */
export function diskArgv(spec: MachineSpec): string[] {
  const { arch, disks } = spec;
  const kinds = disks.map((disk) => diskInterface(disk, arch));
  const machine = spec.machineType ?? BOARDS[arch].machine;
  const builtIn = machine === BOARDS[arch].machine ? BOARDS[arch].sata : undefined;
  const argv: string[] = [];
  if (kinds.includes('scsi')) argv.push('-device', 'virtio-scsi-pci,id=scsi');
  if (kinds.includes('sata') && builtIn === undefined) argv.push('-device', 'ich9-ahci,id=sata');
  if (disks.some(({ media }) => media === 'floppy')) argv.push('-device', 'isa-fdc,id=fdc');
  const units = { sata: 0, floppy: 0 };
  for (const [index, disk] of disks.entries()) {
    argv.push('-drive', drive(disk, index));
    const id = `disk${index}`;
    const cd = disk.media === 'cdrom';
    const device = {
      virtio: () => joinOptions('virtio-blk-pci', { id, drive: id, ...(disk.serial && { serial: disk.serial }) }),
      scsi: () => joinOptions(cd ? 'scsi-cd' : 'scsi-hd', { id, bus: 'scsi.0', drive: id }),
      sata: () => joinOptions(cd ? 'ide-cd' : 'ide-hd', { id, bus: `${builtIn ?? 'sata'}.${units.sata++}`, drive: id }),
      nvme: () => joinOptions('nvme', { id, serial: id, drive: id }),
      usb: () => joinOptions('usb-storage', { id, bus: 'usb.0', drive: id }),
      floppy: () => joinOptions('floppy', { id, unit: units.floppy++, drive: id }),
    }[kinds[index] ?? 'floppy']();
    // A kernel given directly has boot index 0 already (hw/i386/x86.c, linuxboot.bin); a floppy is for answers.
    const boots = spec.kernel === undefined && disk.media !== 'floppy';
    argv.push('-device', boots ? `${device},bootindex=${index}` : device);
  }
  return argv;
}

function drive(disk: MachineDisk, index: number): string {
  const readOnly = disk.readOnly === true || disk.media === 'cdrom' || disk.media === 'floppy';
  return joinOptions(undefined, {
    if: 'none',
    id: `disk${index}`,
    // The device that usb-storage makes is a CD drive by this alone.
    ...(disk.media === 'cdrom' && { media: 'cdrom' }),
    format: disk.format,
    ...(readOnly ? { readonly: 'on' } : { discard: 'unmap', 'detect-zeroes': 'unmap' }),
    ...(disk.scratch && { cache: 'unsafe' }),
    file: disk.path,
  });
}
