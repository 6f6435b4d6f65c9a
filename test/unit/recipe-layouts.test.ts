import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type PlanOptions, plan } from '../../src/recipe/plan.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-layouts-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const BASE = `name: base
title: Base
family: base
version: "1"
arch: [amd64, arm64]
grade: driven
proven: a double
user: root
packages: [own, '\${packages}']
variables:
  packages: { type: list, describe: more packages, default: [less] }
sources:
  installer:
    iso: ./base-\${arch}.iso
    append: quiet
    timeout: 30m
per_arch:
  arm64:
    grade: checked
    sources: { installer: { append: quiet earlycon } }
layouts:
  plain: {}
  lvm:
    packages: [lvm2]
    outputs: [ddgz]
    machine: { disk: 8G }
    per_arch:
      arm64: { machine: { memory: 3G } }
  cloud:
    sources: { cloudimg: { url: 'http://v.example/a', sums: 'http://v.example/sums', algorithm: sha256 } }
machine: { memory: 1G, cpus: 2, disk: 4G, firmware: uefi }
outputs: [tgz]
maas: { name: base, title: Base, base_image: ubuntu/jammy, architecture: '\${arch}/other' }
`;

async function planned(options: Partial<PlanOptions> = {}, over = ''): Promise<ReturnType<typeof plan>> {
  const base = join(folder, 'base.yaml');
  const path = join(folder, 'over.yaml');
  await writeFile(base, BASE);
  await writeFile(path, `extends: ./base.yaml\nname: over\n${over}`);
  return plan({ recipe: path, ...options });
}

test('the first layout is the default, and its artifacts are not named after it', async () => {
  const { layout, artifacts, machine } = await planned();
  expect({ layout, file: artifacts[0]?.file, disk: machine.disk }).toEqual({
    layout: 'plain',
    file: 'over-amd64.tar.gz',
    disk: 4 * 1024 ** 3,
  });
});

test('a layout is laid over the rest: lists of packages grow, scalars and outputs are its own', async () => {
  const { steps, artifacts, machine, source } = await planned({ layout: 'lvm' });
  expect(steps[0]).toMatchObject({ install: ['own', 'less', 'lvm2'] });
  expect(artifacts).toEqual([{ filetype: 'ddgz', file: 'over-lvm-amd64.dd.gz' }]);
  expect(machine).toMatchObject({ disk: 8 * 1024 ** 3, memory: 1024 ** 3, cpus: 2 });
  expect(source).toMatchObject({ append: 'quiet console=ttyS0', timeoutMs: 1_800_000 });
});

test('what differs on an architecture changes that alone, the grade too, and the layout has the last word', async () => {
  const { grade, source, machine, maas } = await planned({ arch: 'arm64', layout: 'lvm' });
  expect(grade).toBe('checked');
  expect(source).toMatchObject({ append: 'quiet earlycon console=ttyAMA0', timeoutMs: 1_800_000 });
  expect(machine).toMatchObject({ memory: 3 * 1024 ** 3, disk: 8 * 1024 ** 3 });
  expect(maas.architecture).toBe('arm64/other');
});

test('a recipe file changes one key of a source, and one key of a layout', async () => {
  const over = 'sources: { installer: { timeout: 2h } }\nlayouts: { lvm: { machine: { cpus: 4 } } }\n';
  const { machine, source } = await planned({ layout: 'lvm' }, over);
  expect(source).toMatchObject({ timeoutMs: 7_200_000, append: 'quiet console=ttyS0' });
  expect(machine).toMatchObject({ cpus: 4, disk: 8 * 1024 ** 3 });
});

test('a layout that brings a source of its own has its defaults; one that leaves out what is needed is refused', async () => {
  const own = (lines: string): string => `layouts:\n  own:\n    sources: { installer: { iso: ./own.iso${lines} } }\n`;
  const alone = BASE.replace(/sources:[\s\S]*?timeout: 30m\n/, 'sources: {}\n').replace(
    /^layouts:[\s\S]*?(?=^machine)/m,
    own(''),
  );
  const path = join(folder, 'alone.yaml');
  await writeFile(path, alone.replace(/per_arch:[\s\S]*?(?=^layouts)/m, ''));
  const { source } = plan({ recipe: path });
  expect(source).toMatchObject({ boot: 'kernel', timeoutMs: 3_600_000, network: true, answers: [] });
  await expect(
    planned({ layout: 'cloud' }, 'layouts: { cloud: { sources: { packages: { suite: x } } } }\n'),
  ).rejects.toMatchObject({
    code: 'recipe.invalid',
    message: expect.stringContaining('sources.packages.components'),
  });
});

test.each([
  [{ layout: 'lwm' }, 'recipe.layout', /it has plain, lvm, cloud/],
  [{ layout: 'cloud', custom: { language: 'kickstart', file: 'x' } }, 'recipe.custom', /no installer runs/],
  [{ custom: { language: 'kickstart', file: 'x' } }, 'recipe.custom', /files of its own/],
] as const)('%o cannot be planned: %s', async (options, code, message) => {
  await expect(planned(options)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
});

test('what a file says holds in the layouts and on the architectures of what it extends', async () => {
  const over = 'machine: { disk: 9G, memory: 5G }\nmaas: { name: mine }\noutputs: [ddgz, tgz]\n';
  const { machine, maas, artifacts, source } = await planned({ layout: 'lvm', arch: 'arm64' }, over);
  expect(machine).toMatchObject({ disk: 9 * 1024 ** 3, memory: 5 * 1024 ** 3 });
  expect(maas).toMatchObject({ name: 'mine', base_image: 'ubuntu/jammy' });
  expect(artifacts.map(({ filetype }) => filetype)).toEqual(['ddgz', 'tgz']);
  expect(source).toMatchObject({ append: 'quiet earlycon console=ttyAMA0' });
  const own = `${over}layouts: { lvm: { machine: { disk: 7G } } }\n`;
  expect((await planned({ layout: 'lvm' }, own)).machine).toMatchObject({ disk: 7 * 1024 ** 3, memory: 5 * 1024 ** 3 });
});

test.each([
  ['packages=vim,tmux', ['own', 'vim', 'tmux']],
  ['packages=', ['own']],
  ['packages= vim , ,tmux ', ['own', 'vim', 'tmux']],
])('--set %s makes an item of each element', async (set, install) => {
  expect((await planned({ set: [set] })).steps[0]).toEqual({ kind: 'packages', install });
});

test('a file of variables may have a list as a list', async () => {
  const varsFile = join(folder, 'vars.yaml');
  await writeFile(varsFile, 'packages: [vim, tmux]\n');
  expect((await planned({ varsFile })).steps[0]).toMatchObject({ install: ['own', 'vim', 'tmux'] });
});

test('a medium may come later for a look at the rest, but not for a build', async () => {
  const path = join(folder, 'none.yaml');
  await writeFile(path, BASE.replace('iso: ./base-${arch}.iso', "iso_names: base-1.iso, from the vendor's shop"));
  expect(() => plan({ recipe: path })).toThrow(
    expect.objectContaining({ code: 'installer.iso', hint: expect.stringContaining("base-1.iso, from the vendor's") }),
  );
  expect(plan({ recipe: path, mediumLater: true }).source).not.toHaveProperty('iso');
});
