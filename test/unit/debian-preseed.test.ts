import { expect, test } from 'vitest';
import { debianPreseed } from '../../recipes/debian/preseed.ts';
import { type Answer, preseedText } from '../../recipes/debian/preseed-text.ts';
import { RELEASES } from '../../recipes/debian/releases.ts';
import type { AnswerInputs } from '../../src/recipe/answer-inputs.ts';

const release = RELEASES.find(({ version }) => version === '12')!;
const INPUTS: AnswerInputs = {
  recipe: 'debian-12',
  arch: 'amd64',
  firmware: 'uefi',
  values: { security_mirror: 'http://security.example/debian-security', kernel: 'linux-image-amd64' },
  packages: ['vim'],
  outputs: ['tgz'],
  layout: 'flat',
  custom: undefined,
  proxy: undefined,
};

/** The answers as a map of questions, each with what follows its type. */
function answers(over: Partial<AnswerInputs> = {}): Map<string, string> {
  const text = debianPreseed(release)({ ...INPUTS, ...over });
  return new Map(
    text
      .trimEnd()
      .split('\n')
      .map((line) => {
        const [, question, , ...value] = line.split(' ');
        return [question ?? '', value.join(' ')] as const;
      }),
  );
}

test('a disk has the partition its firmware starts from, and the root in the rest', () => {
  const uefi = answers().get('partman-auto/expert_recipe') ?? '';
  expect(uefi).toContain('method{ efi }');
  expect(uefi).not.toContain('biosgrub');
  const bios = answers({ firmware: 'bios' }).get('partman-auto/expert_recipe') ?? '';
  expect(bios).toContain('method{ biosgrub }');
  for (const recipe of [uefi, bios]) {
    expect(recipe).toMatch(/^compose :: \d+ \d+ \d+ .* \. \d+ \d+ -1 ext4 .*mountpoint\{ \/ \} \.$/);
    expect(recipe.split('{').length, 'braces are pairs').toBe(recipe.split('}').length);
  }
});

test('the layout decides where the root is', () => {
  expect(answers().get('partman-auto/method')).toBe('regular');
  const lvm = answers({ layout: 'lvm' });
  expect(lvm.get('partman-auto/method')).toBe('lvm');
  expect(lvm.get('partman-auto-lvm/new_vg_name')).toBe('system');
  expect(lvm.get('partman-auto/expert_recipe')).toContain('$lvmok{ } lv_name{ root }');
});

test('the mirror is taken apart, and the proxy is that of the installation', () => {
  const own = answers({
    values: { ...INPUTS.values, mirror: 'https://mirror.example:8443/pub/debian/' },
    proxy: 'http://10.0.2.2:3128',
  });
  expect(own.get('mirror/protocol')).toBe('https');
  expect(own.get('mirror/https/hostname')).toBe('mirror.example:8443');
  expect(own.get('mirror/https/directory')).toBe('/pub/debian');
  expect(own.get('mirror/https/proxy')).toBe('http://10.0.2.2:3128');
  expect(() => answers({ values: { ...INPUTS.values, mirror: 'mirror.example' } })).toThrow(/it is no web address/);
});

test('packages for MAAS and of the operator are installed, and no two boot loaders that exclude each other', () => {
  const packages = (firmware: 'uefi' | 'bios'): string[] =>
    (answers({ firmware }).get('pkgsel/include') ?? '').split(' ');
  expect(packages('uefi')).toEqual(expect.arrayContaining(['cloud-init', 'vim', 'grub-efi-amd64', 'grub-pc-bin']));
  expect(packages('bios')).not.toContain('grub-efi-amd64');
  expect(packages('uefi').some((name) => name.includes('$'))).toBe(false);
});

test('nobody has a password', () => {
  expect(answers().get('passwd/root-password-crypted')).toBe('!');
  expect(answers().get('passwd/make-user')).toBe('false');
});

test('further repositories are local ones of the installer', () => {
  const own = answers({
    values: { ...INPUTS.values, extra_repositories: 'deb http://a.example/d x main,deb http://b.example/d y z' },
  });
  expect(own.get('apt-setup/local0/repository')).toBe('http://a.example/d x main');
  expect(own.get('apt-setup/local1/repository')).toBe('http://b.example/d y z');
});

const OWN: readonly Answer[] = [
  { owner: 'd-i', question: 'time/zone', type: 'string', value: 'Etc/UTC' },
  { owner: 'd-i', question: 'pkgsel/include', type: 'string', value: 'cloud-init vim' },
  { owner: 'd-i', question: 'netcfg/get_domain', type: 'string', value: '' },
];

test.each([
  [
    'nothing is added',
    undefined,
    'd-i time/zone string Etc/UTC\nd-i pkgsel/include string cloud-init vim\nd-i netcfg/get_domain string\n',
  ],
  [
    'an answer takes the place of ours, with its lines as they are',
    'd-i  time/zone string \\\n  Asia/Tokyo\n',
    'd-i  time/zone string \\\n  Asia/Tokyo\nd-i pkgsel/include string cloud-init vim\nd-i netcfg/get_domain string\n',
  ],
  [
    'packages are added',
    'd-i pkgsel/include string tmux \\\n vim\r\n',
    'd-i time/zone string Etc/UTC\nd-i pkgsel/include string cloud-init vim tmux\nd-i netcfg/get_domain string\n',
  ],
  [
    'other lines follow behind ours',
    '# Why\nd-i preseed/late_command string in-target true\n\n',
    'd-i time/zone string Etc/UTC\nd-i pkgsel/include string cloud-init vim\nd-i netcfg/get_domain string\n# From --custom-preseed\n# Why\nd-i preseed/late_command string in-target true\n',
  ],
])('%s', (_, custom, text) => {
  expect(preseedText(OWN, custom)).toBe(text);
});

test.each(['a\nb', ' a', 'a ', 'a\\', 'a\0b'])('a value that no line can hold is refused: %j', (value) => {
  expect(() => preseedText([{ ...OWN[0]!, value }], undefined)).toThrow(/no line of a preseed file can hold/);
});
