import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { keptState } from '../../src/build/kept-state.ts';
import { type RunRecord, readRunRecord, recordFirmware, writeRunRecord } from '../../src/build/run-record.ts';
import type { ComposeEvent } from '../../src/events.ts';
import { quietContext } from '../../src/events.ts';
import { generateKeys } from '../../src/guest/keys.ts';
import type { Firmware } from '../../src/machine/firmware.ts';
import type { MachineSpec } from '../../src/machine/spec.ts';

let folder = '';
let copies = '';
let said: string[] = [];
const emit = (event: ComposeEvent): void => {
  if (event.type === 'log') said.push(`${event.level}: ${event.message}`);
};
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-kept-'));
  copies = join(folder, 'copies');
  await mkdir(copies);
  said = [];
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const context = { ...quietContext(), emit };

/** The record of a run whose guest wrote `vars` and has a TPM. */
async function record(firmware: Partial<Firmware> | undefined, spec: Partial<MachineSpec> = {}): Promise<RunRecord> {
  const run = {
    name: 'x',
    arch: 'amd64',
    memory: 1,
    cpus: 1,
    firmware: 'uefi',
    ssh: true,
    disks: [{ path: '/none', format: 'qcow2' }],
    ...spec,
  } as const;
  const keys = { user: generateKeys('user'), host: generateKeys('host') };
  await writeRunRecord(folder, { recipe: 'x', user: 'root', spec: run }, keys);
  if (firmware === undefined) return readRunRecord(folder);
  const code = join(folder, 'code.fd');
  const vars = join(folder, 'efivars.fd');
  await writeFile(code, 'code');
  await writeFile(vars, 'vars');
  await recordFirmware(folder, {
    code: { path: code, format: 'raw' },
    vars: { path: vars, format: 'raw' },
    mode: 'split',
    secureBoot: true,
    smm: true,
    descriptor: '/d.json',
    ...firmware,
  });
  return readRunRecord(folder);
}

test('a run is started with the variables it left, all of its firmware as it was', async () => {
  const kept = await record({});
  await using state = await keptState(kept, undefined, context);
  expect(state.options.firmware).toEqual({
    code: { path: join(folder, 'code.fd'), format: 'raw' },
    vars: { path: join(folder, 'efivars.fd'), format: 'raw' },
    mode: 'split',
    secureBoot: true,
    smm: true,
    descriptor: '/d.json',
  });
  expect(kept.user).toBe('root');
  expect(said).toEqual([]);
});

test('with copies what was kept is not written to, and the copies go', async () => {
  await mkdir(join(folder, 'tpm'));
  await writeFile(join(folder, 'tpm/tpm2-00.permall'), 'tpm');
  const state = await keptState(await record({}, { tpm: true }), copies, context);
  const { firmware, tpmState } = state.options;
  expect(firmware?.code.path).toBe(join(folder, 'code.fd'));
  expect(firmware?.vars?.path).toBe(join(copies, 'efivars.fd'));
  expect(await readFile(join(copies, 'efivars.fd'), 'utf8')).toBe('vars');
  expect(tpmState).toBe(join(copies, 'tpm'));
  expect(await readFile(join(copies, 'tpm/tpm2-00.permall'), 'utf8')).toBe('tpm');
  await state[Symbol.asyncDispose]();
  expect(await readdir(copies)).toEqual([]);
  expect(existsSync(join(folder, 'tpm/tpm2-00.permall'))).toBe(true);
});

test('a firmware that keeps its variables in its code is copied as a whole', async () => {
  await using state = await keptState(await record({ mode: 'combined', vars: undefined }), copies, context);
  expect(state.options.firmware?.code.path).toBe(join(copies, 'code.fd'));
});

const FRESH: readonly [why: string, make: () => Promise<RunRecord>, told: string[]][] = [
  [
    'its run kept none',
    () => record(undefined),
    ['warn: the guest starts with fresh UEFI variables: its run kept none'],
  ],
  [
    'the file is gone',
    async () => {
      const kept = await record({});
      await rm(join(folder, 'efivars.fd'));
      return kept;
    },
    [expect.stringMatching(/^warn: .* fresh UEFI variables: \S+\/efivars\.fd is gone$/)],
  ],
  [
    'there is no TPM any more',
    () => record({}, { tpm: true }),
    ['warn: the guest starts with a new TPM: its run kept none'],
  ],
  ['a BIOS has none', () => record(undefined, { firmware: 'bios' }), []],
];
test.each(FRESH)('what is not there is new, and told: %s', async (_, make, told) => {
  await using state = await keptState(await make(), undefined, context);
  expect(said).toEqual(told);
  expect(state.options.tpmState).toBeUndefined();
});
