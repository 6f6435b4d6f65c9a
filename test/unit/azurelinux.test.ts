import { describe, expect, test } from 'vitest';
import { unattendedConfig } from '../../recipes/azurelinux/config.ts';
import { repositoryPackages } from '../../recipes/azurelinux/packages.ts';
import { RELEASES, type Release } from '../../recipes/azurelinux/releases.ts';
import { installedScript } from '../../recipes/azurelinux/script.ts';
import { plan } from '../../src/recipe/plan.ts';

const scripts = { post: 'echo post\n', hooks: 'echo hooks\n' };
const release = RELEASES[1] as Release;

function script(values: Record<string, string>, more: { packages?: string[]; proxy?: string } = {}): string {
  const { packages = [], proxy } = more;
  const firmware = 'uefi';
  const rest = { recipe: 'azurelinux-3', firmware, layout: undefined, custom: undefined } as const;
  return installedScript(release, { ...rest, arch: 'amd64', outputs: ['tgz'], values, packages, proxy }, scripts);
}

describe('the configuration', () => {
  const read = (arch: 'amd64' | 'arm64') => JSON.parse(unattendedConfig(arch, 'kernel-hwe'));

  test('has a whole disk for EFI and root, the kernel, and nobody who may log in', () => {
    const { Disks, SystemConfigs } = read('amd64');
    expect(Disks[0].TargetDisk).toEqual({ Type: 'path', Value: '/dev/vda' });
    const [boot, root] = Disks[0].Partitions;
    expect({ start: root.Start, end: root.End }).toEqual({ start: boot.End, end: 0 });
    expect(SystemConfigs[0]).toMatchObject({ BootType: 'efi', KernelOptions: { default: 'kernel-hwe' } });
    expect(SystemConfigs[0].Users).toBeUndefined();
  });

  test("keeps the serial line of the build's board", () => {
    const consoleOf = (arch: 'amd64' | 'arm64') => read(arch).SystemConfigs[0].KernelCommandLine.ExtraCommandLine;
    expect([consoleOf('amd64'), consoleOf('arm64')]).toEqual(['console=ttyS0', 'console=ttyAMA0']);
  });

  test('refuses a kernel that is no name of a package', () => {
    expect(() => unattendedConfig('amd64', 'kernel", "x')).toThrow(/it is no name of a package/);
  });
});

describe('the script', () => {
  test('says what the operator wants in words that no shell reads anything into', () => {
    const text = script(
      { timezone: "Europe/Berlin'; reboot '" },
      { packages: ['vim'], proxy: 'http://10.0.2.2:3128/$x' },
    );
    expect(text).toContain(`TIME_ZONE='Europe/Berlin'\\''; reboot '\\'''\n`);
    expect(text).toContain("export http_proxy='http://10.0.2.2:3128/$x' https_proxy='http://10.0.2.2:3128/$x'\n");
    expect(text).toMatch(/^PACKAGES='[^']* vim [^']*'$/m);
  });

  test.each([
    [{ mirror: 'mirror.example' }, 'Cannot use the mirror "mirror.example"'],
    [{ mirror: 'https://m.example/#x' }, 'Cannot use the mirror "https://m.example/#x"'],
    [{ extra_repositories: 'https://own.example' }, 'Cannot add the repository "https://own.example"'],
  ])('refuses %j', (values, message) => {
    expect(() => script(values as Record<string, string>)).toThrow(message);
  });

  test('refuses packages that are none', () => {
    expect(() => script({}, { packages: ['--allowerasing'] })).toThrow(/no name of a package/);
  });
});

test('GRUB for a BIOS is for the PC only', () => {
  expect(repositoryPackages('amd64', [])).toContain('grub2-pc');
  expect(repositoryPackages('arm64', [])).not.toContain('grub2-pc');
});

test('in the live system only what compose appends starts the installer', () => {
  const { source } = plan({ recipe: 'azurelinux-3', mediumLater: true });
  if (source.kind !== 'installer') throw new Error('another source');
  const files = new Map(source.answers[0]?.files.map(({ path, content }) => [path, content]));
  const start = '/root/compose/start';
  expect(files.has(start.slice(1))).toBe(true);
  expect(files.get('etc/systemd/system/compose-install.service')).toContain(`ExecStart=/bin/bash ${start}\n`);
  expect(files.get('etc/systemd/system/multi-user.target.d/compose.conf')).toContain('Wants=compose-install.service\n');
  for (const getty of ['getty@', 'serial-getty@']) {
    expect(files.get(`etc/systemd/system/${getty}.service.d/compose.conf`)).toContain(
      `ConditionPathExists=!${start}\n`,
    );
  }
});

test.each([
  ['azurelinux-2', 'AzureLinux-3.0-x86_64.iso', 'is no name of its medium'],
  ['azurelinux-3', 'Mariner-2.0-x86_64.iso', 'is no name of its medium'],
  ['azurelinux-3', 'AzureLinux-3.0-aarch64.iso', 'is for arm64'],
])('%s: the medium %s is refused, as it %s', (recipe, iso, why) => {
  expect(() => plan({ recipe, iso: `/media/${iso}` })).toThrow(`${iso} ${why}`);
});
