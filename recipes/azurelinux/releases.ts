/** The releases of Azure Linux: what sets one apart from another. */
import type { Arch } from '../../src/machine/arch.ts';

export interface Medium {
  /** For people. */
  readonly names: string;
  /** Address of the medium, and of the list of its digest; undefined where the vendor names none. */
  readonly iso?: string;
  readonly sums?: string;
  /** Regular expression of the file's name. */
  readonly file: string;
}

export interface Release {
  readonly name: string;
  readonly title: string;
  readonly version: string;
  /** Of the architectures the vendor has a medium for. */
  readonly media: Readonly<Partial<Record<Arch, Medium>>>;
  readonly maas: { readonly name: string; readonly user: string };
}

/** Addresses: the vendor's own page on the verification of its ISO images (toolkit/docs/security of the release). */
export const RELEASES: readonly Release[] = [
  {
    name: 'azurelinux-2',
    title: 'CBL-Mariner 2.0 (Azure Linux 2)',
    version: '2',
    media: {
      amd64: {
        names: 'Mariner-2.0-x86_64.iso, from aka.ms/mariner-2.0-x86_64-iso',
        iso: 'https://aka.ms/mariner-2.0-x86_64-iso',
        sums: 'https://aka.ms/mariner-2.0-x86_64-iso-checksum',
        file: '(CBL-)?[Mm]ariner-2\\.0([.-]\\d+)*-x86_64[.-]iso',
      },
    },
    maas: { name: 'cbl-mariner-2.0', user: 'mariner' },
  },
  {
    name: 'azurelinux-3',
    title: 'Azure Linux 3.0',
    version: '3',
    media: {
      amd64: {
        names: 'AzureLinux-3.0-x86_64.iso, from aka.ms/azurelinux-3.0-x86_64.iso',
        iso: 'https://aka.ms/azurelinux-3.0-x86_64.iso',
        sums: 'https://aka.ms/azurelinux-3.0-x86_64-iso-checksum',
        file: '[Aa]zure[Ll]inux-3\\.0([.-]\\d+)*-x86_64\\.iso',
      },
      // The page has no digest of this one.
      arm64: {
        names: 'AzureLinux-3.0-aarch64.iso, from aka.ms/azurelinux-3.0-aarch64.iso',
        file: '[Aa]zure[Ll]inux-3\\.0([.-]\\d+)*-aarch64\\.iso',
      },
    },
    maas: { name: 'azurelinux-3.0', user: 'azurelinux' },
  },
];
