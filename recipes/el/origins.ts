/** Where an installer takes packages from: the kickstart's source command and its further repositories. */
import type { KickstartLine } from './kickstart-text.ts';
import { line } from './kickstart-text.ts';

export interface Origin {
  /** What rpm calls the architecture. */
  readonly arch: 'x86_64' | 'aarch64';
  /** Base of a mirror in the vendor's own layout, without a slash at its end; the vendor's list of mirrors where undefined. */
  readonly mirror: string | undefined;
  /** Of EPEL, for Enterprise Linux 6. */
  readonly epel: string | undefined;
}

/** Addresses only; what they have in common (proxy) is added by the kickstart. */
export interface Origins {
  readonly source: KickstartLine;
  readonly repositories: readonly KickstartLine[];
}

/** A repository by its address, or by a list of mirrors. */
type Way = readonly ['baseurl' | 'mirrorlist' | 'metalink', string];

function source([way, address]: Way): KickstartLine {
  return line('url', [[way === 'baseurl' ? 'url' : way, address]]);
}

function repository(name: string, [way, address]: Way): KickstartLine {
  return line('repo', [
    ['name', name],
    [way, address],
  ]);
}

/** The first is where the installer itself and the base come from. */
function network(ways: readonly (readonly [name: string, way: Way])[]): Origins {
  const [first, ...rest] = ways;
  if (first === undefined) throw new Error('an installer needs a source');
  return { source: source(first[1]), repositories: rest.map(([name, way]) => repository(name, way)) };
}

/** The layout of a whole mirror since Enterprise Linux 8. */
function el8Mirror(mirror: string, arch: string): Origins {
  return network([
    ['BaseOS', ['baseurl', `${mirror}/BaseOS/${arch}/os`]],
    ['AppStream', ['baseurl', `${mirror}/AppStream/${arch}/os`]],
    ['extras', ['baseurl', `${mirror}/extras/${arch}/os`]],
  ]);
}

const DVD = line('cdrom', []);
/** Where Anaconda has the medium mounted. */
const ON_DVD = 'file:///run/install/repo';

export const origins = {
  alma:
    (major: number) =>
    ({ arch, mirror }: Origin): Origins => {
      if (mirror !== undefined) return el8Mirror(mirror, arch);
      const list = (name: string): Way => ['mirrorlist', `https://mirrors.almalinux.org/mirrorlist/${major}/${name}`];
      return network([
        ['BaseOS', list('baseos')],
        ['AppStream', list('appstream')],
        ['extras', list('extras')],
      ]);
    },
  rocky:
    (major: number) =>
    ({ arch, mirror }: Origin): Origins => {
      if (mirror !== undefined) return el8Mirror(mirror, arch);
      const list = (name: string): Way => [
        'mirrorlist',
        `https://mirrors.rockylinux.org/mirrorlist?arch=${arch}&repo=${name}-${major}`,
      ];
      return network([
        ['BaseOS', list('BaseOS')],
        ['AppStream', list('AppStream')],
        ['extras', list('extras')],
      ]);
    },
  stream:
    (major: number) =>
    ({ arch, mirror }: Origin): Origins => {
      const way = (folder: string): Way =>
        mirror === undefined
          ? [
              'metalink',
              `https://mirrors.centos.org/metalink?repo=centos-${folder.toLowerCase()}-${major}-stream&arch=${arch}&protocol=https,http`,
            ]
          : ['baseurl', `${mirror}/${folder}/${arch}/os`];
      return network([
        ['BaseOS', way('BaseOS')],
        ['AppStream', way('AppStream')],
      ]);
    },
  /** @param vault where the last packages of a release are that has no mirrors any more */
  el8:
    (vault: string) =>
    ({ arch, mirror }: Origin): Origins =>
      el8Mirror(mirror ?? vault, arch),
  el7: ({ arch, mirror = 'https://vault.centos.org/7.9.2009' }: Origin): Origins =>
    network([
      ['os', ['baseurl', `${mirror}/os/${arch}`]],
      ['updates', ['baseurl', `${mirror}/updates/${arch}`]],
      ['extras', ['baseurl', `${mirror}/extras/${arch}`]],
    ]),
  el6: ({ arch, mirror = 'https://vault.centos.org/6.10', epel }: Origin): Origins =>
    network([
      ['os', ['baseurl', `${mirror}/os/${arch}`]],
      ['updates', ['baseurl', `${mirror}/updates/${arch}`]],
      // cloud-init and growpart are nowhere else.
      ['epel', ['baseurl', `${epel ?? 'https://archives.fedoraproject.org/pub/archive/epel/6'}/${arch}`]],
    ]),
  oracle:
    (major: number) =>
    ({ arch, mirror }: Origin): Origins => {
      const base = mirror ?? `https://yum.oracle.com/repo/OracleLinux/OL${major}`;
      return network([
        ['baseos', ['baseurl', `${base}/baseos/latest/${arch}`]],
        [`ol${major}_appstream`, ['baseurl', `${base}/appstream/${arch}`]],
      ]);
    },
  fedora:
    (version: number) =>
    ({ arch, mirror }: Origin): Origins => {
      const list = (name: string): Way => [
        'metalink',
        `https://mirrors.fedoraproject.org/metalink?repo=${name}&arch=${arch}`,
      ];
      if (mirror === undefined) {
        return network([
          ['fedora', list(`fedora-${version}`)],
          ['updates', list(`updates-released-f${version}`)],
        ]);
      }
      return network([
        ['fedora', ['baseurl', `${mirror}/releases/${version}/Everything/${arch}/os`]],
        ['updates', ['baseurl', `${mirror}/updates/${version}/Everything/${arch}`]],
      ]);
    },
  dvdOfEl8: (): Origins => ({
    source: DVD,
    repositories: [repository('dvd-AppStream', ['baseurl', `${ON_DVD}/AppStream`])],
  }),
  /** What clusters and shared storage need lies beside the base. */
  dvdOfRhel7: (): Origins => ({
    source: DVD,
    repositories: [
      repository('dvd-HighAvailability', ['baseurl', `${ON_DVD}/addons/HighAvailability`]),
      repository('dvd-ResilientStorage', ['baseurl', `${ON_DVD}/addons/ResilientStorage`]),
    ],
  }),
};

export const openEuler = (): Origins => ({ source: DVD, repositories: [] });
