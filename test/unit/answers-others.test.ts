import { expect, test } from 'vitest';
import { AGAMA, AUTOINSTALL, AUTOYAST, CLOUD_CONFIG, PRESEED } from '../../fixtures/answer-files.ts';
import { type AnswerTarget, type CheckedLanguage, checkAnswerText } from '../../src/answers/check.ts';

/** A rule, what is found, what takes its place, a word of the message, and why. */
type Mutant = readonly [code: string, piece: string, instead: string, message: RegExp, reason: string];

/** Runs the mutants of a file: each breaks one rule, and that one alone is reported, at the line that was changed. */
function mutants(language: CheckedLanguage, target: AnswerTarget, text: string, rows: readonly Mutant[]): void {
  test.each(rows)(`${language} %s: %j → %j`, (code, piece, instead, message, reason) => {
    expect(text, 'the mutant is made').toContain(piece);
    const found = checkAnswerText(language, text.replace(piece, instead), target);
    const shown = found.map((problem) => `${problem.code}: ${problem.message}`).join('\n');
    expect(
      found.map((problem) => problem.code),
      shown,
    ).toEqual([code.includes('.') ? code : `${language}.${code}`]);
    expect(found[0]?.message, reason).toMatch(message);
    // What is missing has the place of what should hold it.
    if (/missing|no-root|conflict|unanswered|mixed|not-json|jsonnet/.test(code) || instead === '') return;
    const first = text.slice(0, text.indexOf(piece)).split('\n').length;
    expect(found[0]?.line, reason).toBeGreaterThanOrEqual(first);
    expect(found[0]?.line, reason).toBeLessThanOrEqual(first + instead.split('\n').length);
  });
}

mutants('preseed', { family: 'debian', version: '11' }, PRESEED, [
  ['type', 'd-i time/zone string', 'd-i time/zone strng', /"strng"/, 'a misspelt type'],
  ['shape', 'd-i clock-setup/utc boolean true', 'd-i clock-setup/utc', /followed by nothing/, 'no type'],
  ['shape', 'd-i clock-setup/utc boolean true', 'd-i utc boolean true', /no slash/, 'no question'],
  ['boolean', 'd-i clock-setup/utc boolean true', 'd-i clock-setup/utc boolean yes', /"yes"/, 'yes is not true'],
  ['boolean', 'd-i clock-setup/utc boolean true', 'd-i clock-setup/utc boolean true ', /"true "/, 'a blank behind it'],
  [
    'question-type',
    'd-i clock-setup/utc boolean true',
    'd-i clock-setup/utc string true',
    /of type boolean/,
    'wrong type',
  ],
  ['value', 'partman-auto/method string regular', 'partman-auto/method string raw', /regular, lvm/, 'one of few'],
  [
    'later-question',
    'd-i clock-setup/utc boolean true',
    'd-i apt-setup/non-free-firmware boolean true',
    /since Debian 12/,
    'not in 11',
  ],
  [
    'unknown-question',
    'd-i clock-setup/utc boolean',
    'd-i clock-setup/utcc boolean',
    /"clock-setup\/utcc"/,
    'misspelt',
  ],
  ['unanswered', 'd-i partman/confirm boolean true\n', '', /written/, 'it would ask'],
  ['unanswered', 'd-i partman-auto/method string regular\n', '', /partitioned/, 'it would ask'],
  ['unanswered', 'd-i finish-install/reboot_in_progress note\n', '', /last question/, 'it would wait'],
  ['unanswered', 'd-i passwd/make-user boolean false\n', '', /first user/, 'it would ask'],
  ['unanswered', 'd-i passwd/root-password-crypted password !\n', '', /password of root/, 'it would ask'],
  ['unanswered', 'd-i time/zone string Etc/UTC\n', '', /priority=critical/, 'asked below critical'],
  ['blanks', 'd-i netcfg/get_hostname string guest', 'd-i netcfg/get_hostname string  guest', /blanks/, 'two blanks'],
  ['continuation', 'enable ssh; \\\n', 'enable ssh; \\ \n#', /backslash/, 'a blank behind the backslash'],
  ['repeated', 'd-i time/zone', 'd-i clock-setup/utc boolean false\nd-i time/zone', /already/, 'two answers'],
]);

test('for LVM its own confirmations are needed', () => {
  const text = PRESEED.replace('string regular', 'string lvm');
  const found = checkAnswerText('preseed', text, { family: 'debian', version: '12' });
  expect(found.map(({ hint }) => hint)).toEqual([
    'Add: d-i partman-lvm/confirm boolean true',
    'Add: d-i partman-lvm/confirm_nooverwrite boolean true',
  ]);
});

mutants('autoinstall', { family: 'ubuntu', version: '22.04' }, AUTOINSTALL, [
  ['syntax', 'keyboard: { layout: us }', 'keyboard: { layout: us', /./, 'not YAML'],
  ['unknown-key', 'locale: en_US.UTF-8', 'locael: en_US.UTF-8', /"locael"/, 'ignored by the installer'],
  ['unknown-key', '  locale: en_US.UTF-8', '  package_update: true', /"package_update"/, "cloud-init's, one level up"],
  ['missing-key', '  version: 1\n', '', /"version"/, 'no version'],
  ['version', 'version: 1', 'version: 2', /not 1/, 'the only one'],
  ['type', 'packages: [vim]', 'packages: vim', /a list, not "vim"/, 'a text for a list'],
  ['type', 'shutdown: poweroff', 'shutdown: halt', /"reboot" or "poweroff"/, 'one of few'],
  ['later-key', 'packages: [vim]', 'kernel-crash-dumps: { enabled: false }', /since 24.04/, 'newer than the medium'],
  ['duplicate-key', 'packages: [vim]', 'packages: [vim]\n  packages: []', /twice/, 'the last one wins'],
  ['password', '$6$saltsalt', 'plain', /crypted/, 'nobody could log in'],
  ['reference', 'device: ext, path: /', 'device: ex, path: /', /"ex"/, 'no such device'],
  ['action', 'type: lvm_partition', 'type: lvm_volume', /"lvm_volume"/, 'no such action'],
  ['no-root', 'path: / }', 'path: /srv }', /at \//, 'no root'],
  ['interactive', 'packages: [vim]', 'interactive-sections: [network]', /asks/, 'it would ask'],
  ['conflict', '    swap: { size: 0 }', '    layout: { name: lvm }', /layout or config/, 'config is not read'],
  ['conflict', 'packages: [vim]', 'kernel: { package: a, flavor: b }', /one of/, 'both'],
  ['unknown-key', 'disable_root: false', 'disable_rot: false', /user-data/, 'in its cloud-config'],
]);

test('answers that nobody reads, or that stand beside autoinstall, are found', () => {
  const target = { family: 'ubuntu', version: '24.04' };
  const codes = (text: string) => checkAnswerText('autoinstall', text, target).map(({ code }) => code);
  expect(codes('#cloud-config\nversion: 1\n')).toEqual(['autoinstall.nesting']);
  expect(codes('autoinstall:\n  version: 1\n  user-data: {}\nlocale: C\n')).toEqual(['autoinstall.nesting']);
  expect(codes('version: 1\n')).toEqual(['autoinstall.missing-key']);
  expect(codes('version: 1\nuser-data: {}\n')).toEqual([]);
  expect(
    codes(
      'autoinstall: { version: 1, user-data: {}, storage: { config: [{type: device, id: a}, {type: device, id: a}, {type: mount, id: m, device: a, path: /}] } }',
    ),
  ).toEqual(['autoinstall.duplicate-id']);
});

mutants('cloud-config', { family: 'debian', version: '12' }, CLOUD_CONFIG, [
  ['header', '#cloud-config\n', '# cloud-config\n', /ignores it/, 'a blank too many'],
  ['unknown-key', 'package_update: true', 'package_updates: true', /"package_updates"/, 'misspelt'],
  ['deprecated-key', 'lock_passwd', 'lock-passwd', /deprecated/, 'an old spelling'],
  ['deprecated-key', 'package_update', 'apt_update', /deprecated/, 'an old name'],
  ['type', "'0644'", '0644', /Put|text/, 'octal: PyYAML makes 420 of it'],
  ['value', "'0644'", "'rw-r'", /no mode/, 'no mode'],
  ['type', 'packages: [nginx, ', 'packages: [1.5, ', /packages\[0\]/, 'a number'],
  ['missing-key', 'path: /etc/motd, ', '', /"path"/, 'a file nowhere'],
  ['missing-key', '- name: me', '- gecos: me', /"name"/, 'a user without a name'],
  ['type', 'mode: auto', 'mode: atuo', /growpart/, 'one of few'],
  ['syntax', 'hostname: guest', 'hostname: [', /./, 'not YAML'],
]);

mutants('autoyast', { family: 'sles', version: '15' }, AUTOYAST, [
  ['syntax', '</loader_type>', '</loader>', /closes/, 'not nested'],
  ['syntax', 'quiet &amp;', 'quiet &', /ampersand/, 'a bare ampersand'],
  ['syntax', '<timeout config:type="integer">', '<timeout config:type=integer>', /well-formed/, 'no quotes'],
  ['syntax', '</profile>', '', /not closed/, 'cut off'],
  ['namespace', ' xmlns="http://www.suse.com/1.0/yast2ns"', '', /no namespace/, 'the installer refuses it'],
  ['unknown-section', '<scripts>', '<user_defaults/><skripts/><scripts>', /<skripts>/, 'misspelt'],
  ['removed-section', '<scripts>', '<inetd/><scripts>', /<inetd>/, 'gone with 15'],
  ['duplicate-section', '<scripts>', '<general/><scripts>', /line 4/, 'one is lost'],
  ['missing-type', '<users config:type="list">', '<users>', /list/, 'only one user would be left'],
  ['missing-type', '<packages config:type="list">', '<packages>', /<packages>/, 'only one package'],
  ['missing-type', '<confirm config:type="boolean">', '<confirm>', /<confirm>/, 'the text "false" is true'],
  ['type', '<filesystem config:type="symbol">', '<filesystem config:type="symbl">', /"symbl"/, 'misspelt'],
  ['value', '<timeout config:type="integer">8', '<timeout config:type="integer">soon', /whole number/, 'a word'],
  ['value', '<encrypted config:type="boolean">true', '<encrypted config:type="boolean">yes', /true or false/, 'yes'],
  ['mixed', '<use>all</use>', 'text<use>all</use>', /both/, 'text between elements'],
  ['asks', '<confirm config:type="boolean">false', '<confirm config:type="boolean">true', /asks/, 'it would ask'],
  ['missing-section', '<products config:type="list"><product>SLES</product></products>', '', /product/, 'it would ask'],
  ['missing-section', '<username>root</username>', '', /log in/, 'nobody'],
]);

mutants('agama', { family: 'sles', version: '16' }, AGAMA, [
  ['unknown-key', '"software"', '"sofware"', /"sofware"/, 'misspelt'],
  ['missing-key', '{ "id": "SLES" }', '{ "mode": "standard" }', /"id"/, 'no product'],
  ['missing-key', '  "product": { "id": "SLES" },\n', '', /no product/, 'it would wait'],
  [
    'missing-key',
    '"hashedPassword": true, "password": "!", "sshPublicKey": "ssh-ed25519 AAAA me"',
    '',
    /log in/,
    'nobody',
  ],
  ['type', '"patterns": ["base"]', '"patterns": "base"', /a list/, 'a text for a list'],
  ['type', '"policy": "auto"', '"policy": "none"', /"auto" or "user"/, 'one of few'],
  ['type', '"ptableType": "gpt"', '"ptableType": "mbr"', /"msdos"/, 'one of few, deep inside'],
  ['unknown-key', '"path": "/"', '"paht": "/"', /storage\.drives\[0\]\.partitions\[1\]\.filesystem/, 'deep inside'],
  ['script', ', "content": "#!/bin/sh\\ntrue\\n"', '', /neither/, 'a script of nothing'],
  ['conflict', '"questions"', '"l10n": {}, "questions"', /not both/, 'both forms'],
  ['not-json', '"product": {', '// mine\n  product: {', /no strict JSON/, 'Jsonnet without code'],
  ['jsonnet', '{\n  "product"', 'local me = \'me\';\n{\n  "product"', /not evaluated/, 'Jsonnet with code'],
  ['syntax', '"storage": {', '"storage" {', /./, 'a colon is missing'],
]);

const ADDITIONS: readonly (readonly [CheckedLanguage, AnswerTarget, string])[] = [
  ['preseed', { family: 'debian', version: '12' }, 'd-i pkgsel/include string vim\n'],
  ['autoinstall', { family: 'ubuntu', version: '24.04' }, 'packages: [vim]\n'],
  ['autoinstall', { family: 'ubuntu', version: '24.04' }, '#cloud-config\nautoinstall:\n  packages: [vim]\n'],
  [
    'autoyast',
    { family: 'sles', version: '15' },
    '<software><packages config:type="list"><package>vim</package></packages></software>',
  ],
  ['agama', { family: 'sles', version: '16' }, '{ "software": { "packages": ["vim"] } }'],
];
test.each(ADDITIONS)('an addition in %s need not have everything, and is checked', (language, target, text) => {
  const check = (fragment: string) => checkAnswerText(language, fragment, target, { fragment: true });
  expect(check(text)).toEqual([]);
  const broken = text
    .replace('string', 'strng')
    .replace('packages', 'pacages')
    .replace('<software>', '<sofware>')
    .replace('</software>', '</sofware>');
  const errors = check(broken);
  expect(errors.length).toBeGreaterThan(0);
  expect(errors[0]?.column ?? 1).toBeLessThanOrEqual(text.length);
});
