/** Recipes driven from their medium to a tgz, in a real QEMU, against doubles of Azure Linux's media: azurelinux-2, azurelinux-3. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ALLOW_FLAGS } from '../../fixtures/allows.ts';
import { compose, EMULATED } from '../../fixtures/cli.ts';
import { RECORDS, smallSystems } from '../../fixtures/doubles/anaconda.ts';
import { azureLinuxDouble } from '../../fixtures/doubles/azurelinux.ts';
import { AZURELINUX_FLAVOURS, type AzureLinuxFlavourName } from '../../fixtures/doubles/azurelinux-flavours.ts';
import { failedInstallation, type Installing, plannedInstallation } from '../../fixtures/doubles/installations.ts';
import { NO_SMALL_IMAGE } from '../../fixtures/small-image.ts';

const run = promisify(execFile);
const LONG = 600_000;
const HAVE = NO_SMALL_IMAGE === undefined;
const why = HAVE ? '' : ` (skipped: needs ${NO_SMALL_IMAGE})`;
const NAMES = Object.keys(AZURELINUX_FLAVOURS) as AzureLinuxFlavourName[];

let folder = '';
const media = new Map<string, string>();
const iso = (name: AzureLinuxFlavourName): string => media.get(name) ?? '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-azurelinux-'));
  if (!HAVE) return;
  const { uefi } = await smallSystems(folder);
  for (const name of NAMES) media.set(name, await azureLinuxDouble(folder, name, uefi));
}, LONG);
afterAll(() => rm(folder, { recursive: true, force: true }));

const answer = ({ source }: Installing, name: string): string =>
  source.answers[0]?.files.find(({ path }) => path.endsWith(`/${name}`))?.content ?? 'none';

/** An operator's wishes; the other release is built as it is. */
const SET: Readonly<Record<AzureLinuxFlavourName, readonly string[]>> = {
  'azurelinux-2': [],
  'azurelinux-3': [
    'packages=vim,tmux',
    'timezone=Europe/Berlin',
    'mirror=https://mirror.example/azure/',
    'extra_repositories=own=https://own.example/rpm',
  ],
};

for (const name of NAMES) {
  test.skipIf(!HAVE)(
    `${name}: its installer gets what the plan says, and what it installed is booted, finished and packed${why}`,
    async () => {
      const out = join(folder, `${name}.out`);
      const set = SET[name];
      const given = ['--iso', iso(name), ...set.flatMap((one) => ['--set', one])];
      const env = { COMPOSE_STATE: join(folder, `${name}.state`), COMPOSE_CACHE: join(folder, `${name}.cache`) };
      const built = await compose(['build', name, ...given, ...ALLOW_FLAGS, '--out', out, ...EMULATED], { env });
      expect({ status: built.status, stderr: built.status === 0 ? '' : built.stderr }).toEqual({
        status: 0,
        stderr: '',
      });

      const archive = join(out, `${name}-amd64.tar.gz`);
      const inside = async (path: string): Promise<string> =>
        (await run('tar', ['-xzOf', archive, `./${path}`], { maxBuffer: 16 * 1024 * 1024 })).stdout;
      const { stdout: listed } = await run('tar', ['-tzf', archive], { maxBuffer: 16 * 1024 * 1024 });
      const paths = new Set(listed.split('\n').map((path) => path.replace(/^\.\//, '')));

      const expected = plannedInstallation({ recipe: name, iso: iso(name), set });
      expect(await inside(`${RECORDS}/config`)).toBe(answer(expected, 'unattended_config.json'));
      expect(await inside(`${RECORDS}/packages`)).toBe(answer(expected, 'packages.json'));
      expect(await inside(`${RECORDS}/script`)).toBe(answer(expected, 'installed.sh'));
      expect(await inside(`${RECORDS}/cmdline`)).toBe('root=/dev/ram0 loglevel=3 console=ttyS0 initrd=initrd\n');

      // What ran in the system at the end of the installation.
      const [installed] = (await inside(`${RECORDS}/tdnf`)).split('\n');
      expect(installed).toContain(' cloud-init cloud-utils-growpart ');
      expect(await inside(`${RECORDS}/resolvers`)).toBe('nameserver 10.0.2.3\n'.repeat(2));
      const own = name === 'azurelinux-3';
      expect(/ tmux /.test(installed ?? '')).toBe(own);
      const repos = await inside(`${RECORDS}/repos`);
      expect(repos).toContain(`baseurl=https://${own ? 'mirror.example/azure' : 'packages.microsoft.com'}/base\n`);
      expect(repos.includes('[own]\nname=own\nbaseurl=https://own.example/rpm\n')).toBe(own);
      expect(await inside(`${RECORDS}/dracut`)).toMatch(
        /^--force \/boot\/(initrd\.img-6\S+cm2 6\S+cm2|initramfs-6\S+azl3\.img 6\S+azl3)\n$/,
      );
      const { maas } = expected;
      expect(await inside('etc/cloud/cloud.cfg.d/91-compose-user.cfg')).toContain(`    name: ${maas.user}\n`);
      expect(await inside('etc/cloud/cloud.cfg.d/90-compose-datasources.cfg')).toContain('MAAS');
      expect(await inside('curtin/curtin-hooks')).toBe(readFileSync('recipes/azurelinux/curtin-hooks', 'utf8'));
      // The EFI system partition is not packed: what is on it is in the tree, where curtin's hooks look.
      expect(paths).toContain('boot/efi/EFI/BOOT/bootx64.efi');
      expect(await inside('boot/efi/EFI/BOOT/grubx64.efi')).toBe('grub of the vendor\n');
      const { stdout: zone } = await run('tar', ['-tvzf', archive, './etc/localtime']);
      expect(zone).toContain(` -> ../usr/share/zoneinfo/${own ? 'Europe/Berlin' : 'Etc/UTC'}`);

      // What is taken out: the way in of the build, its console, its repositories, its resolver.
      expect(await inside('etc/ssh/sshd_config')).toBe('#PermitRootLogin prohibit-password\nPermitRootLogin no\n');
      for (const file of ['etc/default/grub', 'boot/grub2/grub.cfg']) {
        expect(await inside(file)).not.toContain('ttyS0');
      }
      expect(await inside('etc/yum.repos.d/base.repo')).toContain('https://packages.microsoft.com/base');
      expect(
        [...paths].filter((path) => /root\/compose|resolv\.conf\.compose|own\.repo|compose-build/.test(path)),
      ).toEqual([]);
    },
    LONG,
  );
}

interface Failure {
  readonly of: string;
  readonly set: readonly string[];
  readonly change?: (text: string) => string;
  readonly code: string;
  /** What the installer says of it, in the error's evidence. */
  readonly says: string;
}

const FAILURES: readonly Failure[] = [
  {
    of: 'a kernel that the medium lacks',
    set: ['kernel=kernel-rt'],
    code: 'installer.packages',
    says: 'Package name: kernel-rt',
  },
  {
    of: 'a package that no repository has',
    set: ['packages=no-such-package'],
    code: 'installer.script',
    says: 'No matching packages: no-such-package',
  },
  {
    of: 'a configuration it does not take',
    set: [],
    change: (text) => text.replace('"PartitionTableType": "gpt"', '"PartitionTableType": "gtp"'),
    code: 'installer.failed',
    says: 'invalid [PartitionTableType]',
  },
];

for (const [index, { of, set, change, code, says }] of FAILURES.entries()) {
  test.skipIf(!HAVE)(
    `azurelinux-3: ${of} ends the build at once, as ${code}${why}`,
    async () => {
      const made = plannedInstallation({ recipe: 'azurelinux-3', iso: iso('azurelinux-3'), set });
      const failed = await failedInstallation(made, join(folder, `failure-${index}`), { answer: change });
      expect(failed.code).toBe(code);
      expect(failed.serial).toContain(says);
    },
    LONG,
  );
}
