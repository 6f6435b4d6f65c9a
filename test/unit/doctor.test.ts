import { expect, test } from 'vitest';
import { checkHost, doctorText, type Needs, type Probes } from '../../src/build/doctor.ts';
import { HostError } from '../../src/errors.ts';
import { plan } from '../../src/recipe/plan.ts';

const GIB = 1024 ** 3;

/** A host that has everything. */
const GOOD: Probes = {
  which: (tool) => `/usr/bin/${tool}`,
  exists: async () => true,
  freeDisk: async () => 100 * GIB,
  freeMemory: () => 16 * GIB,
  firmware: async () => '/usr/share/OVMF/OVMF_CODE.fd',
  accelerator: async () => 'kvm: proved',
  engine: async () => 'libdeflate',
  nodeVersion: '22.1.0',
  hostArch: 'amd64',
  root: false,
};

const packages: Needs = plan({ recipe: 'debian-12', source: 'packages', env: {} });
const cloudimg: Needs = plan({ recipe: 'debian-12', source: 'cloudimg', env: {} });

test('a host that has everything has nothing to mend', async () => {
  const checks = await checkHost(packages, GOOD, '/out');
  expect(checks.filter((check) => check.state !== 'ok' || check.remedy !== '')).toEqual([]);
  expect(checks.map((check) => check.id)).toEqual(
    expect.arrayContaining(['node', 'tool.qemu-img', 'tool.mmdebstrap', 'keyring', 'firmware', 'disk.output']),
  );
});

test('root needs no user namespace', async () => {
  const ids = (await checkHost(packages, { ...GOOD, root: true })).map((check) => check.id);
  expect(ids).not.toContain('tool.newuidmap');
});

test('a cloud image needs no mmdebstrap', async () => {
  const ids = (await checkHost(cloudimg, GOOD)).map((check) => check.id);
  expect(ids).not.toContain('tool.mmdebstrap');
  expect(ids).toContain('tool.qemu-system-x86_64');
});

const foreign: Needs = plan({ recipe: 'debian-12', arch: 'arm64', source: 'packages', env: {} });

test('packages of another architecture need its user emulation, a cloud image does not', async () => {
  const states = async (host: Partial<Probes>, needs = foreign): Promise<unknown> =>
    (await checkHost(needs, { ...GOOD, ...host })).filter((check) => check.id.startsWith('emulation'));
  expect(await states({})).toMatchObject([{ id: 'emulation.arm64', state: 'ok' }]);
  expect(await states({ which: (tool) => (tool.startsWith('qemu-aarch64') ? undefined : '/x') })).toMatchObject([
    { state: 'missing', packages: ['qemu-user-static'] },
  ]);
  expect(await states({ exists: async (path) => !path.includes('binfmt_misc') })).toMatchObject([
    { state: 'missing', remedy: expect.stringContaining('systemd-binfmt'), packages: [] },
  ]);
  expect(await states({ hostArch: 'arm64' })).toEqual([]);
  expect(await states({}, plan({ recipe: 'debian-12', arch: 'arm64', source: 'cloudimg', env: {} }))).toEqual([]);
  const ids = (await checkHost(foreign, GOOD)).map((check) => check.id);
  expect(ids).toEqual(expect.arrayContaining(['tool.qemu-system-aarch64', 'tool.arch-test']));
});

test('a TPM asks for swtpm, Secure Boot for firmware that enforces it', async () => {
  const needs: Needs = { ...packages, machine: { ...packages.machine, tpm: true, secureBoot: true } };
  const asked: boolean[] = [];
  const firmware = async (options: { secureBoot: boolean }): Promise<string> => {
    asked.push(options.secureBoot);
    return '/x';
  };
  const checks = await checkHost(needs, { ...GOOD, ...without('swtpm'), firmware });
  expect(checks.find(({ id }) => id === 'tool.swtpm')).toMatchObject({ state: 'missing', packages: ['swtpm'] });
  expect(asked).toEqual([true]);
});

test('firmware of arm64 comes from its own package', async () => {
  const firmware = (): Promise<string> => Promise.reject(new HostError('firmware.missing', 'none'));
  const checks = await checkHost(foreign, { ...GOOD, firmware });
  expect(checks.find(({ id }) => id === 'firmware')).toMatchObject({ packages: ['qemu-efi-aarch64'] });
});

const without = (missing: string): Partial<Probes> => ({
  which: (tool) => (tool === missing ? undefined : `/usr/bin/${tool}`),
});

const LACKS: readonly (readonly [id: string, host: Partial<Probes>, state: string, remedy: RegExp, why: string])[] = [
  ['tool.qemu-system-x86_64', without('qemu-system-x86_64'), 'missing', /install qemu-system-x86/, 'QEMU'],
  ['tool.qemu-img', without('qemu-img'), 'missing', /install qemu-utils/, 'its tools'],
  ['tool.mmdebstrap', without('mmdebstrap'), 'missing', /install mmdebstrap/, 'the base disk'],
  ['tool.newuidmap', without('newuidmap'), 'missing', /install uidmap/, 'a user namespace'],
  ['tool.mformat', without('mformat'), 'missing', /install mtools/, 'the ESP'],
  ['keyring', { exists: async () => false }, 'missing', /debian-archive-keyring/, 'the keys'],
  [
    'firmware',
    { firmware: () => Promise.reject(new HostError('firmware.missing', 'none')) },
    'missing',
    /install ovmf/,
    'UEFI',
  ],
  ['accelerator', { accelerator: async () => 'tcg: no /dev/kvm' }, 'warn', /slower/, 'builds work'],
  ['engine', { engine: async () => 'zlib' }, 'warn', /libdeflate0/, 'packing works'],
  ['memory', { freeMemory: () => GIB }, 'missing', /machine\.memory/, '1.5 GiB are needed'],
  ['disk.cache', { freeDisk: async () => GIB }, 'missing', /COMPOSE_CACHE/, 'room'],
  ['disk.output', { freeDisk: async (folder) => (folder === '/out' ? 1 : 100 * GIB) }, 'missing', /--out/, 'room'],
  ['node', { nodeVersion: '20.18.9' }, 'missing', /20\.19/, 'too old'],
];

test.each(LACKS)('%s: one line with its remedy', async (id, host, state, remedy, why) => {
  const checks = (await checkHost(packages, { ...GOOD, ...host }, '/out')).filter((check) => check.id === id);
  expect(checks, why).toMatchObject([{ state, remedy: expect.stringMatching(remedy) }]);
  const line = doctorText(checks);
  expect(line).toMatch(state === 'missing' ? /^MISSING/ : /^warn/);
  expect(line).toMatch(remedy);
});

test.each(['20.19.0', '20.20.1', '21.0.0', '24.1.0'])('Node %s is new enough', async (nodeVersion) => {
  const checks = await checkHost(packages, { ...GOOD, nodeVersion });
  expect(checks.find((check) => check.id === 'node')?.state).toBe('ok');
});

test('an xz or bzip2 output asks for its engine; another one does not', async () => {
  const host: Partial<Probes> = {
    engine: async (codec) => {
      if (codec !== 'gzip') throw new HostError('engine.missing', 'none');
      return 'libdeflate';
    },
  };
  const ids = async (filetypes: string[]) => {
    const needs = plan({ recipe: 'debian-12', filetypes, env: {} });
    return (await checkHost(needs, { ...GOOD, ...host })).filter((check) => check.state === 'missing');
  };
  expect(await ids(['tgz', 'ddraw'])).toEqual([]);
  expect(await ids(['txz', 'ddxz', 'ddbz2'])).toMatchObject([
    { id: 'engine.xz', packages: ['xz-utils'] },
    { id: 'engine.bzip2', packages: ['bzip2'] },
  ]);
});

test('a defect of a probe is not taken for a missing thing', async () => {
  const firmware = (): Promise<string> => Promise.reject(new TypeError('a bug'));
  await expect(checkHost(packages, { ...GOOD, firmware })).rejects.toThrow('a bug');
});

test('a CPU model that cannot be is missing, with what to do about it', async () => {
  const accelerator = async () => {
    throw new HostError('accelerator.cpu-model', 'Cannot emulate the CPU model x', { hint: 'Leave it out.' });
  };
  const found = (await checkHost(packages, { ...GOOD, accelerator })).filter(({ state }) => state !== 'ok');
  expect(found).toMatchObject([
    { id: 'accelerator', found: 'Cannot emulate the CPU model x', remedy: 'Leave it out.' },
  ]);
});
