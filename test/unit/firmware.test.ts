import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { mutate, random } from '../../fixtures/fuzz.ts';
import { isComposeError } from '../../src/errors.ts';
import { which } from '../../src/host/tools.ts';
import {
  type Firmware,
  type FirmwareOptions,
  findFirmware,
  firmwareFolders,
  prepareFirmware,
} from '../../src/machine/firmware.ts';

const MIB = 1024 * 1024;
const signal = new AbortController().signal;

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-firmware-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

interface Described {
  readonly name: string;
  readonly arch?: 'x86_64' | 'aarch64';
  readonly machines?: readonly string[];
  readonly features?: readonly string[];
  readonly format?: 'raw' | 'qcow2';
  readonly mode?: string;
  readonly device?: string;
  readonly interfaces?: readonly string[];
  /** The files are described, but not there. */
  readonly absent?: boolean;
}

const text = (one: Described): string => {
  const { name, arch = 'x86_64', format = 'raw', mode } = one;
  const machines = one.machines ?? (arch === 'x86_64' ? ['pc-i440fx-*', 'pc-q35-*'] : ['virt-*']);
  const at = (kind: string): { filename: string; format: string } => ({
    filename: join(folder, `${name}.${kind}`),
    format,
  });
  return JSON.stringify({
    description: name,
    'interface-types': one.interfaces ?? ['uefi'],
    mapping: {
      device: one.device ?? 'flash',
      ...(mode !== undefined && { mode }),
      executable: at('code'),
      ...(mode === undefined || mode === 'split' ? { 'nvram-template': at('vars') } : {}),
    },
    targets: [{ architecture: arch, machines }],
    features: one.features ?? [],
    tags: [],
  });
};

async function describe(where: string, ...all: readonly Described[]): Promise<string> {
  const path = join(folder, where);
  await mkdir(path, { recursive: true });
  for (const one of all) {
    await writeFile(join(path, one.name), text(one));
    if (one.absent) continue;
    await writeFile(join(folder, `${one.name}.code`), one.name);
    await writeFile(join(folder, `${one.name}.vars`), 'vars');
  }
  return path;
}

const SECURE = ['secure-boot', 'enrolled-keys', 'requires-smm'];
const DEBIAN: readonly Described[] = [
  { name: '40-secure-enrolled.json', features: SECURE, machines: ['pc-q35-*'] },
  { name: '50-secure.json', features: ['secure-boot', 'requires-smm'], machines: ['pc-q35-*'] },
  { name: '60-x86.json' },
  { name: '40-arm-enrolled.json', arch: 'aarch64', features: ['secure-boot', 'enrolled-keys'] },
  { name: '50-arm-secure.json', arch: 'aarch64', features: ['secure-boot'], absent: true },
  { name: '60-arm.json', arch: 'aarch64' },
];

type Row = readonly [
  reason: string,
  tree: readonly Described[],
  arch: 'amd64' | 'arm64',
  options: FirmwareOptions,
  chosen: Partial<Firmware> & { readonly name?: string },
];
const ROWS: readonly Row[] = [
  ['Debian, amd64', DEBIAN, 'amd64', {}, { name: '60-x86.json', smm: false, secureBoot: false, mode: 'split' }],
  [
    'Debian, amd64, Secure Boot',
    DEBIAN,
    'amd64',
    { secureBoot: true },
    { name: '40-secure-enrolled.json', smm: true, secureBoot: true },
  ],
  ['Debian, arm64: the second descriptor has no files', DEBIAN, 'arm64', {}, { name: '60-arm.json' }],
  [
    'Debian, arm64, Secure Boot without SMM',
    DEBIAN,
    'arm64',
    { secureBoot: true },
    { name: '40-arm-enrolled.json', smm: false },
  ],
  ['i440FX has no SMM', DEBIAN, 'amd64', { secureBoot: true, machine: 'pc' }, {}],
  ['i440FX by its own pattern', DEBIAN, 'amd64', { machine: 'pc' }, { name: '60-x86.json' }],
  ['a machine no descriptor names', DEBIAN, 'amd64', { machine: 'microvm' }, {}],
  [
    'Fedora: qcow2 before raw',
    [{ name: '30-a.json', format: 'qcow2' }, { name: '31-a.json' }],
    'amd64',
    {},
    { name: '30-a.json', code: { path: '', format: 'qcow2' } },
  ],
  [
    'no enrolled keys is no Secure Boot',
    [{ name: '1.json', features: ['secure-boot'] }],
    'amd64',
    { secureBoot: true },
    {},
  ],
  [
    'firmware that can do Secure Boot and does not enforce it, where there is nothing else',
    [{ name: '1.json', features: ['secure-boot'] }],
    'amd64',
    {},
    { name: '1.json', secureBoot: false },
  ],
  [
    'and after all else',
    [{ name: '1.json', features: ['secure-boot'] }, { name: '2.json' }],
    'amd64',
    {},
    { name: '2.json' },
  ],
  [
    'stateless',
    [{ name: '1.json', mode: 'stateless' }],
    'amd64',
    {},
    { name: '1.json', mode: 'stateless', vars: undefined },
  ],
  [
    'combined',
    [{ name: '1.json', mode: 'combined' }],
    'amd64',
    {},
    { name: '1.json', mode: 'combined', vars: undefined },
  ],
  [
    'a mode of the future',
    [{ name: '1.json', mode: 'holographic' }, { name: '2.json' }],
    'amd64',
    {},
    { name: '2.json' },
  ],
  ['firmware in memory', [{ name: '1.json', device: 'memory' }, { name: '2.json' }], 'amd64', {}, { name: '2.json' }],
  ['a BIOS', [{ name: '1.json', interfaces: ['bios'] }], 'amd64', {}, {}],
  ['none at all', [], 'arm64', {}, {}],
];

test.each(ROWS)('%s', async (_, tree, arch, options, { name, code, ...chosen }) => {
  const folders = [await describe('one', ...tree)];
  if (name === undefined) {
    await expect(findFirmware(arch, { ...options, folders })).rejects.toMatchObject({
      code: 'firmware.missing',
      exitCode: 3,
    });
    return;
  }
  const firmware = await findFirmware(arch, { ...options, folders });
  expect(basename(firmware.descriptor)).toBe(name);
  expect(firmware).toMatchObject(chosen);
  expect(firmware.code.format).toBe(code?.format ?? 'raw');
});

test('the operator’s descriptors hide the host’s, and an empty one hides without a replacement', async () => {
  const strong = await describe('strong', { name: '60.json' });
  const weak = await describe('weak', { name: '50.json' }, { name: '60.json' }, { name: '70.json' });
  const folders = [strong, weak];
  expect((await findFirmware('amd64', { folders })).descriptor).toBe(join(weak, '50.json'));
  await writeFile(join(strong, '50.json'), '');
  expect((await findFirmware('amd64', { folders })).descriptor).toBe(join(strong, '60.json'));
  await writeFile(join(strong, '60.json'), '');
  expect((await findFirmware('amd64', { folders })).descriptor).toBe(join(weak, '70.json'));
});

test('folders go from the user’s to the system’s', () => {
  const [user, system, shared] = firmwareFolders({ XDG_CONFIG_HOME: '/home/me/.xdg' });
  expect([user, system, shared]).toEqual([
    '/home/me/.xdg/qemu/firmware',
    '/etc/qemu/firmware',
    '/usr/share/qemu/firmware',
  ]);
  expect(firmwareFolders({ XDG_CONFIG_HOME: '' })[0]).toMatch(/\/\.config\/qemu\/firmware$/);
});

const firmwareOf = async (code: Buffer, vars: Buffer, over: Partial<Firmware> = {}): Promise<Firmware> => {
  const [codePath, varsPath] = [join(folder, 'code'), join(folder, 'vars')];
  await writeFile(codePath, code);
  await writeFile(varsPath, vars);
  return {
    code: { path: codePath, format: 'raw' },
    vars: { path: varsPath, format: 'raw' },
    mode: 'split',
    secureBoot: false,
    smm: false,
    descriptor: '/d.json',
    ...over,
  };
};

async function runDir(): Promise<string> {
  const path = join(folder, 'run');
  await mkdir(path);
  return path;
}

test('a PC’s variables are copied as they are, and its code is not', async () => {
  const given = await firmwareOf(Buffer.from('code'), Buffer.from('variables'));
  const out = await runDir();
  const ready = await prepareFirmware(given, out, { arch: 'amd64', signal });
  expect(ready.code).toEqual(given.code);
  expect(ready.vars).toEqual({ path: join(out, 'efivars.fd'), format: 'raw' });
  expect(await readFile(join(out, 'efivars.fd'), 'utf8')).toBe('variables');
});

test('short files of arm64 are padded to its flash of 64 MiB, in copies', async () => {
  const given = await firmwareOf(Buffer.from('code'), Buffer.from('variables'));
  const ready = await prepareFirmware(given, await runDir(), { arch: 'arm64', signal });
  expect(ready.code.path).not.toBe(given.code.path);
  for (const [file, text] of [
    [ready.code, 'code'],
    [ready.vars, 'variables'],
  ] as const) {
    expect((await stat(file?.path ?? '')).size).toBe(64 * MIB);
    expect((await readFile(file?.path ?? '')).toString('latin1').replace(/\0+$/, '')).toBe(text);
  }
  expect((await stat(given.code.path)).size).toBe(4);
});

test('files of the right length are left alone, longer ones refused', async () => {
  const whole = Buffer.alloc(64 * MIB);
  const given = await firmwareOf(whole, whole);
  const out = await runDir();
  expect((await prepareFirmware(given, out, { arch: 'arm64', signal })).code).toEqual(given.code);
  await writeFile(given.code.path, Buffer.alloc(64 * MIB + 1));
  await expect(prepareFirmware(given, out, { arch: 'arm64', signal })).rejects.toMatchObject({
    code: 'firmware.unusable',
    message: expect.stringContaining('longer than the flash'),
  });
});

test('a firmware of one file is copied, a stateless one is not', async () => {
  const given = await firmwareOf(Buffer.from('code'), Buffer.from(''), { vars: undefined, mode: 'combined' });
  const out = await runDir();
  expect((await prepareFirmware(given, out, { arch: 'amd64', signal })).code.path).toBe(join(out, 'eficode.fd'));
  const stateless = await prepareFirmware({ ...given, mode: 'stateless' }, out, { arch: 'amd64', signal });
  expect(stateless.code.path).toBe(given.code.path);
});

const qemuImg = which('qemu-img');
test.skipIf(qemuImg === undefined)(
  `qcow2 files are copied and padded in their own format${qemuImg === undefined ? ' (qemu-img is not installed)' : ''}`,
  async () => {
    const path = join(folder, 'vars.qcow2');
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', path, '768K']);
    const given = await firmwareOf(Buffer.alloc(64 * MIB), Buffer.from(''), { vars: { path, format: 'qcow2' } });
    const { vars } = await prepareFirmware(given, await runDir(), { arch: 'arm64', signal });
    expect(vars?.format).toBe('qcow2');
    const info = JSON.parse(
      execFileSync('qemu-img', ['info', '--output=json', vars?.path ?? ''], { encoding: 'utf8' }),
    );
    expect(info).toMatchObject({ format: 'qcow2', 'virtual-size': 64 * MIB });
  },
);

test('a qcow2 file that is none is refused', async () => {
  const path = join(folder, 'vars.qcow2');
  await writeFile(path, 'nothing of the sort, but long enough to have a header');
  const given = await firmwareOf(Buffer.alloc(64 * MIB), Buffer.from(''), { vars: { path, format: 'qcow2' } });
  await expect(prepareFirmware(given, await runDir(), { arch: 'arm64', signal })).rejects.toMatchObject({
    code: 'firmware.unusable',
  });
});

test('damaged descriptors are passed over', async () => {
  const bytes = Buffer.from(text({ name: 'fuzz.json', features: SECURE }));
  const where = await describe('fuzz', { name: '99.json' });
  for (let seed = 1; seed <= 300; seed++) {
    await writeFile(join(where, '1.json'), mutate(bytes, random(seed)));
    try {
      await findFirmware('amd64', { folders: [where], secureBoot: seed % 2 === 0 });
    } catch (error) {
      expect(isComposeError(error), `seed ${seed}`).toBe(true);
    }
  }
});
