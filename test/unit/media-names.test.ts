/** Media as vendors have named them: each is taken by its own entry of the catalogue, and by no other. */
import { expect, test } from 'vitest';
import type { Arch } from '../../src/machine/arch.ts';
import { catalogueNames, catalogueRecipe } from '../../src/recipe/catalogue.ts';
import { plan } from '../../src/recipe/plan.ts';
import type { PlannedInstaller } from '../../src/recipe/plan-installer.ts';

/** File and volume of media that exist (osinfo-db, tests/isodata: isoinfo's own words of each). */
const MEDIA: readonly (readonly [recipe: string, arch: Arch, file: string, volume: string])[] = [
  ['almalinux-8', 'amd64', 'AlmaLinux-8.7-x86_64-dvd.iso', 'AlmaLinux-8-7-x86_64-dvd'],
  ['almalinux-9', 'arm64', 'AlmaLinux-9.1-update-1-aarch64-minimal.iso', 'AlmaLinux-9-1-aarch64-dvd'],
  ['almalinux-10', 'arm64', 'AlmaLinux-10.0-aarch64-boot.iso', 'AlmaLinux-10-0-aarch64-dvd'],
  ['centos-6', 'amd64', 'CentOS-6.10-x86_64-netinstall.iso', 'CentOS'],
  ['centos-6', 'amd64', 'CentOS-6.10-x86_64-bin-DVD1.iso', 'CentOS_6.10_Final'],
  ['centos-7', 'amd64', 'CentOS-7-x86_64-Everything-2009.iso', 'CentOS 7 x86_64'],
  ['centos-8', 'arm64', 'CentOS-8.5.2111-aarch64-boot.iso', 'CentOS-8-5-2111-aarch64-dvd'],
  ['centos-8', 'amd64', 'CentOS-8-x86_64-1905-dvd1.iso', 'CentOS-8-BaseOS-x86_64'],
  ['centos-8-stream', 'amd64', 'CentOS-Stream-8-x86_64-20200730-dvd1.iso', 'CentOS-Stream-8-x86_64-dvd'],
  ['centos-8-stream', 'arm64', 'CentOS-Stream-8-20240603.0-aarch64-boot.iso', 'CentOS-Stream-BaseOS-aarch64'],
  ['centos-9-stream', 'amd64', 'CentOS-Stream-9-latest-x86_64-boot.iso', 'CentOS-Stream-9-BaseOS-x86_64'],
  ['centos-10-stream', 'arm64', 'CentOS-Stream-10-latest-aarch64-dvd1.iso', 'CentOS-Stream-10-BaseOS-aarch64'],
  ['debian-11', 'amd64', 'debian-11.0.0-amd64-netinst.iso', 'Debian 11.0.0 amd64 n'],
  ['debian-13', 'arm64', 'debian-13.0.0-arm64-DVD-1.iso', 'Debian 13.0.0 arm64 1'],
  ['fedora-41', 'amd64', 'Fedora-Server-dvd-x86_64-41-1.4.iso', 'Fedora-S-dvd-x86_64-41'],
  ['fedora-42', 'arm64', 'Fedora-Server-netinst-aarch64-42-1.1.iso', 'Fedora-S-dvd-aarch64-42'],
  ['fedora-43', 'amd64', 'Fedora-Server-netinst-x86_64-43-1.6.iso', 'Fedora-S-dvd-x86_64-43'],
  ['ol-8', 'arm64', 'OracleLinux-R8-U8-aarch64-dvd.iso', 'OL-8-8-0-BaseOS-aarch64'],
  ['ol-9', 'amd64', 'OracleLinux-R9-U3-x86_64-dvd.iso', 'OL-9-3-0-BaseOS-x86_64'],
  ['ol-10', 'amd64', 'OracleLinux-R10-U0-x86_64-boot.iso', 'OL-10-0-0-BaseOS-x86_64'],
  ['openeuler-24.03', 'amd64', 'openEuler-24.03-LTS-SP2-x86_64-dvd.iso', 'openEuler-24.03-LTS-SP2-x86_64'],
  ['opensuse-15', 'amd64', 'openSUSE-Leap-15.6-DVD-x86_64-Current.iso', 'openSUSE-Leap-15.6-DVD-x86_64710'],
  ['opensuse-15', 'arm64', 'openSUSE-Leap-15.6-DVD-aarch64-Build710.3-Media.iso', 'openSUSE-Leap-15.6-DVD-aarch6471'],
  ['opensuse-16', 'amd64', 'Leap-16.0-offline-installer-x86_64-Build171.1.install.iso', 'Install-Leap-16.0-x86_64'],
  ['opensuse-16', 'arm64', 'Leap-16.0-online-installer-aarch64.install.iso', 'Install-Leap-16.0-aarch64'],
  ['rhel-7', 'amd64', 'rhel-server-7.9-x86_64-dvd.iso', 'RHEL-7.9 Server.x86_64'],
  ['rhel-8', 'amd64', 'rhel-8.10-x86_64-dvd.iso', 'RHEL-8-10-0-BaseOS-x86_64'],
  ['rhel-9', 'arm64', 'rhel-9.4-aarch64-dvd.iso', 'RHEL-9-4-0-BaseOS-aarch64'],
  ['rhel-10', 'amd64', 'rhel-10.0-x86_64-dvd.iso', 'RHEL-10-0-BaseOS-x86_64'],
  ['rocky-8', 'arm64', 'Rocky-8.6-aarch64-dvd1.iso', 'Rocky-8-6-aarch64-dvd'],
  ['rocky-9', 'amd64', 'Rocky-9-latest-x86_64-boot.iso', 'Rocky-9-4-x86_64-dvd'],
  ['rocky-10', 'arm64', 'Rocky-10.0-aarch64-minimal.iso', 'Rocky-10-0-aarch64-dvd'],
  ['sles-15', 'amd64', 'SLE-15-SP6-Full-x86_64-GM-Media1.iso', 'SLE-15-SP6-Full-x86_6492.1.001'],
  ['sles-15', 'arm64', 'SLE-15-SP7-Full-aarch64-GM-Media1.iso', 'SLE-15-SP7-Full-aarch6491..001'],
  ['sles-16', 'amd64', 'SLES-16.0-Full-x86_64-GM.install.iso', 'Install-SUSE-SLE-16-x86_64'],
  ['ubuntu-20.04', 'amd64', 'ubuntu-20.04-live-server-amd64.iso', 'Ubuntu-Server 20.04 LTS amd64'],
  ['ubuntu-22.04', 'arm64', 'ubuntu-22.04-live-server-arm64.iso', 'Ubuntu-Server 22.04 LTS arm64'],
  ['ubuntu-24.04', 'amd64', 'ubuntu-24.04-live-server-amd64.iso', 'Ubuntu-Server 24.04 LTS amd64'],
  ['ubuntu-26.04', 'arm64', 'ubuntu-26.04-live-server-arm64.iso', 'Ubuntu-Server 26.04 arm64'],
];

/** Of the same vendors, and nothing an entry installs from. */
const OTHERS: readonly (readonly [file: string, volume: string])[] = [
  ['AlmaLinux-9.5-x86_64-Live-GNOME.iso', 'AlmaLinux-9_5-x86_64-Live-GNOME'],
  ['Fedora-Everything-netinst-x86_64-43-1.6.iso', 'Fedora-E-dvd-x86_64-43'],
  ['openSUSE-Leap-15.6-NET-x86_64-Current.iso', 'openSUSE-Leap-15.6-NET-x86_64710'],
  ['openSUSE-Leap-15.6-Rescue-CD-x86_64-Media.iso', 'openSUSE_Leap_15.6_Rescue_CD'],
  ['SLE-12-SP5-Server-DVD-x86_64-GM-DVD1.iso', 'SLE-12-SP5-Server-DVD-x86_640372'],
  ['SLE-15-SP6-Online-x86_64-GM-Media1.iso', 'SLE-15-SP6-Online-x86_6492.1.001'],
  ['rhel-server-7.9-x86_64-boot.iso', 'RHEL-7.6 Workstation.x86_64'],
  ['ubuntu-24.04-desktop-amd64.iso', 'Ubuntu 24.04 LTS amd64'],
];

interface Taken {
  readonly entry: string;
  readonly file: RegExp;
  readonly volume: RegExp;
  readonly source: PlannedInstaller;
}

/** Every entry that installs from a medium, by the architecture of that. */
const ENTRIES: readonly Taken[] = catalogueNames().flatMap((name) => {
  const recipe = catalogueRecipe(name);
  const layout = 'flat' in recipe.layouts ? { layout: 'flat' } : {};
  return recipe.arch.flatMap((arch) => {
    try {
      const { source } = plan({ recipe: name, arch, source: 'installer', mediumLater: true, ...layout });
      if (source.kind !== 'installer') return [];
      const whole = (pattern: string | undefined): RegExp => new RegExp(`^(?:${pattern})$`);
      return [{ entry: `${name} ${arch}`, file: whole(source.fileName), volume: whole(source.volume), source }];
    } catch {
      // No installer is among its sources.
      return [];
    }
  });
});
const named = (entries: readonly Taken[]): string[] => entries.map(({ entry }) => entry);

test.each(MEDIA)('%s takes its medium for %s: %s', (recipe, arch, file, volume) => {
  expect(named(ENTRIES.filter((one) => one.file.test(file)))).toEqual([`${recipe} ${arch}`]);
  // What somebody has renamed is found out by its volume. That of CentOS 6 says no more.
  expect(named(ENTRIES.filter((one) => one.volume.test(volume)))).toEqual([`${recipe} ${arch}`]);
});

test.each(OTHERS)('%s is the medium of no entry', (file, volume) => {
  expect(named(ENTRIES.filter((one) => one.file.test(file)))).toEqual([]);
  expect(named(ENTRIES.filter((one) => one.volume.test(volume)))).toEqual([]);
});

test.each(ENTRIES)('$entry names its medium for people by its own architecture', ({ entry, source }) => {
  const foreign = entry.endsWith('amd64') ? /aarch64|arm64/ : /x86_64|amd64/;
  expect(source.isoNames).toBeDefined();
  expect(source.isoNames).not.toMatch(foreign);
});

const DOWNLOADED = ENTRIES.filter(({ source }) => source.iso !== undefined);
test.each(DOWNLOADED)(
  '$entry downloads a file whose name it takes, with a digest from the vendor',
  ({ file, source }) => {
    expect(source.iso).toMatch(/^https:\/\//);
    expect(source.iso?.split('/').at(-1)?.replace('*', '.1')).toMatch(file);
    expect(source.checksum).toMatchObject({ sums: expect.stringMatching(/^https:\/\//) });
  },
);

/** Whose terms or whose servers leave no address: an account, or no digest. */
const GIVEN = [
  ...['rhel-7 amd64', ...[8, 9, 10].flatMap((major) => [`rhel-${major} amd64`, `rhel-${major} arm64`])],
  ...['sles-15 amd64', 'sles-15 arm64', 'sles-16 amd64', 'sles-16 arm64', 'azurelinux-3 arm64'],
  ...[11, 12, 13].flatMap((version) => [`debian-${version} amd64`, `debian-${version} arm64`]),
];
test('a medium has to be given only where its vendor has no address and no digest of it', () => {
  expect(named(ENTRIES.filter(({ source }) => source.iso === undefined)).sort()).toEqual([...GIVEN].sort());
});
