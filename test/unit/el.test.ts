import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { FLAVOURS } from '../../fixtures/doubles/anaconda-flavours.ts';
import { RELEASES } from '../../recipes/el/releases.ts';
import { elRecipes } from '../../recipes/el.ts';
import type { Arch } from '../../src/machine/arch.ts';
import { type Plan, plan } from '../../src/recipe/plan.ts';
import type { PlannedInstaller } from '../../src/recipe/plan-installer.ts';

const run = promisify(execFile);
const names = elRecipes.map(({ name }) => name);

function planned(recipe: string, more: Partial<Parameters<typeof plan>[0]> = {}): Plan & { source: PlannedInstaller } {
  const made = plan({ recipe, mediumLater: true, ...more });
  if (made.source.kind !== 'installer') throw new Error('another source');
  return made as Plan & { source: PlannedInstaller };
}
const answers = (made: { source: PlannedInstaller }): string => made.source.answers[0]?.files[0]?.content ?? '';

test('the catalogue has every release that Anaconda installs', () => {
  const wanted = [
    ...['almalinux', 'rocky', 'ol'].flatMap((one) => [8, 9, 10].map((version) => `${one}-${version}`)),
    ...[7, 8, 9, 10].map((version) => `rhel-${version}`),
    ...['centos-6', 'centos-7', 'centos-8', 'centos-8-stream', 'centos-9-stream', 'centos-10-stream'],
    ...['fedora-41', 'fedora-42', 'fedora-43', 'openeuler-24.03'],
  ];
  expect([...names].sort()).toEqual(wanted.sort());
});

for (const { name, media } of RELEASES) {
  test(`${name} is planned for each architecture and layout, and its own medium has a name it takes`, () => {
    for (const arch of Object.keys(media) as Arch[]) {
      for (const layout of ['flat', 'lvm']) {
        const { source, maas, artifacts } = planned(name, { arch, layout });
        expect(source.language).toBe('kickstart');
        expect(source.answers.map(({ files }) => files.map(({ path }) => path))).toEqual([['ks.cfg']]);
        if (source.iso !== undefined) {
          expect(source.iso).toMatch(/^https:\/\//);
          expect(source.checksum).toMatchObject({ algorithm: 'sha256', sums: expect.stringMatching(/^https:/) });
          expect(source.iso.split('/').at(-1)).toMatch(new RegExp(`^(?:${source.fileName})$`));
        }
        expect(maas.architecture).toBe(`${arch}/generic`);
        expect(artifacts[0]?.file).toMatch(layout === 'lvm' ? /-lvm-\w+\.dd\.gz$/ : /\.tar\.gz$/);
        expect(maas.preseed === undefined).toBe(arch === 'amd64' || layout === 'lvm');
      }
    }
  });
}

test('the media of the doubles have names that their releases take', () => {
  for (const [name, { file, volumeId }] of Object.entries(FLAVOURS)) {
    const medium = RELEASES.find((one) => one.name === name)?.media.amd64;
    expect(file).toMatch(new RegExp(`^(?:${medium?.file})$`));
    expect(volumeId).toMatch(new RegExp(`^(?:${medium?.volume})$`));
  }
});

test('a licensed medium that is not given is asked for by its names', () => {
  const wanted = (): unknown => plan({ recipe: 'rhel-9' });
  expect(wanted).toThrow(expect.objectContaining({ code: 'installer.iso' }));
  expect(wanted).toThrow(expect.objectContaining({ hint: expect.stringContaining('rhel-9.N-x86_64-dvd.iso') }));
  expect(() => plan({ recipe: 'rhel-9', iso: '/x/rhel-8.10-x86_64-dvd.iso' })).toThrow(
    expect.objectContaining({ code: 'installer.file-name' }),
  );
});

test('no installer is told of its answers by words that its release does not read', () => {
  for (const { name } of RELEASES) {
    const { append, answers: ways } = planned(name).source;
    if (name === 'centos-6') {
      expect(append).toBe('ks=file:/ks.cfg cmdline ksdevice=eth0 console=ttyS0');
      expect(ways[0]?.on).toBe('initrd');
    } else {
      expect(append).toMatch(/^inst\.stage2=hd:LABEL=\$\{volume\} inst\.text inst\.cmdline( fips=0)? console=ttyS0$/);
      // A second CD would be looked into for the second stage.
      expect(ways[0]?.on).toBe('oemdrv-fat');
    }
  }
  expect(planned('rocky-9', { arch: 'arm64' }).source.append).toMatch(/console=ttyAMA0$/);
});

test("what an operator says of packages, zone, locale, keyboard and mirror is in the installer's answers", () => {
  const set = [
    'packages=vim,tmux',
    'timezone=Europe/Berlin',
    'locale=de_DE.UTF-8',
    'keyboard=de',
    'mirror=http://m.lan',
  ];
  const made = planned('rocky-9', { set, env: { http_proxy: 'http://127.0.0.1:3128' } });
  const file = answers(made).split('\n');
  for (const one of ['vim', 'tmux', 'timezone --utc Europe/Berlin', 'lang de_DE.UTF-8', 'keyboard de']) {
    expect(file).toContain(one);
  }
  expect(file).toContain('url --url=http://m.lan/BaseOS/x86_64/os --proxy=http://10.0.2.2:3128');
  // The guest need not install them again.
  expect(made.steps.map(({ kind }) => kind)).toEqual(['shell']);
});

test('FIPS mode is asked of the installer where it makes it, and not offered where nothing does', () => {
  expect(planned('rocky-9', { set: ['fips=1'] }).source.append).toContain(' fips=1 ');
  expect(() => planned('fedora-42', { set: ['fips=1'] })).toThrow(
    expect.objectContaining({ code: 'variable.unknown' }),
  );
});

test('the secret of a subscription is in no answers, only in the step that leaves it again', () => {
  const made = planned('rhel-9', { set: ['rhsm_organization=acme', 'rhsm_activation_key=hunter2'] });
  expect(answers(made)).not.toContain('hunter2');
  expect(made.source.append).not.toContain('hunter2');
  expect(made.variables.rhsm_activation_key).toBe('***');
  const holding = made.steps.filter((step) => JSON.stringify(step).includes('hunter2'));
  expect(holding.map(({ name }) => name)).toEqual(['subscription']);
});

test('a disk image has a name that MAAS takes disks under', () => {
  expect(planned('rhel-9').maas.name).toBe('rhel/rhel9');
  expect(planned('rhel-9', { layout: 'lvm' }).maas).toMatchObject({ name: 'rhel-9-lvm', base_image: 'rhel/9' });
  expect(() => planned('rhel-9', { filetypes: ['ddgz'] })).toThrow(expect.objectContaining({ code: 'maas.filetype' }));
  expect(answers(planned('rocky-9', { filetypes: ['ddgz'] }))).toContain('/curtin/curtin-hooks');
});

test('none is graded above what a test drove, and only where it drove it', () => {
  const source = readFileSync('test/machine/doubles-anaconda.test.ts', 'utf8');
  for (const { name, grade, evidence, per_arch } of elRecipes) {
    expect(grade === 'driven', name).toBe(
      source.includes(`'${name}'`) && evidence?.includes('test/machine/doubles-anaconda.test.ts'),
    );
    if (grade === 'driven' && per_arch?.arm64 !== undefined) expect(per_arch.arm64.grade).toBe('checked');
  }
});

test('every script beside the recipes is one that a plain shell reads', async () => {
  for (const name of readdirSync('recipes/el').filter((one) => !one.endsWith('.ts'))) {
    await run('dash', ['-n', join('recipes/el', name)]);
  }
});
