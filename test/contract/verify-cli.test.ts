import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compose } from '../../fixtures/cli.ts';
import { writeTgz } from '../../fixtures/good-artifact.ts';
import { debianTree } from '../../fixtures/good-tree.ts';

const TOLD = [
  '--name',
  'web-node',
  '--title',
  'Web',
  '--architecture',
  'amd64/generic',
  '--base-image',
  'ubuntu/noble',
];

let folder = '';
const at = (name: string): string => join(folder, name);
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-verify-cli-'));
  await writeTgz(at('good.tar.gz'), debianTree());
  const bad = debianTree();
  bad.delete('usr/sbin/netplan');
  await writeTgz(at('bad.tar.gz'), bad);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('a good artifact ends with 0, a bad one with 8 and what to do', async () => {
  const good = await compose(['verify', at('good.tar.gz'), ...TOLD]);
  expect(good).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(/^PASS {2}good\.tar\.gz {2}\d+ rules hold\n/),
  });
  const bad = await compose(['verify', at('bad.tar.gz'), ...TOLD]);
  expect(bad.status).toBe(8);
  expect(bad.stdout).toMatch(/^FAIL {2}bad\.tar\.gz {2}1 error, \d+ rules hold\n/);
  expect(bad.stdout).toContain('error    netplan.present: netplan is there where MAAS asks for it');
  expect(bad.stdout).toContain('why   MAAS runs "netplan info"');
  expect(bad.stdout).toContain('mend  Install netplan.io');
  const allowed = await compose(['verify', at('bad.tar.gz'), ...TOLD, '--allow', 'netplan.*=no netplan here']);
  expect(allowed).toMatchObject({ status: 0, stdout: expect.stringContaining('because no netplan here') });
});

test('several artifacts in one report, in a file', async () => {
  const args = [
    'verify',
    at('good.tar.gz'),
    at('bad.tar.gz'),
    ...TOLD,
    '--report',
    'sarif',
    '--output',
    at('report.sarif'),
  ];
  const { status, stdout } = await compose(args);
  expect(status).toBe(8);
  expect(stdout).toContain(`report: ${at('report.sarif')}`);
  const { runs } = JSON.parse(readFileSync(at('report.sarif'), 'utf8'));
  expect(runs[0].artifacts).toHaveLength(2);
  expect(runs[0].results).toMatchObject([
    { ruleId: 'netplan.present', locations: [{ physicalLocation: { artifactLocation: { index: 1 } } }] },
  ]);
});

test.each([
  [['--allow', 'netplan.present'], 'verify.reason'],
  [['--off', 'no.rule'], 'verify.rule'],
  [['--target', 'maas-9'], 'verify.target'],
  [['--target-disk', 'large'], 'verify.target-disk'],
])('%j is a usage error', async (flags, code) => {
  const { status, stderr } = await compose(['verify', at('good.tar.gz'), ...flags]);
  expect(status).toBe(2);
  expect(stderr).toContain(code);
});
