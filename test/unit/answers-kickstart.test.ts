import { expect, test } from 'vitest';
import { KICKSTARTS } from '../../fixtures/answer-files.ts';
import { checkAnswerText } from '../../src/answers/check.ts';
import { splitWords } from '../../src/answers/kickstart/words.ts';

const texts = new Map(KICKSTARTS.map(({ name, text }) => [name, text]));

function problemsOf(release: string, text: string) {
  const [family = '', version = ''] = release.split(' ');
  return checkAnswerText('kickstart', text, { family, version });
}

/** A rule, the line of a good file that breaks it, what breaks it, and a word of the message. */
type Mutant = readonly [code: string, release: string, line: string, instead: string, message: RegExp, reason: string];

const RULES: readonly Mutant[] = [
  ['unknown-command', 'el 9', 'skipx', 'autopartt', /"autopartt"/, 'a misspelt command'],
  ['removed-command', 'el 9', 'skipx', 'install', /EL 9: EL 6 to 8 has it/, 'install is gone since EL 9'],
  ['removed-command', 'el 9', 'skipx', 'multipath --name=a --device=b --rule=c', /multipath/, 'gone since EL 9'],
  ['removed-command', 'el 10', 'skipx', 'autostep', /autostep/, 'gone since EL 10'],
  ['removed-command', 'el 7', 'skipx', 'timesource --ntp-server=a', /EL 9 and later/, 'not there yet'],
  ['removed-command', 'fedora 42', 'skipx', 'rhsm --organization=1 --activation-key=a', /rhsm/, 'never in Fedora'],
  ['removed-command', 'fedora 42', 'skipx', 'rdp --password=a', /Fedora 43 and later/, 'since Fedora 43'],
  ['unknown-option', 'el 9', 'text', 'text --non-interactiv', /"--non-interactiv"/, 'a misspelt option'],
  ['removed-option', 'el 6', 'text', 'text --non-interactive', /EL 8 and later/, 'an option of later releases'],
  [
    'removed-option',
    'el 10',
    'timezone Etc/UTC --utc',
    'timezone Etc/UTC --utc --ntpservers=a',
    /EL 7 to 9/,
    'moved to timesource',
  ],
  [
    'removed-option',
    'el 9',
    'bootloader --location=mbr --boot-drive=vda --append="crashkernel=no"',
    'bootloader --upgrade',
    /EL 6 to 7/,
    'gone since EL 9',
  ],
  ['option-value', 'el 9', 'skipx', 'bootloader --timeout=soon', /whole number/, 'a word where a number stands'],
  ['option-value', 'el 9', 'skipx', 'network --bootproto=dhpc', /dhcp, bootp/, 'one of few words'],
  ['option-value', 'el 9', 'skipx', 'network --device=eth0 --onboot=maybe', /yes or no/, 'neither yes nor no'],
  ['option-value', 'el 9', 'skipx', 'network --gateway --device=eth0', /needs a value/, 'a value is missing'],
  ['option-value', 'el 9', 'skipx', 'user --name=a --lock=yes', /takes no value/, 'a value too many'],
  ['option-value', 'el 9', 'skipx', 'part home --size=1', /"home"/, 'a place without a slash'],
  [
    'option-value',
    'el 6',
    'skipx',
    'raid /x --device=root --level=1 raid.01 raid.02',
    /EL 6/,
    'names of RAID are numbers',
  ],
  ['missing-option', 'el 9', 'skipx', 'user --uid=3', /--name/, 'a user without a name'],
  ['missing-option', 'el 9', 'skipx', 'part /srv --fstype=xfs', /no size/, 'a partition without a size'],
  ['missing-argument', 'el 9', 'skipx', 'volgroup vg', /partitions/, 'a group of nothing'],
  ['missing-argument', 'el 9', 'keyboard us', 'keyboard', /no layout/, 'a keyboard without a layout'],
  [
    'missing-argument',
    'el 6',
    'rootpw --iscrypted !',
    'rootpw --lock',
    /no password/,
    'EL 6 wants a word all the same',
  ],
  ['surplus-argument', 'el 9', 'skipx', 'user --name=a b', /"b"/, 'a word that belongs nowhere'],
  ['conflict', 'el 9', 'skipx', 'firewall --enabled --disabled', /only one/, 'both at once'],
  ['conflict', 'el 9', 'skipx', 'part /srv --fstype=btrfs --size=1', /btrfs/, 'EL makes no btrfs since 8'],
  ['conflict', 'el 9', 'skipx', 'autopart', /one way/, 'automatic and by hand'],
  ['quoting', 'el 9', 'skipx', 'services --enabled="a', /not closed/, 'an open quote'],
  ['quoting', 'el 9', 'skipx', 'services \\', /continues no line/, 'a kickstart has no continued lines'],
  ['include', 'el 9', 'skipx', '%include', /no file/, 'an include of nothing'],
  ['stray-end', 'el 9', 'skipx', '%end', /no section/, 'an end of nothing'],
  ['unknown-section', 'el 9', 'skipx', '%pos\n%end', /"%pos"/, 'a misspelt section'],
  ['removed-section', 'el 9', 'skipx', '%certificate --filename=x\n%end', /EL 10/, 'a section of later releases'],
  ['removed-section', 'el 6', 'skipx', '%onerror\n%end', /EL 7/, 'not in EL 6'],
  ['unended-section', 'el 9', 'skipx', '%pre\necho\n%packages\n%end', /%pre has no %end/, 'a section within another'],
  [
    'unknown-option',
    'el 9',
    '%post --erroronfail --log=/root/post.log',
    '%post --nochrot',
    /--nochrot/,
    'an option of a section',
  ],
  ['packages-line', 'el 9', 'chrony', 'chrony vim', /more than one/, 'two packages in a line'],
  ['packages-line', 'el 9', 'chrony', '--nocore', /no package/, 'an option among packages'],
  ['packages-line', 'el 9', 'chrony', '@', /no name/, 'a group without a name'],
  ['packages-line', 'el 9', 'chrony', '@base --options', /no option/, 'a misspelt option of a group'],
  ['packages-line', 'el 9', 'chrony', '@^server', /second environment/, 'two environments'],
  ['duplicate-group', 'el 9', 'chrony', '@core', /already/, 'a group twice'],
  ['missing-command', 'el 9', 'lang en_US.UTF-8', '', /lang/, 'it would ask for the language'],
  ['missing-command', 'el 9', 'timezone Etc/UTC --utc', '', /timezone/, 'it would ask for the time zone'],
  ['missing-command', 'el 10', 'rootpw --lock', '', /log in/, 'nobody could log in'],
  [
    'missing-command',
    'el 9',
    'bootloader --location=mbr --boot-drive=vda --append="crashkernel=no"',
    '',
    /bootloader/,
    'EL requires it',
  ],
  ['missing-command', 'fedora 41', 'autopart --type=btrfs', '', /partitions/, 'no partitions'],
  ['missing-command', 'fedora 42', 'part / --fstype=ext4 --grow --size=1', '', /for \//, 'no root'],
  [
    'missing-command',
    'fedora 42',
    'zerombr\nclearpart --all --initlabel',
    '',
    /partition table/,
    'a new disk has no table',
  ],
  ['missing-command', 'el 9', 'poweroff', '', /ends/, 'it would wait for a key'],
];

test.each(RULES)('%s is found, and nothing else: %s, %s → %s', (code, release, line, instead, message, reason) => {
  const text = texts.get(release) ?? '';
  expect(text, 'the mutant is made').toContain(`${line}\n`);
  const mutant = text.replace(`${line}\n`, instead === '' ? '' : `${instead}\n`);
  const found = problemsOf(release, mutant).filter(({ severity }) => severity === 'error');
  expect(
    found.map((problem) => problem.code),
    reason,
  ).toEqual([`kickstart.${code}`]);
  expect(found[0]?.message, reason).toMatch(message);
  const missing = code === 'missing-command';
  const at = text.slice(0, text.indexOf(`${line}\n`)).split('\n').length;
  if (code !== 'unended-section' && code !== 'conflict') expect(found[0]?.line, reason).toBe(missing ? 1 : at);
});

const WARNINGS: readonly Mutant[] = [
  ['deprecated-command', 'el 8', 'skipx', 'ignoredisk --drives=sdb\ninstall', /install/, 'since EL 8'],
  ['deprecated-command', 'el 9', 'skipx', 'authconfig --enableshadow', /authconfig/, 'authselect took its place'],
  ['deprecated-option', 'el 9', 'skipx', 'logging --level=info', /--level/, 'since EL 9'],
  ['repeated-command', 'el 9', 'skipx', 'lang de_DE.UTF-8', /last one/, 'which one counts?'],
  ['packages-conflict', 'el 9', '-iwl*-firmware', '-chrony', /both wanted/, 'wanted and left out'],
  ['halt', 'el 9', 'poweroff', 'halt', /leaves the machine on/, 'a build would wait'],
  ['no-source', 'el 10', 'cdrom', '', /medium/, 'the medium has to have packages'],
  [
    'missing-command',
    'el 9',
    'lang en_US.UTF-8',
    '%include /tmp/lang',
    /unless an included file/,
    'an include may have it',
  ],
];

test.each(WARNINGS)('%s is a warning: %s, %s → %s', (code, release, line, instead, message, reason) => {
  const text = (texts.get(release) ?? '').replace(`${line}\n`, instead === '' ? '' : `${instead}\n`);
  const found = problemsOf(release, text);
  expect(
    found.map((problem) => `${problem.severity} ${problem.code}`),
    reason,
  ).toEqual([`warning kickstart.${code}`]);
  expect(found[0]?.message, reason).toMatch(message);
});

test('a misspelt word comes with the right one', () => {
  const hint = (text: string): string | undefined => problemsOf('el 9', text)[0]?.hint;
  const file = texts.get('el 9') ?? '';
  expect(hint(file.replace('skipx', 'timezon UTC'))).toBe('Did you mean timezone?');
  expect(hint(file.replace('skipx', 'network --bootprot=dhcp'))).toBe('Did you mean --bootproto?');
  expect(hint(file.replace('skipx', 'install'))).toBe(
    'Use instead: the command of the source alone: url, nfs, cdrom, harddrive.',
  );
});

test('a repository may be a name alone where the installer knows some, and has one source elsewhere', () => {
  const codes = (version: string, line: string): string[] =>
    checkAnswerText('kickstart', `${line}\n`, { family: 'el', version }, { fragment: true }).map(({ code }) => code);
  expect(codes('9', 'repo --name=addon')).toEqual([]);
  expect(codes('6', 'repo --name=addon')).toEqual(['kickstart.missing-option']);
  expect(codes('9', 'repo --name=a --baseurl=http://x --metalink=http://y')).toEqual(['kickstart.conflict']);
});

test('nothing is missing from an addition, but what is in it is checked', () => {
  const target = { family: 'el', version: '9' };
  const check = (text: string) => checkAnswerText('kickstart', text, target, { fragment: true });
  expect(check('%packages\nvim\n%end\n')).toEqual([]);
  expect(check('servces --enabled=a\n')).toMatchObject([{ line: 1, column: 1, code: 'kickstart.unknown-command' }]);
});

test('a release that is not known has its form checked, and says so', () => {
  const text = 'lang\nfoo\n%packages\n';
  const found = checkAnswerText('kickstart', text, { family: 'asianux', version: '7' });
  expect(found.map(({ code }) => code)).toEqual([
    'kickstart.unknown-release',
    'kickstart.missing-argument',
    'kickstart.unknown-command',
    'kickstart.unended-section',
  ]);
});

const WORDS: readonly (readonly [line: string, words: readonly string[], reason: string])[] = [
  ['a  b\tc', ['a', 'b', 'c'], 'blanks'],
  [`a'b c'd`, ['ab cd'], 'a quote inside a word'],
  ['a "b\\"c\\\\d\\e"', ['a', 'b"c\\d\\e'], 'escapes in double quotes'],
  [`'a\\'`, ['a\\'], 'no escapes in single quotes'],
  ['a\\ b', ['a b'], 'an escaped blank'],
  ['""', [''], 'an empty word'],
  ['a # b', ['a'], 'a comment'],
  ['"#a" b', ['#a', 'b'], 'a hash in quotes'],
];
test.each(WORDS)('words of %j', (line, words, reason) => {
  expect(
    splitWords(line).words.map(({ text }) => text),
    reason,
  ).toEqual(words);
});
