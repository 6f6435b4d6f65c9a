/**
 * The releases of SUSE: families are functions, releases are rows. Addresses, names of files and of volumes are those of
 * libosinfo's database (osinfo-db of May 2026: data/os, and what isoinfo says of real media in tests/isodata).
 */
import { type AgamaRelease, media, type Release, type YastRelease } from './release.ts';

const LEAP = 'https://download.opensuse.org/distribution/leap';

/**
 * Of an image with a bare name MAAS asks what the system of its base has, and no SUSE has Ubuntu's netplan; of the systems MAAS
 * takes as a base this one is asked for cloud-init alone (MAAS: DEPS_PER_OS).
 */
export const BASE = 'rhel/9';

/** Names below suse/ are a product and its number, by which MAAS knows them (maascommon/osystem/suse.py). */
const suse = (name: string, maturity: 'alpha' | 'beta') => ({
  name: `suse/${name}`,
  base: BASE,
  user: 'sles',
  maas: '3.4',
  curtin: '23.1',
  maturity,
});

const leap = (version: string) => ({
  name: `suse/opensuse${version}`,
  base: BASE,
  user: 'opensuse',
  maas: '3.4',
  curtin: '23.1',
  maturity: 'alpha' as const,
});

const sles15: YastRelease = {
  name: 'sles-15',
  title: 'SUSE Linux Enterprise Server 15',
  family: 'sles',
  version: '15',
  installer: 'autoyast',
  product: 'SLES',
  isoNames: (arch) => `SLE-15-SP6-Full-${arch}-GM-Media1.iso or a later service pack, from the SUSE Customer Center`,
  media: media((arch) => ({
    file: `SLE-15-SP[4-9]-Full-${arch}-(GM|QU\\d)-Media1\\.iso`,
    volume: `SLE-15-SP[4-9]-Full-${arch}.*`,
  })),
  // cloud-init is in the module for public clouds; its libraries are in those of Python.
  addOns: [
    { name: 'sle-module-basesystem', folder: '/Module-Basesystem' },
    { name: 'sle-module-server-applications', folder: '/Module-Server-Applications' },
    { name: 'sle-module-python3', folder: '/Module-Python3' },
    { name: 'sle-module-public-cloud', folder: '/Module-Public-Cloud' },
  ],
  patterns: ['base'],
  maas: suse('sles15', 'beta'),
};

const leap15: YastRelease = {
  name: 'opensuse-15',
  title: 'openSUSE Leap 15.6',
  family: 'opensuse',
  version: '15',
  installer: 'autoyast',
  product: undefined,
  isoNames: (arch) => `openSUSE-Leap-15.6-DVD-${arch}-Media.iso, from get.opensuse.org/leap/15.6`,
  media: media((arch) => ({
    iso: `${LEAP}/15.6/iso/openSUSE-Leap-15.6-DVD-${arch}-Media.iso`,
    checksum: { algorithm: 'sha256', sums: `${LEAP}/15.6/iso/openSUSE-Leap-15.6-DVD-${arch}-Media.iso.sha256` },
    file: `openSUSE-Leap-15\\.6-DVD-${arch}-((Build[\\d.]+-)?Media|Current)\\.iso`,
    // The number of the build comes behind, as much of it as there is room for.
    volume: `openSUSE-Leap-15\\.6-DVD-${arch}.*`,
  })),
  addOns: [],
  patterns: ['base', 'minimal_base'],
  maas: leap('15.6'),
};

const sles16: AgamaRelease = {
  name: 'sles-16',
  title: 'SUSE Linux Enterprise Server 16',
  family: 'sles',
  version: '16',
  installer: 'agama',
  product: 'SLES',
  isoNames: (arch) => `SLES-16.0-Full-${arch}-GM.install.iso, from the SUSE Customer Center`,
  media: media((arch) => ({
    file: `SLES-16\\.\\d-(Full-|Offline-)?${arch}-[A-Za-z0-9.]+\\.install\\.iso`,
    volume: `Install-SUSE-SLE-16(\\.\\d)?-${arch}`,
  })),
  patterns: ['base'],
  cloudInit: `${LEAP}/16.0/repo/oss/$basearch`,
  maas: suse('sles16', 'alpha'),
};

/**
 * Agama called the product Leap_16.0 in its betas, and openSUSE_Leap since 12 September 2025, before 16.0 was released, so that a
 * profile holds for later releases too (agama-project/agama, pull request 2730; products.d/agama-products.changes). Profiles that
 * people used with the released medium (Build171.1) have the new name. Its branch SLE-16 has kept the old one for Leap.
 */
const leap16: AgamaRelease = {
  name: 'opensuse-16',
  title: 'openSUSE Leap 16.0',
  family: 'opensuse',
  version: '16',
  installer: 'agama',
  product: 'openSUSE_Leap',
  isoNames: (arch) => `Leap-16.0-offline-installer-${arch}.install.iso, from get.opensuse.org/leap/16.0`,
  media: media((arch) => ({
    iso: `${LEAP}/16.0/offline/Leap-16.0-offline-installer-${arch}.install.iso`,
    // There is no other digest of it that is signed.
    checksum: {
      algorithm: 'sha512',
      sums: `${LEAP}/16.0/offline/Leap-16.0-offline-installer-${arch}.install.iso.sha512`,
    },
    file: `Leap-16\\.0-(offline|online)-installer-${arch}(-[A-Za-z0-9.]+)?\\.install\\.iso`,
    volume: `Install-Leap-16\\.0-${arch}`,
  })),
  patterns: ['base'],
  cloudInit: undefined,
  maas: leap('16.0'),
};

export const RELEASES: readonly Release[] = [leap15, leap16, sles15, sles16];
