/** The releases of Azure Linux: what sets one apart from another. */
import type { Arch } from '../../src/machine/arch.ts';

export interface Release {
  readonly name: string;
  readonly title: string;
  readonly version: string;
  /** For people. */
  readonly isoNames: string;
  /** Regular expressions of the file names, for the architectures the vendor has a medium of. */
  readonly media: Readonly<Partial<Record<Arch, string>>>;
  readonly maas: { readonly name: string; readonly user: string };
}

export const RELEASES: readonly Release[] = [
  {
    name: 'azurelinux-2',
    title: 'CBL-Mariner 2.0 (Azure Linux 2)',
    version: '2',
    isoNames: 'Mariner-2.0-x86_64.iso, from aka.ms/mariner-2.0-x86_64-iso',
    media: { amd64: '(CBL-)?[Mm]ariner-2\\.0([.-]\\d+)*-x86_64\\.iso' },
    maas: { name: 'cbl-mariner-2.0', user: 'mariner' },
  },
  {
    name: 'azurelinux-3',
    title: 'Azure Linux 3.0',
    version: '3',
    isoNames:
      'AzureLinux-3.0-x86_64.iso or AzureLinux-3.0-aarch64.iso, from aka.ms/azurelinux-3.0-x86_64.iso and -aarch64.iso',
    media: {
      amd64: '[Aa]zure[Ll]inux-3\\.0([.-]\\d+)*-x86_64\\.iso',
      arm64: '[Aa]zure[Ll]inux-3\\.0([.-]\\d+)*-aarch64\\.iso',
    },
    maas: { name: 'azurelinux-3.0', user: 'azurelinux' },
  },
];
