/** What the options of a storage command of a kickstart must be to one another; the tables cannot say it. */
import { meant, shown } from '../problem.ts';
import type { Command } from './command.ts';
import type { Release } from './release.ts';
import { exactlyOne, needs, onlyOne, type Rule, type Wrong, within } from './rule.ts';

export const STORAGE_RULES: Readonly<Record<string, Rule>> = {
  autopart: (command, wrong, release) => {
    const type = command.options.get('--type');
    onlyOne(command, ['--nolvm', '--type'], wrong);
    onlyOne(command, ['--pbkdf-time', '--pbkdf-iterations'], wrong);
    onlyOne(command, ['--noswap', '--hibernation'], wrong);
    checkHardwareKey(command, wrong);
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
  btrfs: (command, wrong) => {
    const { options, words } = command;
    const existing = exists(command);
    needs(command, '--subvol', ['--name'], wrong);
    if (words.length < 2 && !existing) wrong('missing-argument', 'btrfs names neither partitions nor a volume');
    if (existing && options.has('--mkfsoptions')) wrong('conflict', 'btrfs that exists takes no --mkfsoptions');
    for (const name of ['--data', '--metadata']) checkLevel(command, name, wrong);
  },
  ignoredisk: (command, wrong) => exactlyOne(command, ['--drives', '--only-use', '--interactive'], wrong),
  logvol: (command, wrong, release) => {
    const { options } = command;
    checkMountPoint(command, wrong);
    checkMade(command, wrong, release);
    onlyOne(command, ['--thin', '--thinpool'], wrong);
    onlyOne(command, ['--size', '--percent'], wrong);
    needs(command, '--thin', ['--poolname'], wrong);
    for (const name of ['--chunksize', '--metadatasize']) needs(command, name, ['--thinpool'], wrong);
    needs(command, '--resize', ['--useexisting'], wrong);
    needs(command, '--resize', ['--size'], wrong);
    within(command, '--percent', [1, 100], wrong);
    const sized = ['--useexisting', '--noformat', '--size', '--percent', '--hibernation', '--recommended'];
    // EL 6 takes any volume, and gives it the least that it can have.
    if (!sized.some((name) => options.has(name)) && !(release?.line === 'el' && release.number === 6)) {
      wrong('missing-option', 'logvol has no size', 'Give it --size, --percent or --useexisting.');
    }
    checkCache(command, wrong);
  },
  mount: (command, wrong) => {
    needs(command, '--mkfsoptions', ['--reformat'], wrong);
    const [, point] = command.words;
    if (point !== undefined && !/^(\/|none$|swap$)/.test(point)) {
      wrong('option-value', `mount has no place ${shown(point)}: it begins with /, or is swap or none`);
    }
  },
  part: partition,
  partition,
  raid: (command, wrong, release) => {
    const existing = exists(command);
    const device = command.options.get('--device');
    checkMountPoint(command, wrong);
    checkMade(command, wrong, release);
    checkLevel(command, '--level', wrong);
    if (device === '') wrong('option-value', 'raid --device has no name');
    if (release?.line === 'el' && release.number === 6 && device !== undefined && !/^(md)?\d+$/.test(device)) {
      wrong('option-value', `raid --device is md and a number in EL 6, not ${shown(device)}`);
    }
    if (!existing && !command.options.has('--level')) wrong('missing-option', 'raid needs --level');
    checkMembers(command, wrong);
  },
  snapshot: ({ words: [origin] }, wrong) => {
    if (origin !== undefined && !/^[^/]+\/[^/]+$/.test(origin)) {
      wrong('option-value', `snapshot is of GROUP/VOLUME, not ${shown(origin)}`);
    }
  },
  volgroup: (command, wrong) => {
    checkMembers(command, wrong);
    onlyOne(command, ['--reserved-space', '--reserved-percent'], wrong);
    within(command, '--reserved-space', [1, Infinity], wrong);
    within(command, '--reserved-percent', [1, 99], wrong);
  },
};

function partition(command: Command, wrong: Wrong, release: Release | undefined): void {
  const { options } = command;
  checkMountPoint(command, wrong);
  checkMade(command, wrong, release);
  needs(command, '--resize', ['--onpart'], wrong);
  needs(command, '--resize', ['--size'], wrong);
  if (options.get('--fstype') === 'tmpfs' && (options.has('--grow') || options.has('--maxsize'))) {
    wrong('conflict', 'part --fstype=tmpfs takes neither --grow nor --maxsize');
  }
  const sized = ['--size', '--recommended', '--hibernation', '--onpart', '--noformat'];
  const own = command.words[0] === 'biosboot' || command.words[0] === 'prepboot';
  if (!sized.some((name) => options.has(name)) && !own && options.get('--fstype') !== 'tmpfs') {
    wrong('missing-option', 'part has no size', 'Give it --size in MiB, with --grow to fill the disk.');
  }
}

const PLACES = /^(swap|none|biosboot|prepboot|\/.*|(raid|pv|btrfs|crypt)\.[\w.-]+)$/;

function checkMountPoint({ name, words: [point] }: Command, wrong: Wrong): void {
  if (point === undefined || PLACES.test(point)) return;
  const near = meant(point, ['swap', 'biosboot', 'prepboot', 'none']);
  wrong(
    'option-value',
    `${name} has no place ${shown(point)}`,
    near ?? 'It begins with /, or is swap, biosboot or pv.1.',
  );
}

/** Whether the device is there already. */
function exists({ options }: Command): boolean {
  return options.has('--useexisting') || options.has('--noformat');
}

/** The first word is the device, those behind it what it is made of. */
function checkMembers(command: Command, wrong: Wrong): void {
  const { name, words } = command;
  const existing = exists(command);
  if (words.length < 2 && !existing) wrong('missing-argument', `${name} names none of its partitions`);
  if (words.length > 1 && existing) wrong('conflict', `${name} that exists takes no partitions`);
}

function checkLevel({ name, options }: Command, option: string, wrong: Wrong): void {
  const level = options.get(option);
  if (level === undefined || /^(raid)?(0|1|4|5|6|10)$|^(linear|single)$/i.test(level)) return;
  wrong('option-value', `${name} ${option} has no level ${shown(level)}`);
}

/** Options of what a file system is made with, and the one that EL cannot make. */
function checkMade(command: Command, wrong: Wrong, release: Release | undefined): void {
  const { name, options, words } = command;
  onlyOne(command, ['--pbkdf-time', '--pbkdf-iterations'], wrong);
  checkHardwareKey(command, wrong);
  if (options.has('--mkfsoptions')) {
    if (options.has('--noformat')) wrong('conflict', `${name} --mkfsoptions with --noformat has no effect`);
    onlyOne(command, ['--mkfsoptions', '--fsprofile'], wrong);
  }
  if (options.get('--fstype') === 'btrfs' || words[0]?.startsWith('btrfs.')) noBtrfs(release, wrong);
}

function checkHardwareKey({ name, options }: Command, wrong: Wrong): void {
  if (!options.has('--hw-passphrase') || options.get('--luks-version')?.startsWith('luks2-hw-opal')) return;
  wrong('conflict', `${name} --hw-passphrase needs --luks-version=luks2-hw-opal`);
}

function checkCache(command: Command, wrong: Wrong): void {
  const { options } = command;
  const names = ['--cachesize', '--cachepvs', '--cachemode'];
  if (!names.some((name) => options.has(name))) return;
  for (const name of names) {
    needs(command, name, ['--cachesize'], wrong);
    needs(command, name, ['--cachepvs'], wrong);
  }
  if (exists(command) || options.has('--thin')) wrong('conflict', 'logvol that exists, or is thin, takes no cache');
  const mode = options.get('--cachemode');
  if (mode !== undefined && !['writeback', 'writethrough'].includes(mode)) {
    wrong('option-value', `logvol --cachemode is writeback or writethrough, not ${shown(mode)}`);
  }
}

function noBtrfs(release: Release | undefined, wrong: Wrong): void {
  if (release?.line !== 'el' || release.number < 8) return;
  wrong('conflict', `${release.name} makes no btrfs`, 'Use xfs or ext4.');
}
