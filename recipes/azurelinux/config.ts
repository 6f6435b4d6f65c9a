/** The installer's unattended configuration, from typed values (toolkit/docs/formats/imageconfig.md of the vendor's sources). */
import type { Arch } from '../../src/machine/arch.ts';
import { BOARDS } from '../../src/machine/board.ts';
import { ON_MEDIUM, packageName } from './packages.ts';

/** Names beside the configuration, which the installer's base folder is. */
export const PACKAGE_LIST = 'packages.json';
export const SCRIPT = 'installed.sh';

/** The machine's own disk. */
const DISK = '/dev/vda';
/** End of the EFI partition, MiB; one starts where the other ends. */
const ESP_END = 200;

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

/**
 * No user and no password: root is locked, and accounts are made by cloud-init.
 * @param kernel a package of the medium
 * @throws RecipeError `azurelinux.package`
 */
export function unattendedConfig(arch: Arch, kernel: string): string {
  return json({
    Disks: [
      {
        PartitionTableType: 'gpt',
        TargetDisk: { Type: 'path', Value: DISK },
        Partitions: [
          { ID: 'boot', Flags: ['esp', 'boot'], Start: 1, End: ESP_END, FsType: 'fat32' },
          { ID: 'rootfs', Start: ESP_END, End: 0, FsType: 'ext4' },
        ],
      },
    ],
    SystemConfigs: [
      {
        Name: 'compose',
        BootType: 'efi',
        Hostname: 'localhost',
        PartitionSettings: [
          { ID: 'boot', MountPoint: '/boot/efi', MountOptions: 'umask=0077' },
          { ID: 'rootfs', MountPoint: '/' },
        ],
        PackageLists: [PACKAGE_LIST],
        KernelOptions: { default: packageName(kernel) },
        // The last step of the build takes it out again.
        KernelCommandLine: { ExtraCommandLine: `console=${BOARDS[arch].console}` },
        PostInstallScripts: [{ Path: SCRIPT }],
      },
    ],
  });
}

export function packageList(): string {
  return json({ packages: ON_MEDIUM });
}
