import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compose } from '../../fixtures/cli.ts';
import { type Broken, cutShort, REHEARSAL_DISK, rehearsalDdgz, rehearsalTgz } from '../../fixtures/rehearsal-image.ts';
import { quietContext } from '../../src/events.ts';
import { composeEphemeral } from '../../src/rehearse/ephemeral-disk.ts';
import { type RehearseOptions, rehearse } from '../../src/rehearse/rehearse.ts';
import type { RehearseReport } from '../../src/rehearse/report.ts';

const MINUTES = 60_000;
const MIB = 1024 ** 2;
const folder = mkdtempSync(join(tmpdir(), 'compose-rehearse-'));
const state = process.env.COMPOSE_STATE;
let made = 0;
/** A folder for one artifact. */
const place = (): string => mkdtempSync(join(folder, `${made++}-`));

beforeAll(async () => {
  process.env.COMPOSE_STATE = join(folder, 'state');
  await composeEphemeral('amd64', quietContext());
}, 10 * MINUTES);
afterAll(() => {
  if (state === undefined) delete process.env.COMPOSE_STATE;
  else process.env.COMPOSE_STATE = state;
  rmSync(folder, { recursive: true, force: true });
});

const small = { user: 'root', memory: 256 * MIB, accelerator: 'tcg' } as const;

function rehearsed(artifact: string, more: Partial<RehearseOptions> = {}): Promise<RehearseReport> {
  return rehearse({ artifact, disk: 1024 * MIB, ...small, ...more }, quietContext());
}

/** So that a rehearsal that went wrong tells why in the test's output. */
const told = ({ failure, stages }: RehearseReport): string => JSON.stringify({ failure, stages }, null, 1);

test(
  'a sound tgz deploys by its own hook, signs its requests, reports, lets its key in and powers off',
  async () => {
    const artifact = await rehearsalTgz(place());
    const args = ['rehearse', artifact, '--disk', '1G', '--memory', '256M', '--user', 'root', '--accelerator', 'tcg'];
    const { status, stdout, stderr } = await compose([...args, '--json'], { env: process.env });
    expect(status, stdout + stderr).toBe(0);
    const report = JSON.parse(stdout) as RehearseReport;
    expect(report).toMatchObject({ version: 1, passed: true, filetype: 'tgz', layout: 'flat', hooks: 'own' });
    expect(report.stages.map(({ stage, state }) => `${stage} ${state}`)).toEqual(
      [
        ...[
          'artifact',
          'ephemeral',
          'ephemeral boot',
          'partitioning',
          'extract',
          'curthooks',
          'hook',
          'late',
          'boot-files',
        ],
        ...['boot', 'metadata', 'cloud-init', 'login', 'checks', 'power off'],
      ].map((stage) => `${stage} passed`),
    );
    const checks = Object.fromEntries(report.checks.map(({ name, state }) => [name, state]));
    expect(checks).toMatchObject({ 'root writable': 'passed', 'root grown': 'passed' });
    expect(report.requests).toContainEqual({ item: 'netboot_off', status: 200, signed: false });
    expect(report.requests).toContainEqual({ item: 'user-data', status: 200, signed: true });
    expect(report.events).toContainEqual({ origin: 'cloudinit', name: 'modules-final', result: 'SUCCESS' });
    const { folder: evidence, deploySerial = '', bootSerial = '', screenshot = '', disk } = report.evidence;
    expect(readFileSync(deploySerial, 'latin1')).toContain('rehearse: stage extract');
    expect(readFileSync(bootSerial, 'latin1')).toContain('small login:');
    expect(readFileSync(screenshot).toString('latin1', 1, 4)).toBe('PNG');
    expect(JSON.parse(readFileSync(join(evidence, 'report.json'), 'utf8')).stages).toEqual(report.stages);
    expect(disk, 'the disk is not kept unasked').toBeUndefined();
    expect(readFileSync(join(evidence, 'report.json'), 'utf8')).not.toMatch(/PRIVATE KEY/);
  },
  5 * MINUTES,
);

test.each([
  ['kernel of another architecture', 'boot-files', 'rehearse.kernel-architecture', 'bios'],
  ['hook fails', 'curthooks', 'rehearse.hook', 'bios'],
  ['no initrd', 'boot', 'rehearse.no-initrd', 'uefi'],
  ['fstab names a device that is not there', 'boot', 'rehearse.emergency', 'uefi'],
  ['no boot loader', 'boot', 'rehearse.no-boot-loader', 'uefi'],
] as const satisfies readonly (readonly [Broken, string, string, string])[])(
  'a tgz with a fault fails at its stage: %s',
  async (broken, stage, code, firmware) => {
    const report = await rehearsed(await rehearsalTgz(place(), broken), { firmware, layout: 'flat' });
    expect(report.failure, told(report)).toMatchObject({ stage, code });
    expect(report.passed).toBe(false);
    expect(report.stages.at(-1)).toMatchObject({ stage, state: 'failed' });
    expect(report.stages.slice(0, -1).every(({ state }) => state === 'passed')).toBe(true);
    expect(statSync(report.evidence.deploySerial ?? '').size).toBeGreaterThan(0);
  },
  5 * MINUTES,
);

test(
  'one that ends early fails before anything is started',
  async () => {
    const artifact = await rehearsalTgz(place());
    await cutShort(artifact);
    const report = await rehearsed(artifact);
    expect(report.failure).toMatchObject({ stage: 'artifact', code: 'rehearse.artifact-damaged' });
    expect(report.evidence.deploySerial).toBeUndefined();
  },
  MINUTES,
);

/** Reads the configuration as curtin does, and cannot go on. */
const STUB = `#!/bin/sh
echo "called with $*"
exec python3 - "$4" <<'PYTHON'
import json, sys, os
config = json.load(open(sys.argv[1]))
print("source", config["sources"]["00_image"]["type"], "for the disk", config["storage"]["config"][0]["serial"])
print("beside it", sorted(os.listdir(os.environ["PYTHONPATH"])))
sys.exit(3)
PYTHON
`;

test(
  'with a source tree of curtin that one deploys, by what MAAS would send, and its failure is told with its log',
  async () => {
    const tree = place();
    mkdirSync(join(tree, 'bin'));
    mkdirSync(join(tree, 'curtin'));
    writeFileSync(join(tree, 'bin/curtin'), STUB, { mode: 0o755 });
    const report = await rehearsed(await rehearsalTgz(place()), { curtin: tree });
    expect(report.failure, told(report)).toMatchObject({
      code: 'rehearse.curtin',
      message: 'Cannot deploy: curtin install ended with 3',
    });
    const log = String(report.failure?.evidence.log);
    expect(log).toContain('called with -v install -c /run/job/config.json');
    expect(log).toContain('source tgz for the disk REHEARSAL-TARGET');
    expect(log).toContain("beside it ['bin', 'curtin']");
  },
  5 * MINUTES,
);

test(
  'a dd image boots under Secure Boot by the vendor’s shim, GRUB and kernel',
  async () => {
    const report = await rehearsed(await rehearsalDdgz(place()), { disk: REHEARSAL_DISK, secureBoot: true });
    expect(report.passed, told(report)).toBe(true);
    expect(report.checks).toContainEqual(
      expect.objectContaining({ name: 'secure boot', state: 'passed', found: 'on' }),
    );
  },
  5 * MINUTES,
);

test(
  'one bit of the kernel turned over, and Secure Boot refuses it',
  async () => {
    const artifact = await rehearsalDdgz(place(), undefined, 'vmlinuz');
    const report = await rehearsed(artifact, { disk: REHEARSAL_DISK, secureBoot: true });
    expect(report.failure, told(report)).toMatchObject({ stage: 'boot', code: 'rehearse.secure-boot' });
  },
  5 * MINUTES,
);

test.each([
  ['no curtin folder', 'partitioning', 'rehearse.no-curtin-folder', REHEARSAL_DISK],
  ['requests not signed', 'metadata', 'rehearse.unsigned', REHEARSAL_DISK],
  // Sound, but nothing in it makes its root as large as the disk.
  [undefined, 'checks', 'rehearse.root-not-grown', 1024 * MIB],
] as const)(
  'a dd image with a fault fails at its stage: %s',
  async (broken, stage, code, disk) => {
    const report = await rehearsed(await rehearsalDdgz(place(), broken), { disk });
    expect(report.failure, told(report)).toMatchObject({ stage, code });
  },
  5 * MINUTES,
);
