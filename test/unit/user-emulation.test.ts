import { afterEach, expect, test, vi } from 'vitest';
import { userEmulation } from '../../src/machine/user-emulation.ts';

afterEach(() => vi.unstubAllEnvs());

test('programs of arm64 see a CPU without pointer authentication', () => {
  vi.stubEnv('QEMU_CPU', undefined);
  expect(userEmulation('arm64')).toEqual({ QEMU_CPU: 'cortex-a72' });
});

test("the operator's own choice of that CPU stays", () => {
  vi.stubEnv('QEMU_CPU', 'max,pauth-impdef=on');
  expect(userEmulation('arm64')).toEqual({ QEMU_CPU: 'max,pauth-impdef=on' });
});

test('programs of amd64 keep the default', () => {
  expect(userEmulation('amd64')).toEqual({});
});
