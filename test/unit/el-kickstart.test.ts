import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { FLAVOURS } from '../../fixtures/doubles/anaconda-flavours.ts';
import { kickstart, type Scripts } from '../../recipes/el/kickstart.ts';
import { kickstartText, line, word } from '../../recipes/el/kickstart-text.ts';
import type { Release } from '../../recipes/el/release.ts';
import { RELEASES } from '../../recipes/el/releases.ts';
import { RULES } from '../../recipes/el/rules.ts';
import type { AnswerInputs } from '../../src/recipe/answer-inputs.ts';
import { checkKickstart } from '../../src/seed/kickstart.ts';

const text = (name: string): string => readFileSync(join('recipes/el', name), 'utf8');
const SCRIPTS: Scripts = {
  post: text('post.sh'),
  hooks: { el: text('curtin-hooks'), el6: text('curtin-hooks-el6') },
  growLvm: readFileSync('recipes/grow-lvm.sh', 'utf8'),
};

const release = (name: string): Release => RELEASES.find((one) => one.name === name) as Release;

function made(name: string, more: Partial<AnswerInputs> = {}): string {
  const bios = /-[67]$/.test(name);
  const inputs: AnswerInputs = {
    recipe: name,
    arch: 'amd64',
    firmware: bios ? 'bios' : 'uefi',
    values: {},
    packages: [],
    outputs: ['tgz'],
    layout: 'flat',
    custom: undefined,
    proxy: undefined,
    ...more,
  };
  return kickstart(release(name), inputs, SCRIPTS);
}

/** Lines before the first section. */
function commands(file: string): string[] {
  const all = file.split('\n');
  return all
    .slice(
      0,
      all.findIndex((one) => one.startsWith('%')),
    )
    .filter((one) => one !== '' && !one.startsWith('#'));
}

const starting = (file: string, command: string): string[] =>
  commands(file).filter((one) => one.split(' ', 1)[0] === command);

const WORDS: readonly (readonly [value: string, written: string])[] = [
  ['us', 'us'],
  ['http://10.0.2.2:3128', 'http://10.0.2.2:3128'],
  ['a b', '"a b"'],
  ['https://x/?a=1&b=2', '"https://x/?a=1&b=2"'],
  ['say "no" \\ ever', '"say \\"no\\" \\\\ ever"'],
  ['#comment', '"#comment"'],
  ["it's", '"it\'s"'],
  ['', '""'],
  ['*', '"*"'],
];
for (const [value, written] of WORDS) {
  test(`a word ${JSON.stringify(value)} is written ${written}`, () => expect(word(value)).toBe(written));
}

for (const value of ['a\nrootpw secret', 'a\r', 'a\0b', 'a\u2028b']) {
  test(`what is not one line, ${JSON.stringify(value)}, is refused`, () => {
    expect(() => word(value)).toThrow(expect.objectContaining({ code: 'kickstart.value' }));
    expect(() => made('rocky-9', { values: { timezone: value } })).toThrow(/it is not one line/);
  });
}

test('an option that is false or not given is left out, one that is true has no value', () => {
  const options = [
    ['all', true],
    ['drives', undefined],
    ['none', false],
    ['size', 0],
  ] as const;
  expect(line('clearpart', options).text).toBe('clearpart --all --size=0');
});

/** Releases whose installer has a double, whose commands were listed apart from our own tables. */
const OF_FLAVOURS = Object.keys(FLAVOURS) as (keyof typeof FLAVOURS)[];
for (const name of OF_FLAVOURS) {
  test(`every command for ${name} is one its installer knows`, () => {
    const known: readonly string[] = FLAVOURS[name].commands;
    for (const layout of ['flat', 'lvm']) {
      for (const one of commands(made(name, { layout }))) expect(known).toContain(one.split(' ', 1)[0]);
    }
  });
}

test('every release has a kickstart that is read to its end, locks root and has no password', () => {
  for (const { name, media } of RELEASES) {
    for (const arch of Object.keys(media) as ('amd64' | 'arm64')[]) {
      for (const layout of ['flat', 'lvm']) {
        const file = made(name, { arch, layout, outputs: layout === 'lvm' ? ['ddgz'] : ['tgz'] });
        checkKickstart(file);
        const [root = ''] = starting(file, 'rootpw');
        expect(root).toMatch(/^rootpw --lock( --iscrypted "\*")?$/);
        expect(file).not.toMatch(/plaintext|^user |^sshkey /m);
        expect(starting(file, 'poweroff')).toHaveLength(1);
        expect(file).toContain('%post --erroronfail');
      }
    }
  }
});

test('Enterprise Linux 6 has none of the words that came after it', () => {
  const file = made('centos-6');
  expect(starting(file, 'eula')).toEqual([]);
  expect(starting(file, 'bootloader')).toEqual(['bootloader --location=mbr --driveorder=vda --timeout=1']);
  expect(starting(file, 'network')).toEqual(['network --bootproto=dhcp --device=eth0 --onboot=yes']);
  expect(file).not.toMatch(/^(grub2|shim|efibootmgr)/m);
});

test('packages have the names of the architecture, and none is left to chance', () => {
  const [amd64, arm64] = [made('rocky-10'), made('rocky-10', { arch: 'arm64' })];
  expect(amd64).toMatch(/^grub2-efi-x64$/m);
  expect(amd64).toMatch(/^grub2-pc$/m);
  expect(arm64).toMatch(/^grub2-efi-aa64$/m);
  expect(arm64).toMatch(/^shim-aa64$/m);
  expect(arm64).not.toMatch(/^(grub2-pc|.*x64)$/m);
  // What is left out without a word is found out by a machine that does not start: the script at the end asks for cloud-init.
  const lenient = RELEASES.filter(({ name }) => made(name).includes('--ignoremissing')).map(({ name }) => name);
  expect(lenient).toEqual(['openeuler-24.03']);
});

test("an operator's packages are installed by the installer, and one that is usually left out is kept", () => {
  const file = made('rocky-9', { packages: ['vim', '@development', '-nano', 'plymouth'] });
  for (const name of ['vim', '@development', '-nano', 'plymouth']) expect(file.split('\n')).toContain(name);
  expect(file.split('\n')).not.toContain('-plymouth');
  for (const bad of ['%end', 'a b', '#x', 'a\nb', '']) {
    expect(() => made('rocky-9', { packages: [bad] })).toThrow(expect.objectContaining({ code: 'kickstart.package' }));
  }
});

test('another kernel takes the place of the usual one', () => {
  const lines = made('ol-9', { values: { kernel: 'kernel-uek' } }).split('\n');
  expect(lines).toContain('kernel-uek');
  expect(lines).toContain('-kernel');
  expect(made('ol-9', { values: { kernel: '' } }).split('\n')).not.toContain('-kernel');
});

test('a mirror takes the place of the list of mirrors, in the layout of the vendor', () => {
  const [url = ''] = starting(made('almalinux-9'), 'url');
  expect(url).toBe('url --mirrorlist=https://mirrors.almalinux.org/mirrorlist/9/baseos');
  const file = made('almalinux-9', { arch: 'arm64', values: { mirror: 'http://mirror.lan/alma/9/' } });
  expect(starting(file, 'url')).toEqual(['url --url=http://mirror.lan/alma/9/BaseOS/aarch64/os']);
  expect(starting(file, 'repo')).toEqual([
    'repo --name=AppStream --baseurl=http://mirror.lan/alma/9/AppStream/aarch64/os',
    'repo --name=extras --baseurl=http://mirror.lan/alma/9/extras/aarch64/os',
  ]);
});

test('a proxy is for what comes over the network alone', () => {
  const proxy = 'http://10.0.2.2:3128';
  for (const one of [...starting(made('rocky-9', { proxy }), 'url'), ...starting(made('rocky-9', { proxy }), 'repo')]) {
    expect(one.endsWith(` --proxy=${proxy}`)).toBe(true);
  }
  expect(made('rhel-9', { proxy })).not.toContain('--proxy');
  const more = { extra_repositories: 'epel=https://dl.example/epel/9,local=file:///run/install/repo/more' };
  const repos = starting(made('rhel-9', { proxy, values: more }), 'repo');
  expect(repos).toContain(`repo --name=epel --baseurl=https://dl.example/epel/9 --proxy=${proxy}`);
  expect(repos).toContain('repo --name=local --baseurl=file:///run/install/repo/more');
});

test('a repository without a name or an address is refused', () => {
  for (const extra_repositories of ['https://dl.example/epel', 'epel=', 'epel=dl.example', 'a b=http://x']) {
    expect(() => made('rocky-9', { values: { extra_repositories } })).toThrow(
      expect.objectContaining({ code: 'kickstart.repository' }),
    );
  }
});

test('a disk is cut for its firmware and layout, with the root behind all else', () => {
  const parts = (file: string): string[] =>
    commands(file)
      .filter((one) => /^(part|volgroup|logvol) /.test(one))
      .map((one) => one.split(' ').at(-1) ?? '');
  expect(parts(made('rocky-9'))).toEqual(['/boot/efi', '/']);
  expect(parts(made('rocky-9', { firmware: 'bios' }))).toEqual(['/']);
  // Anaconda gives every disk a GPT since then.
  expect(parts(made('rocky-10', { firmware: 'bios' }))).toEqual(['biosboot', '/']);
  expect(parts(made('rocky-9', { layout: 'lvm' }))).toEqual(['/boot/efi', '/boot', 'pv.01', 'pv.01', '/']);
});

test('FIPS mode comes by a package where the installer does not make it', () => {
  const file = made('centos-7', { values: { fips: '1' } });
  expect(file).toMatch(/^dracut-fips$/m);
  expect(starting(file, 'bootloader')[0]).toContain('--append=fips=1');
  expect(made('rocky-9', { values: { fips: '1' } })).not.toMatch(/fips/);
});

test('hooks are in a tree where curtin has no steps for it, and in every disk', () => {
  const hooked = (name: string, outputs: AnswerInputs['outputs']): boolean =>
    made(name, { outputs }).includes('cat > /curtin/curtin-hooks');
  const inTrees = RELEASES.filter(({ name }) => hooked(name, ['tgz'])).map(({ name }) => name);
  expect(inTrees).toEqual([
    ...['almalinux-8', 'almalinux-9', 'almalinux-10', 'centos-6'],
    ...['fedora-41', 'fedora-42', 'fedora-43', 'openeuler-24.03'],
  ]);
  for (const { name } of RELEASES) expect(hooked(name, ['ddgz']), name).toBe(true);
  const [own, other] = [made('centos-6'), made('fedora-42')];
  expect(own).toContain(SCRIPTS.hooks.el6.trimEnd());
  expect(other).toContain(SCRIPTS.hooks.el.trimEnd());
});

const CUSTOM = `# ours
lang de_DE.UTF-8
repo --name=more --baseurl=http://x/
part / --fstype=xfs --size=4096
%packages --ignoremissing
gcc
%end
%post
echo "%end is not here"
%end
`;

test("an operator's file: its commands replace ours of their kind, many are added, sections follow ours", () => {
  const file = made('rocky-9', { custom: CUSTOM });
  checkKickstart(file);
  expect(starting(file, 'lang')).toEqual(['lang de_DE.UTF-8']);
  expect(starting(file, 'part')).toEqual(['part / --fstype=xfs --size=4096']);
  expect(starting(file, 'repo').map((one) => /--name=(\S+)/.exec(one)?.[1])).toEqual(['AppStream', 'extras', 'more']);
  expect(file).toContain('# ours');
  const sections = file.split('\n').filter((one) => /^%(?!end)/.test(one));
  expect(sections).toEqual(['%packages', '%post --erroronfail', '%packages --ignoremissing', '%post']);
  expect(file.endsWith(CUSTOM.slice(CUSTOM.indexOf('%post')))).toBe(true);
});

const GROUPS: readonly (readonly [custom: string, gone: string])[] = [
  ['autopart', 'part'],
  ['text', 'cmdline'],
  ['reboot', 'poweroff'],
  ['nfs --server=x --dir=/y', 'url'],
  ['partition / --size=1', 'part'],
];
for (const [custom, gone] of GROUPS) {
  test(`"${custom}" of an operator takes the place of our ${gone}`, () => {
    const file = made('rocky-9', { custom: `${custom}\n` });
    expect(starting(file, gone)).toEqual([]);
    expect(commands(file)).toContain(custom);
  });
}

test("lines of an operator's file end as ours do, whatever they ended with", () => {
  const file = kickstartText(
    { title: 'x', commands: [line('lang', [], 'a')], sections: [] },
    'text\r\n%post\r\ntrue\r\n%end\r\n',
  );
  expect(file).toBe('# x\nlang a\n\ntext\n\n%post\ntrue\n%end\n');
});

test('a section without an end is kept, so that the check of the whole tells of it', () => {
  const file = made('rocky-9', { custom: '%post\ntrue\n' });
  expect(() => checkKickstart(file)).toThrow(/%post has no %end/);
});

test('every release is told its rules by the number its installer has', () => {
  for (const { name, anaconda } of RELEASES) {
    const { family, version } = RULES[anaconda];
    expect(name, anaconda).toContain(family === 'openeuler' ? '24.03' : version);
  }
});
