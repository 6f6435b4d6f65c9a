/** What an Anaconda can do and wants, by release; sources are pykickstart's handlers and the releases' own documentation. */
import type { Anaconda } from './release.ts';

export interface Rules {
  /** Whose kickstart it reads; names of the answers' checks. */
  readonly family: 'el' | 'fedora' | 'openeuler';
  readonly version: string;
  /** Starts from a tree of one kernel by `ks=`, and looks at no OEMDRV volume (EL 6). */
  readonly legacy: boolean;
  /** Knows `eula`. */
  readonly eula: boolean;
  /** `rootpw --lock` may stand without a password. */
  readonly lockAlone: boolean;
  /** Gives a disk a GPT on a BIOS as well, where GRUB then needs a partition. */
  readonly gptOnBios: boolean;
  /** What makes a system in FIPS mode of `fips=1`: the installer, or a package with it; undefined where nothing does. */
  readonly fips: 'installer' | 'package' | undefined;
  /** Its packages are partly named otherwise, or not on its medium: those that are not there are left out. */
  readonly someMissing: boolean;
  /** What MAAS's data source of cloud-init signs its requests with. */
  readonly oauth: string | undefined;
}

const EL = { family: 'el', legacy: false, eula: true, lockAlone: true, gptOnBios: false, someMissing: false } as const;
const PYTHON3 = 'python3-oauthlib';

export const RULES: Readonly<Record<Anaconda, Rules>> = {
  el6: {
    ...EL,
    version: '6',
    legacy: true,
    eula: false,
    lockAlone: false,
    fips: undefined,
    // cloud-init 0.7.5 of EPEL brings what it needs.
    oauth: undefined,
  },
  el7: { ...EL, version: '7', fips: 'package', oauth: 'python2-oauthlib' },
  el8: { ...EL, version: '8', fips: 'installer', oauth: PYTHON3 },
  el9: { ...EL, version: '9', fips: 'installer', oauth: PYTHON3 },
  el10: { ...EL, version: '10', gptOnBios: true, fips: 'installer', oauth: PYTHON3 },
  fedora41: fedora('41'),
  fedora42: fedora('42'),
  fedora43: fedora('43'),
  'openeuler24.03': {
    ...EL,
    family: 'openeuler',
    version: '24.03',
    someMissing: true,
    fips: undefined,
    oauth: PYTHON3,
  },
};

function fedora(version: string): Rules {
  return { ...EL, family: 'fedora', version, gptOnBios: true, fips: undefined, oauth: PYTHON3 };
}
