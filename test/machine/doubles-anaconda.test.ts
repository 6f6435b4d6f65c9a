/** Recipes driven from their medium to a tgz, in a real QEMU, against doubles of Anaconda's releases. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ALLOW_FLAGS } from '../../fixtures/allows.ts';
import { compose, EMULATED } from '../../fixtures/cli.ts';
import { anacondaDouble, FLAVOURS, type FlavourName, RECORDS, smallSystems } from '../../fixtures/doubles/anaconda.ts';
import { failedInstallation, type Installing, plannedInstallation } from '../../fixtures/doubles/installations.ts';
import { NO_SMALL_IMAGE } from '../../fixtures/small-image.ts';

const run = promisify(execFile);
const LONG = 600_000;
const HAVE = NO_SMALL_IMAGE === undefined;
const why = HAVE ? '' : ` (skipped: needs ${NO_SMALL_IMAGE})`;

/** Each with the hooks its tree has. */
const DRIVEN: readonly (readonly [name: FlavourName, hooks: string | undefined])[] = [
  ['centos-6', 'curtin-hooks-el6'],
  ['rhel-7', undefined],
  ['rhel-8', undefined],
  ['rocky-9', undefined],
  ['almalinux-10', 'curtin-hooks'],
  ['fedora-42', 'curtin-hooks'],
];

let folder = '';
const media = new Map<string, string>();
const iso = (name: FlavourName): string => media.get(name) ?? '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-anaconda-'));
  if (!HAVE) return;
  const systems = await smallSystems(folder);
  for (const [name] of DRIVEN) media.set(name, await anacondaDouble(folder, name, systems));
}, LONG);
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The kernel's command line as the machine has it; a firmware of UEFI adds where it has put the initrd. */
const commandLine = ({ source, machine }: Installing, name: FlavourName): string =>
  source.append.replace('${volume}', FLAVOURS[name].volumeId.replaceAll(' ', '\\x20')) +
  (machine.firmware === 'uefi' ? ' initrd=initrd' : '');

/** An operator's additions. */
const CUSTOM = 'lang de_DE.UTF-8\n%packages\ngcc\n%end\n%post\necho by hand > /etc/added\n%end\n';

const NETWORK = ['etc/sysconfig/network-scripts/ifcfg-eth0', 'etc/NetworkManager/system-connections/eth0.nmconnection'];

/** What becomes of GRUB's settings: no serial line, and whole entries. */
const GRUB = [
  'GRUB_TIMEOUT=1',
  'GRUB_CMDLINE_LINUX="crashkernel=auto rhgb"',
  'GRUB_ENABLE_BLSCFG=false',
  'GRUB_TERMINAL_OUTPUT="console"',
  '',
].join('\n');

for (const [name, hooks] of DRIVEN) {
  test.skipIf(!HAVE)(
    `${name}: its installer gets what the plan says, and what it installed is booted, finished and packed${why}`,
    async () => {
      const out = join(folder, `${name}.out`);
      const set = ['packages=vim,tmux', 'timezone=Europe/Berlin'];
      const custom = join(folder, `${name}.ks`);
      await writeFile(custom, CUSTOM);
      const given = ['--iso', iso(name), '--custom-kickstart', custom, ...set.flatMap((one) => ['--set', one])];
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

      const additions = { language: 'kickstart', file: custom } as const;
      const expected = plannedInstallation({ recipe: name, iso: iso(name), set, custom: additions });
      expect(await inside(`${RECORDS}/ks.cfg`)).toBe(expected.source.answers[0]?.files[0]?.content);
      expect(await inside(`${RECORDS}/cmdline`)).toBe(`${commandLine(expected, name)}\n`);
      const packages = (await inside(`${RECORDS}/packages`)).split('\n');
      for (const one of ['cloud-init', 'vim', 'tmux', 'gcc']) expect(packages).toContain(one);
      // Scripts ran in the system, ours and the operator's.
      expect(await inside('etc/added')).toBe('by hand\n');
      expect(await inside('etc/cloud/cloud.cfg.d/90-compose-datasources.cfg')).toContain('MAAS');
      if (hooks === undefined) expect(paths).not.toContain('curtin/');
      else expect(await inside('curtin/curtin-hooks')).toBe(readFileSync(join('recipes/el', hooks), 'utf8'));

      // What the last step takes out, and what it puts where curtin looks for it.
      for (const gone of ['root/anaconda-ks.cfg', 'root/original-ks.cfg', ...NETWORK])
        expect(paths).not.toContain(gone);
      expect([...paths].filter((path) => path.startsWith('var/log/anaconda/') && !path.endsWith('/'))).toEqual([]);
      expect(paths).toContain('etc/sysconfig/network-scripts/ifcfg-lo');
      expect(await inside('etc/yum.repos.d/base.repo')).toBe('[base]\nenabled=1\n');
      if (name === 'centos-6') {
        expect(await inside('boot/grub/grub.conf')).toBe('title Linux\n\tkernel /boot/vmlinuz ro quiet\n');
      } else {
        expect(await inside('boot/grub2/grub.cfg')).toBe(GRUB);
        expect(await inside('etc/default/grub')).toBe(GRUB);
        expect(await inside('boot/loader/entries/linux.conf')).toBe('options ro\n');
      }
      const { vendor } = FLAVOURS[name];
      if (vendor === undefined) return;
      expect(await inside(`boot/efi/EFI/${vendor}/shimx64.efi`)).toBe(`shimx64 of ${vendor}\n`);
      expect(paths).not.toContain(`boot/efi/EFI/${vendor}/grub.cfg`);
    },
    LONG,
  );
}

interface Failure {
  readonly of: string;
  readonly on: FlavourName;
  /** What is changed of the plan: words of the command line, or the whole kickstart. */
  readonly append?: (words: string) => string;
  readonly kickstart?: (text: string) => string;
  readonly code: string;
  /** What the installer says of it, in the error's evidence. */
  readonly says: string;
}

const FAILURES: readonly Failure[] = [
  {
    of: 'a second stage on a volume that is not there',
    on: 'rocky-9',
    append: (words) => words.replace('${volume}', 'Rocky-9-3-x86_64-dvd'),
    code: 'installer.no-second-stage',
    says: '/dev/root does not exist',
  },
  {
    of: 'arguments without their prefix, which count for nothing since release 9',
    on: 'rocky-9',
    append: (words) => `${words} ks=hd:LABEL=OEMDRV:/ks.cfg`,
    kickstart: () => '%packages\n@core\n%end\n',
    code: 'installer.question',
    says: 'Installation Destination',
  },
  {
    of: 'a command that the release does not know',
    on: 'fedora-42',
    kickstart: (text) => text.replace('\nlang ', '\nauthconfig --enableshadow\nlang '),
    code: 'installer.kickstart',
    says: 'Unknown command: authconfig',
  },
  {
    of: 'a script that fails',
    on: 'rocky-9',
    kickstart: (text) => `${text}\n%post --erroronfail\necho before; exit 3\n%end\n`,
    code: 'installer.script',
    says: 'There was an error running the kickstart script at line',
  },
  {
    of: 'packages that are not on the medium',
    on: 'rocky-9',
    kickstart: (text) => text.replace(/^url .*$/m, 'cdrom'),
    code: 'installer.packages',
    says: 'No packages are on the medium.',
  },
  {
    of: 'a kickstart that release 7 cannot read',
    on: 'rhel-7',
    kickstart: (text) => `authselect select minimal\n${text}`,
    code: 'installer.kickstart',
    says: 'Unknown command: authselect',
  },
  {
    of: 'an argument of later releases at release 6',
    on: 'centos-6',
    append: (words) => words.replace('ks=', 'inst.ks='),
    code: 'installer.question',
    says: 'No method given for cmdline mode, aborting',
  },
];

for (const [index, { of, on, append, kickstart, code, says }] of FAILURES.entries()) {
  test.skipIf(!HAVE)(
    `${on}: ${of} ends the build at once, as ${code}${why}`,
    async () => {
      const made = plannedInstallation({ recipe: on, iso: iso(on) });
      const failed = await failedInstallation(made, join(folder, `failure-${index}`), { append, answer: kickstart });
      expect(failed.code).toBe(code);
      expect(failed.serial).toContain(says);
    },
    LONG,
  );
}
