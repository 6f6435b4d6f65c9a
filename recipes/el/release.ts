/** What a release that Anaconda installs is described by. */
import type { Arch } from '../../src/machine/arch.ts';
import type { Origin, Origins } from './origins.ts';

/** Which Anaconda and pykickstart a medium carries: the number of Enterprise Linux, or of the product where it is none. */
export type Anaconda = 'el6' | 'el7' | 'el8' | 'el9' | 'el10' | 'fedora41' | 'fedora42' | 'fedora43' | 'openeuler24.03';

/** How a machine that MAAS deploys gets its boot loader and settings from a tree. */
export type TreeHooks =
  /** By the steps that are built into curtin. */
  | 'none'
  /** By curtin where its release knows the system, by ours where it does not. */
  | 'el'
  /** GRUB Legacy, which curtin does not know. */
  | 'el6';

export interface Medium {
  /** Addresses of the medium and of the list of its digest; undefined where it needs an account. */
  readonly iso?: string;
  readonly sums?: string;
  /** Regular expressions of the file's name and of the volume's. */
  readonly file: string;
  readonly volume: string;
}

export interface Release {
  readonly name: string;
  readonly title: string;
  readonly anaconda: Anaconda;
  /** For people; `arch` is the vendor's word for it. */
  readonly isoNames: (arch: 'x86_64' | 'aarch64') => string;
  readonly media: Readonly<Partial<Record<Arch, Medium>>>;
  /** Where the installer takes packages from. */
  readonly origins: (origin: Origin) => Origins;
  /** What an operator may say of `mirror`; undefined where packages come from the medium. */
  readonly mirror?: string;
  /** Folder of the vendor's loaders below EFI. */
  readonly vendor: string;
  readonly treeHooks: TreeHooks;
  readonly maas: {
    readonly name: string;
    readonly base: string;
    readonly user: string;
    readonly maas: string;
    readonly curtin: string;
    readonly maturity: 'alpha' | 'beta' | 'stable' | 'eol';
  };
  /** Whether its terms need a subscription for updates. */
  readonly subscription?: boolean;
}

/** What packages and kernels call an architecture. */
export const RPM_ARCH: Readonly<Record<Arch, 'x86_64' | 'aarch64'>> = { amd64: 'x86_64', arm64: 'aarch64' };

const BOTH: readonly Arch[] = ['amd64', 'arm64'];

/** The same medium for each architecture; `arch` in the texts is the vendor's word for it. */
export function media(make: (arch: 'x86_64' | 'aarch64') => Medium, arches: readonly Arch[] = BOTH): Release['media'] {
  return Object.fromEntries(arches.map((arch) => [arch, make(RPM_ARCH[arch])]));
}
