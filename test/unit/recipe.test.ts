import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ComposeError } from '../../src/errors.ts';
import { parseSize } from '../../src/formats/human.ts';
import { loadRecipe } from '../../src/recipe/load.ts';
import { plan } from '../../src/recipe/plan.ts';
import { distance, nearest } from '../../src/recipe/suggest.ts';
import { planText } from '../../src/recipe/text.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-recipe-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function file(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
}

async function refusal(work: () => unknown): Promise<ComposeError> {
  try {
    await work();
  } catch (error) {
    if (error instanceof ComposeError) return error;
    throw error;
  }
  throw new Error('it was not refused');
}

test.each([
  ['4G', 4 * 1024 ** 3],
  ['512M', 512 * 1024 ** 2],
  ['1.5 GiB', 1.5 * 1024 ** 3],
  [1024, 1024],
  ['lots', undefined],
  ['-1G', undefined],
])('the size %s is %s bytes', (text, bytes) => expect(parseSize(text)).toBe(bytes));

test('a swap of neighbours is one step, and the nearest word must be near', () => {
  expect(distance('debain', 'debian')).toBe(1);
  expect(nearest('debain-12', ['debian-12', 'rocky-9'])).toBe('debian-12');
  expect(nearest('windows', ['debian-12', 'rocky-9'])).toBeUndefined();
});

test('an unknown recipe is refused with the nearest one', async () => {
  const error = await refusal(() => loadRecipe('debain-12'));
  expect(error).toMatchObject({ code: 'recipe.unknown', exitCode: 2 });
  expect(error.hint).toContain('debian-12');
});

test('a file extends an entry: scalars override, lists are appended, maas is merged', async () => {
  const path = await file(
    'web.yaml',
    'extends: debian-12\nname: web\npackages: [nginx]\nprovision:\n  - shell: systemctl enable nginx\nmaas: { name: web }\noutputs: [tgz]\n',
  );
  const planned = plan({ recipe: path, source: 'packages' });
  expect(planned.maas).toEqual({
    name: 'web',
    title: 'Debian 12 (bookworm)',
    base_image: 'ubuntu/jammy',
    architecture: 'amd64/generic',
    user: 'debian',
    minimum_maas: '3.2',
    minimum_curtin: '21.0',
    maturity: 'stable',
  });
  expect(planned.steps[0]).toEqual({ kind: 'packages', install: ['nginx'] });
  expect(planned.steps.at(-1)).toEqual({ kind: 'shell', script: 'systemctl enable nginx' });
  expect(planned.artifacts).toEqual([{ filetype: 'tgz', file: 'web-amd64.tar.gz' }]);
});

test.each([
  [
    'an unknown key',
    'extends: debian-12\nname: x\npackges: [a]\n',
    /x\.yaml:3:1: unknown key "packges"; did you mean "packages"\?/,
  ],
  [
    'an unknown key inside',
    'extends: debian-12\nname: x\nmachine:\n  memroy: 1G\n',
    /x\.yaml:4:3: unknown key "memroy"; did you mean "memory"\?/,
  ],
  ['a wrong type', 'extends: debian-12\nname: x\nmachine:\n  cpus: many\n', /x\.yaml:4:3: machine\.cpus: /],
  ['a duplicate key', 'extends: debian-12\nname: x\nname: y\n', /x\.yaml:3:1: /],
  ['broken YAML', 'extends: [\n', /x\.yaml:/],
  [
    'a file that is not there',
    'extends: debian-12\nname: x\nprovision:\n  - shell: ./gone.sh\n',
    /there is no file \.\/gone\.sh/,
  ],
])('%s is reported with its place', async (_, text, message) => {
  const path = await file('x.yaml', text);
  const error = await refusal(() => loadRecipe(path));
  expect(error).toMatchObject({ code: 'recipe.invalid', exitCode: 2 });
  expect(`${error.message}\n${JSON.stringify(error.evidence)}`).toMatch(message);
});

test('all that is wrong is told at once', async () => {
  const path = await file('many.yaml', 'extends: debian-12\nname: x\nfoo: 1\nbar: 2\n');
  const error = await refusal(() => loadRecipe(path));
  expect(error.evidence.problems).toHaveLength(2);
});

test('files that extend each other are refused', async () => {
  await file('a.yaml', 'extends: ./b.yaml\nname: a\n');
  const path = await file('b.yaml', 'extends: ./a.yaml\nname: b\n');
  expect(await refusal(() => loadRecipe(path))).toMatchObject({ code: 'recipe.loop' });
});

test.each([
  [{ set: ['kernal=x'] }, 'variable.unknown'],
  [{ set: ['kernel'] }, 'variable.syntax'],
  [{ arch: 'riscv64' }, 'recipe.arch'],
  [{ source: 'iso' }, 'recipe.source'],
  [{ filetypes: ['zst'] }, 'filetype.unknown'],
])('%o cannot be planned: %s', async (options, code) => {
  expect(await refusal(() => plan({ recipe: 'debian-12', ...options }))).toMatchObject({ code, exitCode: 2 });
});

test('--set beats the environment, which beats the file, which beats the default', async () => {
  const varsFile = await file('vars.yaml', 'kernel: from-file\nmirror: http://file.example/debian\n');
  const env = { COMPOSE_VAR_KERNEL: 'from-env' };
  const options = { recipe: 'debian-12', source: 'packages', varsFile, env };
  expect(plan(options).variables).toMatchObject({ kernel: 'from-env', mirror: 'http://file.example/debian' });
  expect(plan({ ...options, set: ['kernel=from-set'] }).source).toMatchObject({ mirror: 'http://file.example/debian' });
  expect(plan({ ...options, set: ['kernel=from-set'] }).variables.kernel).toBe('from-set');
});

test.each([
  ['a/b/c', 'more than one slash'],
  ['ubuntu', 'keeps that word'],
  ['centos7', 'centos followed by digits'],
  ['debian/12', 'no system MAAS knows'],
])('the MAAS name %s is refused: %s', async (name, why) => {
  const path = await file('name.yaml', `extends: debian-12\nname: x\nmaas: { name: ${name} }\n`);
  const error = await refusal(() => plan({ recipe: path }));
  expect(error.code).toBe('maas.name');
  expect(error.message).toContain(why);
});

const MACHINES: readonly (readonly [machine: string, code: string, arch: string])[] = [
  ['{ firmware: bios }', 'machine.no-bios', 'arm64'],
  ['{ firmware: bios, secure_boot: true }', 'machine.secure-boot', 'amd64'],
  ['{ extra_args: [-m, 8G] }', 'machine.extra-args', 'amd64'],
  ['{ extra_args: [-netdev, "user,id=n,hostfwd=tcp::22-:22"] }', 'machine.extra-args', 'amd64'],
  ['{ topology: { sockets: 1, cores: 1, threads: 1 } }', 'machine.topology', 'amd64'],
  ['{ nic: vmxnet3 }', 'machine.nic', 'arm64'],
  ['{ disk_interface: ide }', 'recipe.invalid', 'amd64'],
];

test.each(MACHINES)('the machine %s is refused when it is planned: %s', async (machine, code, arch) => {
  const path = await file('machine.yaml', `extends: debian-12\nname: m\nmachine: ${machine}\n`);
  expect((await refusal(() => plan({ recipe: path, arch }))).code).toBe(code);
});

test('options of the machine are planned', async () => {
  const text =
    '{ secure_boot: true, tpm: true, cpu_model: EPYC, nic: e1000e, video: virtio, extra_args: [-device, edu] }';
  const path = await file('options.yaml', `extends: debian-12\nname: m\nmachine: ${text}\n`);
  expect(plan({ recipe: path }).machine).toMatchObject({
    secureBoot: true,
    tpm: true,
    cpuModel: 'EPYC',
    nic: 'e1000e',
    video: 'virtio',
    extraArgs: ['-device', 'edu'],
  });
});

test('the operator gives the guest processors and memory, and its installer as much', () => {
  const given = { cpus: 6, memory: '6G' };
  const debian = plan({ recipe: 'debian-12', machine: given });
  expect(debian.machine).toMatchObject({
    cpus: 6,
    memory: 6 * 1024 ** 3,
    disk: plan({ recipe: 'debian-12' }).machine.disk,
  });
  const memoryOf = (memory?: string) => {
    const made = plan({ recipe: 'rocky-9', machine: { memory }, mediumLater: true });
    return made.source.kind === 'installer' ? [made.machine.memory, made.source.memory] : [];
  };
  const [machine = 0, installer = 0] = memoryOf();
  expect(installer, 'the recipe gives an installer more').toBeGreaterThan(machine);
  expect(memoryOf('64G')).toEqual([64 * 1024 ** 3, 64 * 1024 ** 3]);
  expect(memoryOf('512M')).toEqual([512 * 1024 ** 2, installer]);
});

test.each([
  [{ cpus: 0 }, 'machine.cpus', '0'],
  [{ cpus: 1.5 }, 'machine.cpus', '1.5'],
  [{ cpus: Number.NaN }, 'machine.cpus', 'NaN'],
  [{ memory: 'much' }, 'machine.memory', 'much'],
  [{ memory: '' }, 'machine.memory', ''],
] as const)('the guest cannot be given %o', async (machine, code, value) => {
  const error = await refusal(() => plan({ recipe: 'debian-12', machine }));
  expect(error.code).toBe(code);
  expect(error.message).toContain(value);
});

test('the interface of the disk is planned, and printed where it is not the usual one', async () => {
  const path = await file('nvme.yaml', 'extends: debian-12\nname: m\nmachine: { disk_interface: nvme }\n');
  const planned = plan({ recipe: path });
  expect(planned.machine.diskInterface).toBe('nvme');
  expect(planText(planned)).toMatch(/^machine .* disk on nvme, uefi$/m);
  expect(planText(plan({ recipe: 'debian-12' }))).toMatch(/^machine .* disk, uefi$/m);
});
