import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Firmware } from '../../src/machine/firmware.ts';
import { keepFirmware, restoreFirmware } from '../../src/machine/kept-firmware.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-kept-'));
  for (const name of ['run', 'next']) await mkdir(join(folder, name));
  await writeFile(join(folder, 'code.fd'), 'code');
  await writeFile(join(folder, 'run/vars.fd'), 'with a boot entry');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const split = (): Firmware => ({
  code: { path: join(folder, 'code.fd'), format: 'raw' },
  vars: { path: join(folder, 'run/vars.fd'), format: 'raw' },
  mode: 'split',
  secureBoot: false,
  smm: false,
  descriptor: '60-x.json',
});

test('variables come back in a copy of their own, with the same code', async () => {
  const kept = await keepFirmware(split(), join(folder, 'disk.qcow2'));
  await rm(join(folder, 'run'), { recursive: true });
  const restored = await restoreFirmware(kept, join(folder, 'next'));
  expect(restored).toEqual({ ...split(), vars: { path: join(folder, 'next/efivars.fd'), format: 'raw' } });
  expect(await readFile(join(folder, 'next/efivars.fd'), 'utf8')).toBe('with a boot entry');
  await writeFile(join(folder, 'next/efivars.fd'), 'changed');
  expect(await readFile(join(folder, 'disk.qcow2.vars'), 'utf8')).toBe('with a boot entry');
});

test('firmware that holds its variables itself is kept whole', async () => {
  const combined: Firmware = {
    ...split(),
    mode: 'combined',
    vars: undefined,
    code: { path: join(folder, 'run/vars.fd'), format: 'raw' },
  };
  const kept = await keepFirmware(combined, join(folder, 'disk.qcow2'));
  const restored = await restoreFirmware(kept, join(folder, 'next'));
  expect(restored).toMatchObject({ mode: 'combined', code: { path: join(folder, 'next/eficode.fd') } });
  expect(await readFile(join(folder, 'next/eficode.fd'), 'utf8')).toBe('with a boot entry');
});

test('variables of a firmware that the host has replaced, or that nobody kept, are not used', async () => {
  const kept = await keepFirmware(split(), join(folder, 'disk.qcow2'));
  await utimes(join(folder, 'code.fd'), 1, 1);
  expect(await restoreFirmware(kept, join(folder, 'next'))).toBeUndefined();
  await rm(join(folder, 'code.fd'));
  expect(await restoreFirmware(kept, join(folder, 'next'))).toBeUndefined();
  expect(await restoreFirmware({ record: join(folder, 'none.json') }, join(folder, 'next'))).toBeUndefined();
  await writeFile(kept.record, '{');
  expect(await restoreFirmware(kept, join(folder, 'next'))).toBeUndefined();
  expect(await readdir(join(folder, 'next'))).toEqual([]);
});
