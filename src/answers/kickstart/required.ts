/** What a kickstart must say as a whole for nobody to be asked. */
import type { Report } from '../problem.ts';
import type { Command } from './command.ts';
import type { Release } from './release.ts';

const PARTITIONING = ['autopart', 'part', 'partition', 'logvol', 'raid', 'btrfs', 'mount'];
const SOURCES = [
  'url',
  'nfs',
  'cdrom',
  'harddrive',
  'liveimg',
  'ostreesetup',
  'ostreecontainer',
  'bootc',
  'hmc',
  'rhsm',
];
/** Systems that arrive whole, with their partitioning's needs alone. */
const WHOLE = ['liveimg', 'ostreesetup', 'ostreecontainer', 'bootc'];

/**
 * @param included whether another file is included: what is missing here may be there
 * @param packages whether there is a %packages section
 */
export function checkRequired(
  commands: readonly Command[],
  { release, included, packages, report }: { release: Release; included: boolean; packages: boolean; report: Report },
): void {
  const has = (...names: readonly string[]): boolean => commands.some(({ name }) => names.includes(name));
  const missing = (message: string, hint: string): void => {
    if (included) report.warn({ line: 1 }, 'missing-command', `${message}, unless an included file does`, hint);
    else report.error({ line: 1 }, 'missing-command', message, hint);
  };
  if (has('interactive', 'rescue')) return;
  for (const [name, example] of [
    ['lang', 'lang en_US.UTF-8'],
    ['keyboard', 'keyboard us'],
    ['timezone', 'timezone Etc/UTC --utc'],
  ] as const) {
    if (!has(name)) missing(`nothing sets ${name}`, `Add: ${example}`);
  }
  const old = release.line === 'el' && release.number === 6;
  if (!has('rootpw') && (old || !has('user', 'sshkey'))) {
    missing('nobody could log in: there is neither rootpw nor user', 'Add: rootpw --lock, and a user or sshkey.');
  }
  if (release.line === 'el' && !has('bootloader', ...WHOLE)) {
    missing('nothing sets bootloader, which EL requires', 'Add: bootloader --location=mbr, or --location=none.');
  }
  checkDisks(commands, has, missing);
  if (!has('reboot', 'poweroff', 'shutdown')) {
    const halt = commands.find(({ name }) => name === 'halt');
    if (halt === undefined) {
      missing('nothing says how it ends: the installer waits for a key', 'Add: poweroff, or reboot.');
    } else {
      report.warn(halt, 'halt', 'halt leaves the machine on, and a build waiting', 'Use poweroff.');
    }
  }
  if (!packages && !has(...WHOLE)) {
    missing('there is no %packages section: the installer asks what to install', 'Add: %packages, @core, %end.');
  }
  if (!has(...SOURCES) && !included) {
    report.warn(
      { line: 1 },
      'no-source',
      'nothing says where packages come from: the medium it boots from must hold them',
      'Add url, cdrom, harddrive or nfs, or say inst.repo= on the command line of the kernel.',
    );
  }
}

function checkDisks(
  commands: readonly Command[],
  has: (...names: readonly string[]) => boolean,
  missing: (message: string, hint: string) => void,
): void {
  const last = (name: string): Command | undefined => commands.findLast((command) => command.name === name);
  if (!has(...PARTITIONING)) {
    missing('nothing makes partitions', 'Add: autopart, or part / --size=1024 --grow.');
    return;
  }
  const root = commands.some(
    ({ name, words }) => name === 'autopart' || (PARTITIONING.includes(name) && words.includes('/')),
  );
  if (!root) missing('no partition or volume is for /', 'Add: part / --size=1024 --grow.');
  const existing =
    has('mount') || commands.some(({ options }) => options.has('--onpart') || options.has('--useexisting'));
  const labelled = has('zerombr') || last('clearpart')?.options.has('--initlabel');
  if (!labelled && !existing) {
    missing(
      'a new disk has no partition table, and nothing makes one',
      'Add: zerombr, and clearpart --all --initlabel.',
    );
  }
}
