/** The releases that Anaconda installs: families are functions, releases are rows. */
import { openEuler, origins } from './origins.ts';
import { media, type Release } from './release.ts';

const alma = (major: 8 | 9 | 10): Release => ({
  name: `almalinux-${major}`,
  title: `AlmaLinux ${major}`,
  anaconda: `el${major}`,
  isoNames: `AlmaLinux-${major}-latest-x86_64-boot.iso, from repo.almalinux.org`,
  media: media((arch) => {
    const folder = `https://repo.almalinux.org/almalinux/${major}/isos/${arch}`;
    return {
      iso: `${folder}/AlmaLinux-${major}-latest-${arch}-boot.iso`,
      sums: `${folder}/CHECKSUM`,
      file: `AlmaLinux-${major}(\\.\\d+|-latest)(-\\d+)?-${arch}-(boot|minimal|dvd)\\.iso`,
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
  isoNames: `${major === 10 ? 'Rocky-10-latest-x86_64-boot.iso' : 'Rocky-x86_64-boot.iso'}, from download.rockylinux.org`,
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
  isoNames: `rhel-${major}.N-x86_64-dvd.iso or rhel-baseos-${major}.N-x86_64-dvd.iso, from access.redhat.com/downloads`,
  media: media((arch) => ({
    file: `rhel-(baseos-)?${major}\\.\\d+-${arch}-dvd\\.iso`,
    volume: `RHEL-${major}-\\d+-\\d+-BaseOS-${arch}`,
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
  isoNames: `CentOS-Stream-${major}-latest-x86_64-boot.iso, from mirror.stream.centos.org`,
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

/** The last medium of each that the vendor's list of digests is known for. */
const ORACLE = {
  8: { update: 8, iso: (arch: string) => `${arch}-boot.iso` },
  9: { update: 2, iso: (arch: string) => `OracleLinux-R9-U2-${arch}-boot.iso` },
  10: { update: 0, iso: (arch: string) => `OracleLinux-R10-U0-${arch}-boot.iso` },
} as const;

const oracle = (major: 8 | 9 | 10): Release => {
  const { update, iso } = ORACLE[major];
  const server = `OracleLinux-R${major}-U${update}-Server`;
  return {
    name: `ol-${major}`,
    title: `Oracle Linux ${major}`,
    anaconda: `el${major}`,
    isoNames: `${iso('x86_64')}, from yum.oracle.com/oracle-linux-isos.html`,
    media: media((arch) => ({
      // The media for aarch64 have names of their own, by the kernel they start; none is named here that was not seen.
      ...(arch === 'x86_64' && {
        iso: `https://yum.oracle.com/ISOS/OracleLinux/OL${major}/u${update}/${arch}/${iso(arch)}`,
        sums: `https://linux.oracle.com/security/gpg/checksum/${server}-${arch}.checksum`,
      }),
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
    isoNames: `Fedora-Server-netinst-x86_64-${version}-${compose}.iso or Fedora-Server-dvd-…, from fedoraproject.org/server/download`,
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
  isoNames: 'CentOS-7-x86_64-NetInstall-2009.iso, from vault.centos.org/7.9.2009',
  media: media(
    (arch) => ({
      iso: `https://vault.centos.org/7.9.2009/isos/${arch}/CentOS-7-${arch}-NetInstall-2009.iso`,
      sums: `https://vault.centos.org/7.9.2009/isos/${arch}/sha256sum.txt`,
      file: `CentOS-7-${arch}-(NetInstall|Minimal|DVD)-\\d{4}\\.iso`,
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
  isoNames: 'CentOS-6.10-x86_64-netinstall.iso, from vault.centos.org/6.10',
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
  isoNames: 'CentOS-8.5.2111-x86_64-boot.iso, from vault.centos.org/8.5.2111',
  media: media((arch) => ({
    iso: `https://vault.centos.org/8.5.2111/isos/${arch}/CentOS-8.5.2111-${arch}-boot.iso`,
    sums: `https://vault.centos.org/8.5.2111/isos/${arch}/CHECKSUM`,
    file: `CentOS-8\\.\\d+\\.\\d{4}-${arch}-(boot|dvd1)\\.iso`,
    volume: `CentOS-8-\\d+-\\d{4}-${arch}-dvd`,
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
  isoNames: 'CentOS-Stream-8-x86_64-latest-boot.iso, from vault.centos.org/8-stream',
  media: media((arch) => ({
    iso: `https://vault.centos.org/8-stream/isos/${arch}/CentOS-Stream-8-${arch}-latest-boot.iso`,
    sums: `https://vault.centos.org/8-stream/isos/${arch}/CHECKSUM`,
    file: `CentOS-Stream-8-(${arch}-latest|(latest|\\d{8}\\.\\d+)-${arch})-(boot|dvd1)\\.iso`,
    volume: `CentOS-Stream-8-${arch}-dvd`,
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
  isoNames: 'rhel-server-7.9-x86_64-dvd.iso, from access.redhat.com/downloads',
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
  isoNames: 'openEuler-24.03-LTS-SP3-x86_64-dvd.iso, from openeuler.org/en/download',
  media: media((arch) => ({
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
