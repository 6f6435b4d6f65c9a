import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { MachineError } from '../../src/errors.ts';
import { quietContext } from '../../src/events.ts';
import { packageRoot } from '../../src/host/built-module.ts';
import { describeArtifact, readToEnd } from '../../src/rehearse/artifact.ts';
import { cloudConfigFiles, curtinConfig } from '../../src/rehearse/curtin-config.ts';
import { bootFailure, STAGES } from '../../src/rehearse/failure.ts';
import { judge } from '../../src/rehearse/guest-checks.ts';
import { newIdentity } from '../../src/rehearse/identity.ts';
import { guestUrl, machineNetwork, type RehearsalNetwork } from '../../src/rehearse/network.ts';
import { rehearse } from '../../src/rehearse/rehearse.ts';
import type { RehearseReport } from '../../src/rehearse/report.ts';
import { rehearseJunit } from '../../src/rehearse/report-junit.ts';
import { planStorage } from '../../src/rehearse/storage-layout.ts';

const GIB = 1024 ** 3;
const MIB = 1024 ** 2;
const folder = mkdtempSync(join(tmpdir(), 'compose-rehearse-unit-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string, content: string | Uint8Array): string => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};

describe('what an artifact is', () => {
  test.each([
    ['a.tar.gz', 'tgz'],
    ['a.tgz', 'tgz'],
    ['a.tar.xz', 'txz'],
    ['a.dd.tar.gz', 'ddtgz'],
    ['a.dd.gz', 'ddgz'],
    ['a.dd', 'ddraw'],
  ])('%s is told by its name', async (name, filetype) => {
    expect(await describeArtifact({ path: file(name, 'x') })).toMatchObject({ filetype, arch: 'amd64', custom: true });
  });

  test('its record tells more, and flags more than the record', async () => {
    const path = file('web.tar.gz', 'x');
    const record = { filetype: 'txz', name: 'rhel/web', architecture: 'arm64/generic', base_image: 'rhel/9', size: 1 };
    file('web.tar.gz.maas.json', JSON.stringify(record));
    const told = { filetype: 'txz', arch: 'arm64', baseOs: 'rhel', custom: false };
    expect(await describeArtifact({ path })).toMatchObject(told);
    const flags = { filetype: 'tgz', arch: 'amd64', baseImage: 'ubuntu/noble' } as const;
    expect(await describeArtifact({ path, ...flags })).toMatchObject({
      filetype: 'tgz',
      arch: 'amd64',
      baseOs: 'ubuntu',
    });
  });

  test.each([
    ['no file', 'none.tar.gz', {}, 'rehearse.artifact'],
    ['a name that tells nothing', 'plain', {}, 'rehearse.filetype'],
    ['a filetype MAAS has not', 'plain', { filetype: 'zst' }, 'filetype.unknown'],
  ])('%s is refused', async (_, name, flags, code) => {
    if (name === 'plain') file(name, 'x');
    await expect(describeArtifact({ path: join(folder, name), ...flags })).rejects.toMatchObject({ code });
  });

  test.each([
    ['a layout for a dd image', { artifact: 'x.dd.gz', layout: 'lvm' }, 'rehearse.layout'],
    ['a BIOS of arm64', { artifact: 'x.tar.gz', arch: 'arm64', firmware: 'bios' }, 'rehearse.firmware'],
    ['Secure Boot of a BIOS', { artifact: 'x.tar.gz', secureBoot: true, firmware: 'bios' }, 'rehearse.firmware'],
    ['a folder without curtin', { artifact: 'x.tar.gz', curtin: folder }, 'rehearse.curtin-tree'],
  ] as const)('%s is refused before anything runs', async (_, options, code) => {
    const artifact = file(options.artifact, 'x');
    await expect(rehearse({ ...options, artifact }, quietContext())).rejects.toMatchObject({ code });
  });
});

describe('an artifact is read to its end', () => {
  const random = Buffer.from(Array.from({ length: 200_000 }, (_, at) => (at * 7919) % 251));
  const read = async (name: string, content: Uint8Array, record?: object) => {
    const path = file(name, content);
    rmSync(`${path}.maas.json`, { force: true });
    if (record !== undefined) file(`${name}.maas.json`, JSON.stringify(record));
    return readToEnd(await describeArtifact({ path }), quietContext());
  };
  const damaged = { stage: 'artifact', code: 'rehearse.artifact-damaged' };

  test('a whole one tells its length', async () => {
    expect(await read('whole.dd.gz', gzipSync(random))).toBe(random.length);
  });
  test('one that ends early is damaged, which curtin would not notice', async () => {
    const whole = gzipSync(random);
    expect(await read('short.dd.gz', whole.subarray(0, whole.length >> 1))).toMatchObject(damaged);
  });
  test('so is a tar whose last member is cut', async () => {
    execFileSync('tar', ['-cf', join(folder, 'cut.tar'), '-C', folder, 'whole.dd.gz']);
    const tar = execFileSync('cat', [join(folder, 'cut.tar')]);
    expect(await read('cut.tar.gz', gzipSync(tar.subarray(0, 700)))).toMatchObject(damaged);
  });
  test('so is one that is not what its record says', async () => {
    expect(await read('other.dd.gz', gzipSync(random), { sha256: '0'.repeat(64) })).toMatchObject(damaged);
  });
  test('so is a tar of two disks', async () => {
    execFileSync('tar', ['-czf', join(folder, 'two.dd.tar.gz'), '-C', folder, 'whole.dd.gz', 'short.dd.gz']);
    const failed = await readToEnd(await describeArtifact({ path: join(folder, 'two.dd.tar.gz') }), quietContext());
    expect(failed).toMatchObject({ ...damaged, message: expect.stringContaining('2 files') });
  });
});

describe('what MAAS would send', () => {
  const token = { consumerKey: 'ck', tokenKey: 'tk', tokenSecret: 'ts' };
  const service = { guestUrl: 'http://10.0.2.2:1234', systemId: 'abc123', token, network: 'open' } as const;
  const storage = planStorage('flat', 'uefi', 8 * GIB);
  const base = { service, imageUrl: 'http://10.0.2.2:1234/images/x/root.tgz', storage, dependencies: true } as const;

  test('the target finds the datasource, the credentials, the webhook and its network in its files', () => {
    const files = cloudConfigFiles({ ...base, filetype: 'tgz', baseOs: 'ubuntu' });
    expect([...files.keys()].sort()).toEqual([
      '50-curtin-networking.cfg',
      '95-cloudconfig-maas-cloud-config.cfg',
      '95-cloudconfig-maas-datasource.cfg',
      '95-cloudconfig-maas-reporting.cfg',
    ]);
    expect(parse(files.get('95-cloudconfig-maas-datasource.cfg') ?? '')).toEqual({ datasource_list: ['MAAS'] });
    expect(parse(files.get('95-cloudconfig-maas-cloud-config.cfg') ?? '').datasource.MAAS).toEqual({
      consumer_key: 'ck',
      token_key: 'tk',
      token_secret: 'ts',
      metadata_url: 'http://10.0.2.2:1234/MAAS/metadata/',
    });
    expect(parse(files.get('95-cloudconfig-maas-reporting.cfg') ?? '').reporting.maas).toMatchObject({
      type: 'webhook',
      endpoint: 'http://10.0.2.2:1234/MAAS/metadata/status/abc123',
    });
    expect(parse(files.get('50-curtin-networking.cfg') ?? '').network.version).toBe(2);
  });

  test.each([
    ['tgz', 'tgz'],
    ['txz', 'tgz'],
    ['ddgz', 'dd-gz'],
    ['ddtar', 'dd-tar'],
    ['ddraw', 'dd-raw'],
  ] as const)('%s is a source of type %s', (filetype, type) => {
    const { sources } = curtinConfig({ ...base, filetype, baseOs: 'ubuntu' });
    expect(sources).toEqual({ '00_image': { type, uri: base.imageUrl } });
  });

  test('an image based on RHEL has version 1 of the network and is not asked for netplan', () => {
    const config = curtinConfig({ ...base, filetype: 'tgz', baseOs: 'rhel' });
    expect(config.network.version).toBe(1);
    expect(Object.keys(config.late_commands as object)).toEqual(['98-validate-custom-image-has-cloud-init', 'maas']);
  });

  test('a private network has the metadata and no resolver, an open one the host', () => {
    const network = (kind: RehearsalNetwork, baseOs: string): unknown =>
      curtinConfig({ ...base, service: { ...service, network: kind }, filetype: 'tgz', baseOs }).network;
    expect(JSON.stringify(network('open', 'ubuntu'))).toContain('"nameservers":{"addresses":["10.0.2.3"]');
    expect(JSON.stringify(network('private', 'ubuntu'))).toContain('"nameservers":{"addresses":[]');
    expect(JSON.stringify(network('private', 'rhel'))).not.toContain('10.0.2.3');
    expect(guestUrl('open', 1234)).toBe('http://10.0.2.2:1234');
    expect(guestUrl('private', 1234)).toBe('http://10.0.2.100:5248');
    expect(machineNetwork('open', 1234)).toEqual({ network: 'user' });
    const services = [{ address: '10.0.2.100', port: 5248, hostPort: 1234 }];
    expect(machineNetwork('private', 1234)).toEqual({ network: 'private', services });
  });

  test('the layouts fill the disk and mount the root first', () => {
    for (const layout of ['flat', 'lvm'] as const) {
      for (const firmware of ['bios', 'uefi'] as const) {
        const { curtin, sfdisk } = planStorage(layout, firmware, 8 * GIB);
        const bytes = (id: string): number =>
          Number.parseInt(String(curtin.config.find((item) => item.id === id)?.size), 10);
        const left = 8 * GIB - bytes('vda-part1') - bytes('vda-part2');
        expect(left, `${layout} ${firmware}`).toBe(2 * MIB);
        const mounts = curtin.config.filter(({ type }) => type === 'mount').map(({ path }) => path);
        expect(mounts).toEqual(firmware === 'uefi' ? ['/', '/boot/efi'] : ['/']);
        expect(sfdisk).toContain(layout === 'lvm' ? 'type=lvm' : 'type=linux');
      }
    }
  });

  test('vendor data names the account, user data the host key', () => {
    const { metadata, hostKey } = newIdentity('admin');
    const vendor = parse(parse(metadata.vendorData)['cloud-init']);
    expect(vendor.system_info.default_user.name).toBe('admin');
    expect(parse(metadata.userData).ssh_keys.ed25519_private).toBe(hostKey.privateKey);
    expect(parse(parse(newIdentity('root').metadata.vendorData)['cloud-init'])).toEqual({ disable_root: false });
  });
});

describe('the deployed system is judged', () => {
  const answers = {
    kernel: '6.1.0-50-amd64',
    root: 'rw,relatime',
    size: String((7.2 * GIB) / 1024),
    units: '',
    cloud: 'status: done extended_status: done',
    secure: '1',
  };
  const deployed = { kernel: '6.1.0-50-amd64', hooks: 'own', withoutInitrd: undefined, tarSaid: undefined };
  const expected = { deployed, room: 7.5 * GIB, secureBoot: true };
  const text = (change: Partial<typeof answers>): string =>
    Object.entries({ ...answers, ...change })
      .map(([key, value]) => `${key}=${value}\n`)
      .join('');

  test('a sound one passes', () => {
    expect(judge(text({}), expected).map(({ state }) => state)).toEqual(Array(6).fill('passed'));
  });

  test.each([
    ['another kernel', { kernel: '5.10.0' }, 'rehearse.kernel'],
    ['a root that is read-only', { root: 'ro,relatime' }, 'rehearse.root-read-only'],
    ['a root that has not grown', { size: String((2 * GIB) / 1024) }, 'rehearse.root-not-grown'],
    ['a unit that failed', { units: 'x.service ' }, 'rehearse.failed-units'],
    ['a cloud-init with errors', { cloud: 'status: error' }, 'rehearse.cloud-init'],
    ['Secure Boot that is off', { secure: '0' }, 'rehearse.secure-boot-off'],
  ])('%s fails by its own code', (_, change, code) => {
    const failed = judge(text(change), expected).filter(({ state }) => state === 'failed');
    expect(failed.map((check) => check.code)).toEqual([code]);
  });

  test('what a system does not have is passed over', () => {
    const states = judge(text({ units: '-', cloud: '-' }), {
      ...expected,
      deployed: { ...deployed, kernel: undefined },
    });
    expect(states.filter(({ state }) => state === 'skipped').map(({ name }) => name)).toEqual([
      'kernel',
      'failed units',
      'cloud-init',
    ]);
  });
});

describe('the report for a build server', () => {
  const stage = (name: string, state: string, ms = 1500) => ({ stage: name, start: 0, ms, state });
  const report = (change: object): RehearseReport =>
    ({
      ...{ version: 1, artifact: 'a<b>.tar.gz', filetype: 'tgz', arch: 'amd64', firmware: 'uefi', layout: 'lvm' },
      ...{ passed: true, stages: STAGES.map((name) => stage(name, 'passed')), checks: [], remarks: [], ms: 60_000 },
      ...{ evidence: { folder: '/runs/x' }, ...change },
    }) as unknown as RehearseReport;
  /** Another reader of XML; it ends with an error where it is none. */
  const read = (xml: string): Record<string, unknown> => {
    const look = `
import json, sys, xml.etree.ElementTree as tree
suite = tree.fromstring(sys.stdin.buffer.read()).find("testsuite")
cases = {c.get("name"): [c.get("time"), c[0].tag if len(c) else "passed", c[0].get("message") if len(c) else "", (c[0].text or "") if len(c) else ""] for c in suite}
print(json.dumps({**suite.attrib, "cases": cases}))`;
    return JSON.parse(execFileSync('python3', ['-c', look], { input: xml, encoding: 'utf8' }));
  };

  test('has a case for each stage and check, with its time', () => {
    const checks = [{ name: 'kernel', state: 'passed', found: '6.1', expected: '6.1', code: 'rehearse.kernel' }];
    const suite = read(rehearseJunit(report({ checks })));
    expect(suite).toMatchObject({
      name: 'a<b>.tar.gz uefi lvm',
      tests: '16',
      failures: '0',
      skipped: '0',
      time: '60.000',
    });
    expect(suite.cases).toMatchObject({
      'stage: boot': ['1.500', 'passed', '', ''],
      'check: kernel': [null, 'passed', '', ''],
    });
  });

  test('tells the stage that failed, why, and which were not reached', () => {
    const failed = {
      ...{ stage: 'boot', code: 'rehearse.emergency', message: 'Cannot deploy: "x" & more', hint: 'Look at fstab.' },
      evidence: { serial: ['line\u001b[0m one', '<two>'] },
    };
    const stages = [stage('artifact', 'passed'), stage('boot', 'failed')];
    const suite = read(rehearseJunit(report({ passed: false, failure: failed, stages })));
    expect(suite).toMatchObject({ tests: '15', failures: '1', skipped: '13' });
    const cases = suite.cases as Record<string, string[]>;
    expect(cases['stage: login']).toEqual([null, 'skipped', 'not reached', '']);
    expect(cases['stage: boot']?.slice(1, 3)).toEqual(['failure', 'Cannot deploy: "x" & more']);
    for (const fact of ['code: rehearse.emergency', '<two>', 'next: Look at fstab.', 'evidence: /runs/x'])
      expect(cases['stage: boot']?.[3]).toContain(fact);
  });
});

test('a machine’s failure is the artifact’s where its boot ended, and the host’s elsewhere', () => {
  const evidence = { serial: ['last line'] };
  const failed = bootFailure(new MachineError('boot.emergency', 'Cannot boot x', { evidence }), 'boot');
  expect(failed).toMatchObject({ stage: 'boot', code: 'rehearse.emergency', evidence: { serial: ['last line'] } });
  expect(bootFailure(new MachineError('qemu.failed', 'Cannot run x'), 'boot')).toBeUndefined();
  expect(bootFailure(new Error('x'), 'boot')).toBeUndefined();
});

test('the scripts of the ephemeral guest are ones a shell can read', () => {
  const scripts = join(packageRoot(), 'src/rehearse/guest');
  const names = readdirSync(scripts);
  expect(names.length).toBeGreaterThan(5);
  for (const name of names) execFileSync('bash', ['-n', join(scripts, name)]);
});
