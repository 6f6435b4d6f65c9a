/** Recipes driven from their medium to a tgz, in a real QEMU, against doubles of the media of YaST and Agama. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ALLOW_FLAGS } from '../../fixtures/allows.ts';
import { compose, EMULATED } from '../../fixtures/cli.ts';
import { RECORDS, smallSystems } from '../../fixtures/doubles/anaconda.ts';
import { failedInstallation, plannedInstallation } from '../../fixtures/doubles/installations.ts';
import { suseDouble } from '../../fixtures/doubles/suse.ts';
import { SUSE_FLAVOURS, type SuseFlavourName } from '../../fixtures/doubles/suse-flavours.ts';
import { NO_SMALL_IMAGE } from '../../fixtures/small-image.ts';

const run = promisify(execFile);
const LONG = 600_000;
const HAVE = NO_SMALL_IMAGE === undefined;
const why = HAVE ? '' : ` (skipped: needs ${NO_SMALL_IMAGE})`;
const NAMES = ['opensuse-15', 'opensuse-16', 'sles-15', 'sles-16'] as const satisfies readonly SuseFlavourName[];

let folder = '';
const media = new Map<string, string>();
const iso = (name: SuseFlavourName): string => media.get(name) ?? '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-suse-'));
  if (!HAVE) return;
  const systems = await smallSystems(folder);
  for (const name of NAMES) media.set(name, await suseDouble(folder, name, systems));
}, LONG);
afterAll(() => rm(folder, { recursive: true, force: true }));

/** An operator's additions, in each language. */
const CUSTOM = {
  autoyast:
    '<timezone><timezone>Europe/Berlin</timezone></timezone><software><packages t="list"><p>gcc</p></packages></software>',
  agama: '{"localization": {"timezone": "Europe/Berlin"}, "software": {"packages": ["gcc"]}}',
} as const;

const GRUB = 'GRUB_TIMEOUT=1\nGRUB_CMDLINE_LINUX=" net.ifnames=1"\nGRUB_TERMINAL_OUTPUT="console"\n';

for (const name of NAMES) {
  test.skipIf(!HAVE)(
    `${name}: its installer gets what the plan says, and what it installed is booted, finished and packed${why}`,
    async () => {
      const out = join(folder, `${name}.out`);
      const language = SUSE_FLAVOURS[name].installer === 'yast' ? 'autoyast' : 'agama';
      const custom = join(folder, `${name}.custom`);
      await writeFile(custom, CUSTOM[language]);
      const set = ['packages=vim,tmux'];
      const given = ['--iso', iso(name), `--custom-${language}`, custom, '--set', ...set];
      const env = { COMPOSE_STATE: join(folder, `${name}.state`), COMPOSE_CACHE: join(folder, `${name}.cache`) };
      const built = await compose(['build', name, ...given, ...ALLOW_FLAGS, '--out', out, ...EMULATED], {
        env,
      });
      expect({ status: built.status, stderr: built.status === 0 ? '' : built.stderr }).toEqual({
        status: 0,
        stderr: '',
      });

      const archive = join(out, `${name}-amd64.tar.gz`);
      const inside = async (path: string): Promise<string> =>
        (await run('tar', ['-xzOf', archive, `./${path}`], { maxBuffer: 16 * 1024 * 1024 })).stdout;
      const { stdout: listed } = await run('tar', ['-tzf', archive], { maxBuffer: 16 * 1024 * 1024 });
      const paths = new Set(listed.split('\n').map((path) => path.replace(/^\.\//, '')));

      const expected = plannedInstallation({ recipe: name, iso: iso(name), set, custom: { language, file: custom } });
      const profile = await inside(`${RECORDS}/profile`);
      expect(profile).toBe(expected.source.answers[0]?.files[0]?.content);
      expect(profile).toContain('Europe/Berlin');
      const commandLine = expected.source.append.replace('${volume}', SUSE_FLAVOURS[name].volumeId);
      expect(await inside(`${RECORDS}/cmdline`)).toBe(`${commandLine} initrd=initrd\n`);
      const packages = (await inside(`${RECORDS}/packages`)).split('\n');
      for (const one of ['cloud-init', 'kernel-default', 'vim', 'tmux', 'gcc']) expect(packages).toContain(one);
      // What ran in the system at the end of the installation.
      expect(await inside('etc/cloud/cloud.cfg.d/90-compose-datasources.cfg')).toContain('MAAS');
      expect(await inside('curtin/curtin-hooks')).toBe(readFileSync('recipes/suse/curtin-hooks', 'utf8'));
      expect(await inside(`${RECORDS}/systemctl`)).toContain('enable cloud-init-local.service\n');
      expect(await inside(`${RECORDS}/dracut`)).toBe('--force /boot/initrd-6.4.0-default 6.4.0-default\n');

      // What the last step takes out, and what it leaves.
      expect(await inside('boot/grub2/grub.cfg')).toBe(GRUB);
      expect([...paths].filter((path) => path.startsWith('etc/zypp/repos.d/') && path.endsWith('.repo'))).toEqual([
        'etc/zypp/repos.d/own.repo',
      ]);
      expect(paths).not.toContain('etc/sysconfig/network/ifcfg-eth0');
      expect(paths).toContain('etc/sysconfig/network/ifcfg-lo');
      expect(await inside('etc/sysconfig/proxy')).toBe('PROXY_ENABLED="no"\nHTTP_PROXY=""\nHTTPS_PROXY=""\n');
    },
    LONG,
  );
}

interface Failure {
  readonly of: string;
  readonly on: SuseFlavourName;
  readonly append?: (words: string) => string;
  readonly profile?: (text: string) => string;
  readonly code: string;
  /** What the installer says of it, in the error's evidence. */
  readonly says: string;
}

const FAILURES: readonly Failure[] = [
  {
    of: 'a profile that is not where it was said to be',
    on: 'sles-15',
    append: (words) => words.replace('autoinst.xml', 'other.xml'),
    code: 'installer.failed',
    says: 'AutoYaST configuration file label://OEMDRV/other.xml not found.',
  },
  {
    of: 'a package that no module has',
    on: 'sles-15',
    profile: (text) => text.replace('<package>cloud-init<', '<package>no-such-package<'),
    code: 'installer.packages',
    says: 'These packages could not be found in the software repositories: no-such-package',
  },
  {
    of: 'a script that fails',
    on: 'sles-15',
    profile: (text) => text.replace('set -eu\n', 'set -eu\necho before; exit 3\n'),
    code: 'installer.script',
    says: 'User-defined script compose.sh returned an error (3)',
  },
  {
    of: 'a profile that is not where it was said to be',
    on: 'sles-16',
    append: (words) => words.replace('autoinst.json', 'other.json'),
    code: 'installer.failed',
    says: 'Could not fetch the profile from label://OEMDRV/other.json',
  },
  {
    of: 'a product it does not have',
    on: 'sles-16',
    profile: (text) => text.replace('"id": "SLES"', '"id": "SLED"'),
    code: 'installer.failed',
    says: 'Could not load the profile: unknown product',
  },
];

for (const [index, { of, on, append, profile, code, says }] of FAILURES.entries()) {
  test.skipIf(!HAVE)(
    `${on}: ${of} ends the build at once, as ${code}${why}`,
    async () => {
      const made = plannedInstallation({ recipe: on, iso: iso(on) });
      const failed = await failedInstallation(made, join(folder, `failure-${index}`), { append, answer: profile });
      expect(failed.code).toBe(code);
      expect(failed.serial).toContain(says);
    },
    LONG,
  );
}
