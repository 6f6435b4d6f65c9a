/** What a release of SUSE is described by. */
import type { Arch } from '../../src/machine/arch.ts';

/** What zypper and the media call an architecture. */
export const RPM_ARCH: Readonly<Record<Arch, 'x86_64' | 'aarch64'>> = { amd64: 'x86_64', arm64: 'aarch64' };

export interface Medium {
  /** Address of the medium, and of its digest; undefined where it needs an account. */
  readonly iso?: string;
  readonly checksum?: { readonly algorithm: 'sha256' | 'sha512'; readonly sums: string };
  /** Regular expressions of the file's name and of the volume's. */
  readonly file: string;
  readonly volume: string;
}

export interface AddOn {
  readonly name: string;
  /** Folder on the medium. */
  readonly folder: string;
}

interface Common {
  readonly name: string;
  readonly title: string;
  readonly family: 'sles' | 'opensuse';
  readonly version: string;
  /** As products are called by the installer: `SLES`, `openSUSE_Leap`; undefined where the medium has one only. */
  readonly product: string | undefined;
  /** For people; `arch` is the vendor's word for it. */
  readonly isoNames: (arch: 'x86_64' | 'aarch64') => string;
  readonly media: Readonly<Record<Arch, Medium>>;
  readonly maas: {
    readonly name: string;
    readonly base: string;
    readonly user: string;
    readonly maas: string;
    readonly curtin: string;
    readonly maturity: 'alpha' | 'beta' | 'stable' | 'eol';
  };
}

/** Installed by YaST, which AutoYaST answers. */
export interface YastRelease extends Common {
  readonly installer: 'autoyast';
  /** Modules of the medium that hold cloud-init and what it needs. */
  readonly addOns: readonly AddOn[];
  readonly patterns: readonly string[];
}

/** Installed by Agama. */
export interface AgamaRelease extends Common {
  readonly installer: 'agama';
  readonly patterns: readonly string[];
  /** Where cloud-init comes from, which the medium lacks; undefined where the product's own repositories have it. */
  readonly cloudInit: string | undefined;
}

export type Release = YastRelease | AgamaRelease;

/** The same medium for both architectures; `arch` in the texts is the vendor's word for it. */
export function media(make: (arch: 'x86_64' | 'aarch64') => Medium): Readonly<Record<Arch, Medium>> {
  return { amd64: make(RPM_ARCH.amd64), arm64: make(RPM_ARCH.arm64) };
}
