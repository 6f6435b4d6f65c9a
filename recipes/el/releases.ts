/**
 * The releases that Anaconda installs: families are functions, releases are rows. Addresses, names of files and of volumes are
 * those of libosinfo's database (osinfo-db of May 2026: data/os, and what isoinfo says of real media in tests/isodata).
 */
import { openEuler, origins } from './origins.ts';
import { media, type Release } from './release.ts';

const alma = (major: 8 | 9 | 10): Release => ({
  name: `almalinux-${major}`,
  title: `AlmaLinux ${major}`,
  anaconda: `el${major}`,
  isoNames: (arch) => `AlmaLinux-${major}-latest-${arch}-boot.iso, from repo.almalinux.org`,
  media: media((arch) => {
    const folder = `https://repo.almalinux.org/almalinux/${major}/isos/${arch}`;
    return {
      iso: `${folder}/AlmaLinux-${major}-latest-${arch}-boot.iso`,
      sums: `${folder}/CHECKSUM`,
      file: `AlmaLinux-${major}(\\.\\d+|-latest)(-\\d+|-update-\\d+)?-${arch}-(boot|minimal|dvd)\\.iso`,
      volume: `AlmaLinux-${major}-\\d+-${arch}(-[a-z]+)?`,
    };
  }),
  origins: origins.alma(major),
  mirror: `https://repo.almalinux.org/almalinux/${major}`,
  vendor: 'almalinux',
  // curtin knows almalinux since 23.1.
  treeHooks: 'el',
  maas: {
    name: `almalinux-${major}`,
    base: `rhel/${major}`,
    user: 'cloud-user',
    maas: '3.3',
    curtin: '21.0',
    maturity: 'beta',
  },
});

const rocky = (major: 8 | 9 | 10): Release => ({
  name: `rocky-${major}`,
  title: `Rocky Linux ${major}`,
  anaconda: `el${major}`,
  isoNames: (arch) => `Rocky-${major === 10 ? '10-latest-' : ''}${arch}-boot.iso, from download.rockylinux.org`,
  media: media((arch) => {
    const folder = `https://download.rockylinux.org/pub/rocky/${major}/isos/${arch}`;
    return {
      iso: `${folder}/${major === 10 ? `Rocky-10-latest-${arch}-boot.iso` : `Rocky-${arch}-boot.iso`}`,
      sums: `${folder}/CHECKSUM`,
      file: `Rocky-(${major}(\\.\\d+|-latest)(-\\d+)?-)?${arch}-(boot|minimal|dvd1?)\\.iso`,
      volume: `Rocky-${major}-\\d+-${arch}(-[a-z]+)?`,
    };
  }),
  origins: origins.rocky(major),
  mirror: `https://dl.rockylinux.org/pub/rocky/${major}`,
  vendor: 'rocky',
  treeHooks: 'none',
  maas: {
    name: `rocky-${major}`,
    base: `rhel/${major}`,
    user: 'cloud-user',
    maas: '3.3',
    curtin: '22.1',
    maturity: 'beta',
  },
});

const rhel = (major: 8 | 9 | 10): Release => ({
  name: `rhel-${major}`,
  title: `Red Hat Enterprise Linux ${major}`,
  anaconda: `el${major}`,
  isoNames: (arch) =>
    `rhel-${major}.N-${arch}-dvd.iso or rhel-baseos-${major}.N-${arch}-dvd.iso, from access.redhat.com/downloads`,
  media: media((arch) => ({
    file: `rhel-(baseos-)?${major}\\.\\d+-${arch}-dvd\\.iso`,
    // The third number is gone since release 10, and release 8.0 had none.
    volume: `RHEL-${major}-\\d+(-\\d+)?-BaseOS-${arch}`,
  })),
  origins: origins.dvdOfEl8,
  vendor: 'redhat',
  treeHooks: 'none',
  maas: {
    name: `rhel/rhel${major}`,
    base: `rhel/${major}`,
    user: 'cloud-user',
    maas: major === 8 ? '2.7' : '3.3',
    curtin: '22.1',
    maturity: major === 8 ? 'stable' : 'beta',
  },
  subscription: true,
});

const stream = (major: 9 | 10): Release => ({
  name: `centos-${major}-stream`,
  title: `CentOS Stream ${major}`,
  anaconda: `el${major}`,
  isoNames: (arch) => `CentOS-Stream-${major}-latest-${arch}-boot.iso, from mirror.stream.centos.org`,
  media: media((arch) => {
    const iso = `https://mirror.stream.centos.org/${major}-stream/BaseOS/${arch}/iso/CentOS-Stream-${major}-latest-${arch}-boot.iso`;
    return {
      iso,
      sums: `${iso}.SHA256SUM`,
      file: `CentOS-Stream-${major}-(latest|\\d{8}\\.\\d+)-${arch}-(boot|dvd1)\\.iso`,
      volume: `CentOS-Stream-${major}-BaseOS-${arch}`,
    };
  }),
  origins: origins.stream(major),
  mirror: `https://mirror.stream.centos.org/${major}-stream`,
  vendor: 'centos',
  treeHooks: 'none',
  maas: {
    name: `centos-${major}-stream`,
    base: `rhel/${major}`,
    user: 'cloud-user',
    maas: '3.2',
    curtin: '21.0',
    maturity: 'beta',
  },
});

/**
 * The newest medium of each that others download by this address and check by the list below (packer templates of bento for 8
 * and 9, and one of ol-10 whose author has read both lists of release 10).
 */
const ORACLE = { 8: 10, 9: 6, 10: 2 } as const;

const oracle = (major: 8 | 9 | 10): Release => {
  const update = ORACLE[major];
  const medium = `OracleLinux-R${major}-U${update}`;
  // The network medium for aarch64 starts Oracle's own kernel; there is no other.
  const iso = (arch: string): string => `${medium}-${arch}-${arch === 'aarch64' ? 'boot-uek' : 'boot'}.iso`;
  return {
    name: `ol-${major}`,
    title: `Oracle Linux ${major}`,
    anaconda: `el${major}`,
    isoNames: (arch) => `${iso(arch)}, from yum.oracle.com/oracle-linux-isos.html`,
    media: media((arch) => ({
      iso: `https://yum.oracle.com/ISOS/OracleLinux/OL${major}/u${update}/${arch}/${iso(arch)}`,
      sums: `https://linux.oracle.com/security/gpg/checksum/${medium}-Server-${arch}.checksum`,
      file: `(OracleLinux-R${major}-U\\d+-(Server-)?)?${arch}-(boot|dvd)(-uek)?\\.iso`,
      volume: `OL-${major}-\\d+-\\d+-BaseOS-${arch}`,
    })),
    origins: origins.oracle(major),
    mirror: `https://yum.oracle.com/repo/OracleLinux/OL${major}`,
    vendor: 'redhat',
    treeHooks: 'none',
    maas: {
      name: `ol/ol${major}`,
      base: `ol/${major}`,
      user: 'cloud-user',
      maas: '3.5',
      curtin: '23.1',
      maturity: 'alpha',
    },
  };
};

/** The number of each release's media, and where those of a release that has ended are. */
const FEDORA = {
  41: { compose: '1.4', folder: 'pub/archive/fedora' },
  42: { compose: '1.1', folder: 'pub/archive/fedora' },
  43: { compose: '1.6', folder: 'pub/fedora' },
} as const;

const fedora = (version: 41 | 42 | 43): Release => {
  const { compose, folder: base } = FEDORA[version];
  return {
    name: `fedora-${version}`,
    title: `Fedora Server ${version}`,
    anaconda: `fedora${version}`,
    isoNames: (arch) =>
      `Fedora-Server-netinst-${arch}-${version}-${compose}.iso or Fedora-Server-dvd-…, from fedoraproject.org/server/download`,
    media: media((arch) => {
      const folder = `https://dl.fedoraproject.org/${base}/linux/releases/${version}/Server/${arch}/iso`;
      return {
        iso: `${folder}/Fedora-Server-netinst-${arch}-${version}-${compose}.iso`,
        sums: `${folder}/Fedora-Server-${version}-${compose}-${arch}-CHECKSUM`,
        file: `Fedora-Server-(netinst|dvd)-${arch}-${version}-\\d+\\.\\d+\\.iso`,
        volume: `Fedora-S-dvd-${arch}-${version}`,
      };
    }),
    origins: origins.fedora(version),
    mirror: `https://dl.fedoraproject.org/${base}/linux`,
    vendor: 'fedora',
    // rpm has no number for %rhel there, without which curtin's own steps fail.
    treeHooks: 'el',
    maas: {
      name: `fedora-${version}`,
      base: 'rhel/9',
      user: 'fedora',
      maas: '3.3',
      curtin: '22.1',
      maturity: 'beta',
    },
  };
};

const CENTOS_7: Release = {
  name: 'centos-7',
  title: 'CentOS 7',
  anaconda: 'el7',
  isoNames: (arch) => `CentOS-7-${arch}-NetInstall-2009.iso, from vault.centos.org/7.9.2009`,
  media: media(
    (arch) => ({
      iso: `https://vault.centos.org/7.9.2009/isos/${arch}/CentOS-7-${arch}-NetInstall-2009.iso`,
      sums: `https://vault.centos.org/7.9.2009/isos/${arch}/sha256sum.txt`,
      file: `CentOS-7-${arch}-(NetInstall|Minimal|DVD|Everything)-\\d{4}(-\\d+)?\\.iso`,
      volume: `CentOS 7 ${arch}`,
    }),
    ['amd64'],
  ),
  origins: origins.el7,
  mirror: 'https://vault.centos.org/7.9.2009',
  vendor: 'centos',
  treeHooks: 'none',
  maas: { name: 'centos/7-custom', base: 'centos/7', user: 'centos', maas: '2.3', curtin: '18.1', maturity: 'eol' },
};

const CENTOS_6: Release = {
  name: 'centos-6',
  title: 'CentOS 6',
  anaconda: 'el6',
  isoNames: (arch) => `CentOS-6.10-${arch}-netinstall.iso, from vault.centos.org/6.10`,
  media: media(
    (arch) => ({
      iso: `https://vault.centos.org/6.10/isos/${arch}/CentOS-6.10-${arch}-netinstall.iso`,
      sums: `https://vault.centos.org/6.10/isos/${arch}/sha256sum.txt`,
      file: `CentOS-6\\.\\d+-${arch}-(netinstall|minimal|bin-DVD1)\\.iso`,
      volume: `CentOS(_6\\.\\d+_Final)?`,
    }),
    ['amd64'],
  ),
  origins: origins.el6,
  mirror: 'https://vault.centos.org/6.10',
  vendor: 'redhat',
  treeHooks: 'el6',
  maas: { name: 'centos/6-custom', base: 'centos/6', user: 'centos', maas: '2.3', curtin: '18.1', maturity: 'eol' },
};

const CENTOS_8: Release = {
  name: 'centos-8',
  title: 'CentOS 8',
  anaconda: 'el8',
  isoNames: (arch) => `CentOS-8.5.2111-${arch}-boot.iso, from vault.centos.org/8.5.2111`,
  media: media((arch) => ({
    iso: `https://vault.centos.org/8.5.2111/isos/${arch}/CentOS-8.5.2111-${arch}-boot.iso`,
    sums: `https://vault.centos.org/8.5.2111/isos/${arch}/CHECKSUM`,
    file: `CentOS-8(\\.\\d+\\.\\d{4}-${arch}|-${arch}-1905)-(boot|dvd1)\\.iso`,
    volume: `CentOS-8-(\\d+-\\d{4}-${arch}-dvd|BaseOS-${arch})`,
  })),
  origins: origins.el8('https://vault.centos.org/8.5.2111'),
  mirror: 'https://vault.centos.org/8.5.2111',
  vendor: 'centos',
  treeHooks: 'none',
  maas: { name: 'centos/8-custom', base: 'centos/8', user: 'cloud-user', maas: '2.7', curtin: '19.3', maturity: 'eol' },
};

const CENTOS_8_STREAM: Release = {
  name: 'centos-8-stream',
  title: 'CentOS Stream 8',
  anaconda: 'el8',
  isoNames: (arch) => `CentOS-Stream-8-20240603.0-${arch}-boot.iso, from vault.centos.org/8-stream`,
  media: media((arch) => ({
    iso: `https://vault.centos.org/8-stream/isos/${arch}/CentOS-Stream-8-20240603.0-${arch}-boot.iso`,
    sums: `https://vault.centos.org/8-stream/isos/${arch}/CHECKSUM`,
    file: `CentOS-Stream-8-(${arch}-(latest|\\d{8})|(latest|\\d{8}\\.\\d+)-${arch})-(boot|dvd1)\\.iso`,
    volume: `CentOS-Stream-(8-${arch}-dvd|BaseOS-${arch})`,
  })),
  origins: origins.el8('https://vault.centos.org/8-stream'),
  mirror: 'https://vault.centos.org/8-stream',
  vendor: 'centos',
  treeHooks: 'none',
  maas: {
    name: 'centos/8-stream-custom',
    base: 'centos/8',
    user: 'cloud-user',
    maas: '3.2',
    curtin: '21.0',
    maturity: 'eol',
  },
};

const RHEL_7: Release = {
  name: 'rhel-7',
  title: 'Red Hat Enterprise Linux 7',
  anaconda: 'el7',
  isoNames: (arch) => `rhel-server-7.9-${arch}-dvd.iso, from access.redhat.com/downloads`,
  media: media(
    (arch) => ({ file: `rhel-server-7\\.\\d+-${arch}-dvd\\.iso`, volume: `RHEL-7\\.\\d+ Server\\.${arch}` }),
    ['amd64'],
  ),
  origins: origins.dvdOfRhel7,
  vendor: 'redhat',
  treeHooks: 'none',
  maas: { name: 'rhel/7-custom', base: 'rhel/7', user: 'cloud-user', maas: '2.3', curtin: '18.1', maturity: 'eol' },
  subscription: true,
};

const OPENEULER: Release = {
  name: 'openeuler-24.03',
  title: 'openEuler 24.03 LTS',
  anaconda: 'openeuler24.03',
  isoNames: (arch) => `openEuler-24.03-LTS-SP3-${arch}-dvd.iso, from openeuler.org/en/download`,
  // Its name, and that of its digest beside it, are those of every release (docs.openeuler.org, installation preparation).
  media: media((arch) => ({
    iso: `https://repo.openeuler.org/openEuler-24.03-LTS-SP3/ISO/${arch}/openEuler-24.03-LTS-SP3-${arch}-dvd.iso`,
    sums: `https://repo.openeuler.org/openEuler-24.03-LTS-SP3/ISO/${arch}/openEuler-24.03-LTS-SP3-${arch}-dvd.iso.sha256sum`,
    file: `openEuler-24\\.03-LTS(-SP\\d+)?-${arch}-dvd\\.iso`,
    volume: `openEuler-24\\.03-LTS(-SP\\d+)?-${arch}`,
  })),
  origins: openEuler,
  vendor: 'openEuler',
  // Its ID is none that curtin knows.
  treeHooks: 'el',
  maas: { name: 'openeuler-24.03', base: 'rhel/9', user: 'openeuler', maas: '3.3', curtin: '22.1', maturity: 'beta' },
};

export const RELEASES: readonly Release[] = [
  ...([8, 9, 10] as const).map(alma),
  CENTOS_6,
  CENTOS_7,
  CENTOS_8,
  CENTOS_8_STREAM,
  ...([9, 10] as const).map(stream),
  ...([41, 42, 43] as const).map(fedora),
  ...([8, 9, 10] as const).map(oracle),
  OPENEULER,
  RHEL_7,
  ...([8, 9, 10] as const).map(rhel),
  ...([8, 9, 10] as const).map(rocky),
];
