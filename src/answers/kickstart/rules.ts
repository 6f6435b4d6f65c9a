/** What the options of one command of a kickstart must be to one another; the tables cannot say it. */
import { meant, type Report, shown } from '../problem.ts';
import type { Command } from './command.ts';
import type { Release } from './release.ts';

type Wrong = (rule: string, message: string, hint?: string) => void;
type Rule = (command: Command, wrong: Wrong, release: Release | undefined) => void;

const RULES: Readonly<Record<string, Rule>> = {
  autopart: (command, wrong, release) => {
    const type = command.options.get('--type');
    onlyOne(command, ['--nolvm', '--type'], wrong);
    onlyOne(command, ['--pbkdf-time', '--pbkdf-iterations'], wrong);
    onlyOne(command, ['--noswap', '--hibernation'], wrong);
    if (command.options.get('--fstype') === 'btrfs' || (type === 'btrfs' && command.options.has('--fstype'))) {
      wrong('conflict', 'autopart takes btrfs as --type=btrfs, and no --fstype with it');
    }
    if (type === 'btrfs') noBtrfs(release, wrong);
  },
  bootloader: (command, wrong) => {
    onlyOne(command, ['--sdboot', '--extlinux'], wrong);
    if (command.options.get('--boot-drive')?.includes(','))
      wrong('option-value', 'bootloader --boot-drive is one disk');
  },
  clearpart: (command, wrong) => {
    onlyOne(command, ['--all', '--linux', '--none', '--list'], wrong);
  },
  firewall: (command, wrong) => {
    onlyOne(command, ['--disabled', '--enabled', '--use-system-defaults'], wrong);
    for (const port of items(command, '--port')) {
      if (!/^[A-Za-z0-9-]+(:[a-z]+)?$/.test(port)) {
        wrong('option-value', `firewall --port is port:protocol, not ${shown(port)}`, 'As in: --port=8080:tcp');
      }
    }
  },
  harddrive: (command, wrong, release) => {
    if (release?.line === 'el' && release.number < 9) exactlyOne(command, ['--partition', '--biospart'], wrong);
  },
  ignoredisk: (command, wrong) => exactlyOne(command, ['--drives', '--only-use', '--interactive'], wrong),
  keyboard: (command, wrong) => {
    if (command.words.length > 0 || command.options.has('--vckeymap') || command.options.has('--xlayouts')) return;
    wrong('missing-argument', 'keyboard names no layout', 'As in: keyboard us');
  },
  liveimg: (command, wrong) => {
    const { options } = command;
    const checksum = options.get('--checksum');
    if (checksum !== undefined && !/^[0-9a-fA-F]{64}$/.test(checksum)) {
      wrong('option-value', 'liveimg --checksum is a SHA-256 digest: 64 hexadecimal digits');
    }
  },
  logvol: (command, wrong, release) => {
    const { options } = command;
    checkMountPoint(command, wrong);
    onlyOne(command, ['--thin', '--thinpool'], wrong);
    onlyOne(command, ['--size', '--percent'], wrong);
    if (options.has('--thin') && !options.has('--poolname')) wrong('conflict', 'logvol --thin needs --poolname');
    checkMade(command, wrong, release);
    const sized = ['--useexisting', '--noformat', '--size', '--percent', '--hibernation', '--recommended'];
    if (!sized.some((name) => options.has(name)) && command.words[0] !== 'swap') {
      wrong('missing-option', 'logvol has no size', 'Give it --size, --percent or --useexisting.');
    }
    const percent = Number(options.get('--percent') ?? 1);
    if (percent < 1 || percent > 100) wrong('option-value', 'logvol --percent is 1 to 100');
  },
  mount: (command, wrong) => {
    if (command.options.has('--mkfsoptions') && !command.options.has('--reformat')) {
      wrong('conflict', 'mount --mkfsoptions needs --reformat');
    }
    const [, point] = command.words;
    if (point !== undefined && !/^(\/|none$|swap$)/.test(point)) {
      wrong('option-value', `mount has no place ${shown(point)}: it begins with /, or is swap or none`);
    }
  },
  network: (command, wrong) => {
    const { options } = command;
    onlyOne(command, ['--activate', '--no-activate'], wrong);
    onlyOne(command, ['--bondslaves', '--teamslaves', '--bridgeslaves'], wrong);
    if (options.get('--bootproto') === 'static') {
      for (const name of ['--ip', '--netmask']) {
        if (!options.has(name) && !options.has('--ipv6'))
          wrong('missing-option', `network --bootproto=static needs ${name}`);
      }
    }
    const ip = options.get('--ip');
    if (ip !== undefined && !/^(\d{1,3}(\.\d{1,3}){3}|dhcp|auto)$/.test(ip) && !ip.includes(':')) {
      wrong('option-value', `network --ip is an address, not ${shown(ip)}`);
    }
    if (options.has('--bridgeopts') && !options.has('--bridgeslaves')) {
      wrong('conflict', 'network --bridgeopts needs --bridgeslaves');
    }
  },
  part: partition,
  partition,
  raid: (command, wrong, release) => {
    checkMountPoint(command, wrong);
    checkMade(command, wrong, release);
    const level = command.options.get('--level');
    if (level !== undefined && !/^(raid)?(0|1|4|5|6|10|linear)$/i.test(level)) {
      wrong('option-value', `raid has no level ${shown(level)}`);
    }
    const existing = command.options.has('--useexisting') || command.options.has('--noformat');
    if (level === undefined && !existing) wrong('missing-option', 'raid needs --level');
    if (command.words.length < 2 && !existing) wrong('missing-argument', 'raid names none of its partitions');
  },
  repo: (command, wrong) => exactlyOne(command, ['--baseurl', '--mirrorlist', '--metalink'], wrong),
  rootpw: (command, wrong) => {
    if (command.words.length > 0 || command.options.has('--lock')) return;
    wrong('missing-argument', 'rootpw has no password', 'Give one with --iscrypted, or --lock.');
  },
  selinux: (command, wrong) => exactlyOne(command, ['--disabled', '--enforcing', '--permissive'], wrong),
  services: (command, wrong) => atLeastOne(command, ['--disabled', '--enabled'], wrong),
  timesource: (command, wrong) => exactlyOne(command, ['--ntp-server', '--ntp-pool', '--ntp-disable'], wrong),
  timezone: (command, wrong) => {
    onlyOne(command, ['--nontp', '--ntpservers'], wrong);
    const [zone] = command.words;
    if (zone !== undefined && !/^[A-Za-z0-9+_-]+(\/[A-Za-z0-9+_-]+){0,2}$/.test(zone)) {
      wrong('option-value', `${shown(zone)} is no time zone`, 'As in: Etc/UTC');
    }
    if (zone === undefined && command.options.size === 0) wrong('missing-argument', 'timezone names no time zone');
  },
  url: (command, wrong) => exactlyOne(command, ['--url', '--mirrorlist', '--metalink'], wrong),
  volgroup: (command, wrong) => {
    const existing = command.options.has('--useexisting') || command.options.has('--noformat');
    if (command.words.length < 2 && !existing) wrong('missing-argument', 'volgroup names none of its partitions');
    if (command.words.length > 1 && existing) wrong('conflict', 'volgroup that exists takes no partitions');
    onlyOne(command, ['--reserved-space', '--reserved-percent'], wrong);
  },
};

/** Reports what the options of `command` must not be to one another. */
export function checkRules(command: Command, release: Release | undefined, report: Report): void {
  const at = { line: command.line, column: command.column };
  RULES[command.name]?.(command, (rule, message, hint) => report.error(at, rule, message, hint), release);
}

function partition(command: Command, wrong: Wrong, release: Release | undefined): void {
  const { options } = command;
  checkMountPoint(command, wrong);
  checkMade(command, wrong, release);
  if (options.has('--resize') && !options.has('--onpart')) wrong('conflict', 'part --resize needs --onpart');
  if (options.has('--resize') && !options.has('--size')) wrong('missing-option', 'part --resize needs --size');
  if (options.get('--fstype') === 'tmpfs' && (options.has('--grow') || options.has('--maxsize'))) {
    wrong('conflict', 'part --fstype=tmpfs takes neither --grow nor --maxsize');
  }
  const sized = ['--size', '--recommended', '--hibernation', '--onpart', '--noformat'];
  const own = command.words[0] === 'biosboot' || command.words[0] === 'prepboot';
  if (!sized.some((name) => options.has(name)) && !own && options.get('--fstype') !== 'tmpfs') {
    wrong('missing-option', 'part has no size', 'Give it --size in MiB, with --grow to fill the disk.');
  }
}

const SPECIAL_PLACES = /^(swap|none|biosboot|prepboot|\/.*|(raid|pv|btrfs|crypt)\.[\w.-]+)$/;

function checkMountPoint({ name, words: [point] }: Command, wrong: Wrong): void {
  if (point === undefined || SPECIAL_PLACES.test(point) || (name === 'logvol' && point === 'none')) return;
  const hint =
    meant(point, ['swap', 'biosboot', 'prepboot', 'none']) ?? 'It begins with /, or is swap, biosboot, raid.N or pv.N.';
  wrong('option-value', `${name} has no place ${shown(point)}`, hint);
}

/** Options of what a file system is made with, and the one that EL cannot make. */
function checkMade(command: Command, wrong: Wrong, release: Release | undefined): void {
  const { name, options, words } = command;
  onlyOne(command, ['--pbkdf-time', '--pbkdf-iterations'], wrong);
  if (options.has('--mkfsoptions')) {
    if (options.has('--noformat')) wrong('conflict', `${name} --mkfsoptions with --noformat has no effect`);
    onlyOne(command, ['--mkfsoptions', '--fsprofile'], wrong);
  }
  if (options.get('--fstype') === 'btrfs' || words[0]?.startsWith('btrfs.')) noBtrfs(release, wrong);
}

function noBtrfs(release: Release | undefined, wrong: Wrong): void {
  if (release?.line !== 'el' || release.number < 8) return;
  wrong('conflict', `${release.name} makes no btrfs`, 'Use xfs or ext4.');
}

function items({ options }: Command, name: string): string[] {
  return (options.get(name) ?? '').split(',').filter((item) => item !== '');
}

function present({ options }: Command, names: readonly string[]): string[] {
  return names.filter((name) => options.has(name));
}

function onlyOne(command: Command, names: readonly string[], wrong: Wrong): void {
  const given = present(command, names);
  if (given.length > 1) wrong('conflict', `${command.name} takes only one of ${given.join(', ')}`);
}

function atLeastOne(command: Command, names: readonly string[], wrong: Wrong): void {
  if (present(command, names).length === 0) wrong('missing-option', `${command.name} needs one of ${names.join(', ')}`);
}

function exactlyOne(command: Command, names: readonly string[], wrong: Wrong): void {
  onlyOne(command, names, wrong);
  atLeastOne(command, names, wrong);
}
