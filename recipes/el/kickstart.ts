/** The kickstart of a release: pure, from typed values, by the rules of the Anaconda that reads it. */
import { RecipeError } from '../../src/errors.ts';
import { FILE_TYPES } from '../../src/pack/filetypes.ts';
import type { AnswerInputs } from '../../src/recipe/answer-inputs.ts';
import { listOf } from '../../src/recipe/variables.ts';
import { type KickstartLine, kickstartText, line, section } from './kickstart-text.ts';
import { packageLines } from './packages.ts';
import { DISK, partitions } from './partitions.ts';
import { type Release, RPM_ARCH } from './release.ts';
import { RULES, type Rules } from './rules.ts';

/** Texts of the files that become part of the installed system, or run in it at the end of the installation. */
export interface Scripts {
  /** Runs for every image. */
  readonly post: string;
  /** Curtin's hooks, by the systems they are for. */
  readonly hooks: Readonly<Record<'el' | 'el6', string>>;
  /** Runs on a deployed disk whose root is a logical volume. */
  readonly growLvm: string;
}

/**
 * @param inputs `values` has the variables of the catalogue's entry
 * @throws RecipeError `kickstart.value`, `kickstart.package`, `kickstart.repository`
 */
export function kickstart(release: Release, inputs: AnswerInputs, scripts: Scripts): string {
  const { values, arch, firmware, layout, packages, proxy, custom } = inputs;
  const rules = RULES[release.anaconda];
  const fips = isWanted('fips', values.fips);
  const { kernel } = values;
  const more = { arch, kernel: kernel === '' ? undefined : kernel, fips, more: packages };
  return kickstartText(
    {
      title: `${release.title} for ${arch}, made by compose`,
      commands: [
        line('cmdline'),
        ...system(rules, values),
        ...sources(release, inputs, proxy),
        line('ignoredisk', [['only-use', DISK]]),
        line('zerombr'),
        line('clearpart', [
          ['all', true],
          ['initlabel', true],
          ['drives', DISK],
        ]),
        bootLoader(rules, fips),
        ...partitions({ firmware, layout }, rules),
        line('poweroff'),
      ],
      sections: [
        section(rules.someMissing ? '%packages --ignoremissing' : '%packages', packageLines(more, rules)),
        post(scripts.post),
        ...hooks(release, inputs, scripts),
        ...(layout === 'lvm' ? [post(growing(scripts.growLvm))] : []),
      ],
    },
    custom,
  );
}

/** @throws RecipeError `kickstart.value` */
function isWanted(name: string, value = '0'): boolean {
  if (value === '0' || value === '1') return value === '1';
  throw new RecipeError('kickstart.value', `Cannot write a kickstart: ${name} is 0 or 1, not "${value}"`);
}

function post(script: string): string {
  return section('%post --erroronfail', script.trimEnd().split('\n'));
}

/**
 * A tree needs hooks where curtin has no steps for it; a disk always, as those that are built in empty its fstab.
 */
function hooks({ treeHooks }: Release, { outputs }: AnswerInputs, scripts: Scripts): string[] {
  const disk = outputs.some((type) => FILE_TYPES[type].content !== 'tree');
  if (treeHooks === 'none' && !disk) return [];
  const text = scripts.hooks[treeHooks === 'el6' ? 'el6' : 'el'];
  return [post(['set -eu', 'mkdir /curtin', ...written('/curtin/curtin-hooks', text, '0755')].join('\n'))];
}

/** Nothing else makes a logical volume larger on a deployed disk: cloud-init grows partitions and plain file systems. */
function growing(script: string): string {
  const path = '/usr/local/sbin/compose-grow-lvm';
  const unit = [
    '[Unit]',
    'Description=Grow the root logical volume to the end of its disk',
    '[Service]',
    'Type=oneshot',
    `ExecStart=${path}`,
    '[Install]',
    'WantedBy=multi-user.target',
  ];
  return [
    'set -eu',
    ...written(path, script, '0755'),
    'if command -v systemctl > /dev/null; then',
    ...written('/etc/systemd/system/compose-grow-lvm.service', unit.join('\n'), '0644'),
    'systemctl enable compose-grow-lvm.service',
    'else',
    `echo ${path} >> /etc/rc.local`,
    'fi',
  ].join('\n');
}

const END = 'END_OF_FILE';

/** Lines of a shell script that write `text`, whatever is in it but the line that ends it. */
function written(path: string, text: string, mode: string): string[] {
  return [`cat > ${path} <<'${END}'`, text.trimEnd(), END, `chmod ${mode} ${path}`];
}

function system(
  rules: Rules,
  { timezone = 'Etc/UTC', locale = 'en_US.UTF-8', keyboard = 'us' }: AnswerInputs['values'],
) {
  return [
    ...(rules.eula ? [line('eula', [['agreed', true]])] : []),
    line('firstboot', [['disable', true]]),
    line('skipx'),
    line('lang', [], locale),
    line('keyboard', [], keyboard),
    line('timezone', [['utc', true]], timezone),
    line('network', [
      ['bootproto', 'dhcp'],
      ['device', rules.legacy ? 'eth0' : 'link'],
      ['activate', !rules.legacy],
      ['onboot', 'yes'],
    ]),
    line('firewall', [
      ['enabled', true],
      ['service', 'ssh'],
    ]),
    line('selinux', [['enforcing', true]]),
    // EL 6 wants a word to lock; this one is no password's digest.
    rules.lockAlone
      ? line('rootpw', [['lock', true]])
      : line(
          'rootpw',
          [
            ['lock', true],
            ['iscrypted', true],
          ],
          '*',
        ),
    line('services', [['enabled', 'sshd']]),
  ];
}

function sources(release: Release, { arch, values }: AnswerInputs, proxy: string | undefined): KickstartLine[] {
  const { mirror, epel_mirror: epel } = values;
  const without = (address: string | undefined): string | undefined => address?.replace(/\/+$/, '') || undefined;
  const { source, repositories } = release.origins({
    arch: RPM_ARCH[arch],
    mirror: without(mirror),
    epel: without(epel),
  });
  const more = listOf(values.extra_repositories ?? '').map(extraRepository);
  return [source, ...repositories, ...more].map((one) => {
    const fetched = proxy !== undefined && /=(https?|ftp):|="(https?|ftp):/.test(one.text);
    return fetched ? { ...one, text: `${one.text} ${line('', [['proxy', proxy]]).text.trim()}` } : one;
  });
}

/** For the installation; the image has it only where one of its packages brings it. */
function extraRepository(given: string): KickstartLine {
  const [, name, address] = /^([\w.-]+)=((?:https?|ftp|file):\/\/\S+)$/.exec(given) ?? [];
  if (name !== undefined && address !== undefined) {
    return line('repo', [
      ['name', name],
      ['baseurl', address],
    ]);
  }
  throw new RecipeError(
    'kickstart.repository',
    `Cannot add the repository ${JSON.stringify(given)}: it is not name=address`,
    {
      hint: 'For instance: --set extra_repositories=epel=https://dl.fedoraproject.org/pub/epel/9/Everything/x86_64',
    },
  );
}

function bootLoader(rules: Rules, fips: boolean): KickstartLine {
  return line('bootloader', [
    ['location', 'mbr'],
    [rules.legacy ? 'driveorder' : 'boot-drive', DISK],
    ['timeout', 1],
    ['append', fips && rules.fips === 'package' ? 'fips=1' : undefined],
  ]);
}
