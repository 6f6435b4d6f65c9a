import { expect, test } from 'vitest';
import { useRunningTime } from '../../fixtures/clock.ts';
import { type AcceleratorHost, chooseAccelerator } from '../../src/machine/accelerator.ts';
import { BOARDS } from '../../src/machine/board.ts';
import { type PayloadResult, type PayloadRun, timeScale } from '../../src/machine/calibrate.ts';

useRunningTime();

const ran = (loopMs: number): PayloadResult => ({ ok: true, loopMs });
const DIED: PayloadResult = { ok: false, late: false, why: 'error: failed to set MSR 0x10a to 0x69' };
const HUNG: PayloadResult = { ok: false, late: true, why: 'it did not end within 2400 ms' };

/** A host whose payloads end as told, each after some milliseconds; `runs` takes what was run. */
function hostOf(
  results: Partial<Record<PayloadRun['kind'], readonly [ms: number, result: PayloadResult]>>,
  over: Partial<AcceleratorHost> = {},
): AcceleratorHost & { readonly runs: PayloadRun[]; readonly ended: string[] } {
  const runs: PayloadRun[] = [];
  const ended: string[] = [];
  return {
    platform: 'linux',
    arch: 'amd64',
    which: (tool) => `/usr/bin/${tool}`,
    kvmError: () => undefined,
    run: (_, run) => {
      runs.push(run);
      const [ms, result] = results[run.kind] ?? [0, DIED];
      return new Promise((resolve) => {
        const timer = setTimeout(() => resolve(result), Math.min(ms, run.deadlineMs));
        run.signal?.addEventListener('abort', () => {
          clearTimeout(timer);
          ended.push(run.kind);
          resolve({ ok: false, late: false, why: 'ended' });
        });
      });
    },
    ...over,
    runs,
    ended,
  };
}

const choose = (host: AcceleratorHost, arch: 'amd64' | 'arm64' = 'amd64', cpuModel?: string) =>
  chooseAccelerator(arch, 'auto', { host, cpuModel });

test('KVM that runs the payload is taken, with its speed', async () => {
  const host = hostOf({ kvm: [0, ran(13)] });
  const reason = 'a test payload ran under KVM';
  expect(await choose(host)).toEqual({ kind: 'kvm', cpu: 'host', reason, timeScale: 1 });
  expect(host.runs).toMatchObject([{ arch: 'amd64', kind: 'kvm', cpu: 'host' }]);
});

test('the payload runs with the CPU model the guest will have', async () => {
  const host = hostOf({ kvm: [0, ran(13)] });
  expect(await choose(host, 'amd64', 'EPYC')).toMatchObject({ kind: 'kvm', cpu: 'EPYC' });
  expect(host.runs).toMatchObject([{ cpu: 'EPYC' }]);
});

test('KVM on which QEMU dies is not', async () => {
  const host = hostOf({ kvm: [0, DIED], tcg: [0, ran(130)] });
  expect(await choose(host)).toEqual({
    kind: 'tcg',
    cpu: BOARDS.amd64.cpu.tcg,
    reason: '/dev/kvm is there, but a test payload failed under KVM: error: failed to set MSR 0x10a to 0x69',
    timeScale: 15,
    threads: 'multi',
  });
});

test('KVM on which the guest hangs ends in emulation in less than three seconds', async () => {
  const host = hostOf({ kvm: [9999, HUNG], tcg: [9999, ran(130)] });
  const start = performance.now();
  const chosen = await choose(host);
  expect(performance.now() - start).toBeLessThan(3000);
  expect(chosen).toMatchObject({ kind: 'tcg', reason: expect.stringContaining('did not end within') });
});

test('KVM that is slow to start is taken, and the measurement beside it ended', async () => {
  const host = hostOf({ kvm: [1300, ran(40)], tcg: [9999, ran(130)] });
  expect(await choose(host)).toMatchObject({ kind: 'kvm', timeScale: 3.1 });
  expect(host.ended).toEqual(['tcg']);
});

test('HVF is proved by the same payloads on macOS', async () => {
  const mac = { platform: 'darwin', arch: 'arm64' } as const;
  const host = hostOf({ hvf: [0, ran(10)] }, mac);
  expect(await choose(host, 'arm64')).toMatchObject({
    kind: 'hvf',
    cpu: 'host',
    reason: 'a test payload ran under HVF',
  });
  expect(host.runs).toMatchObject([{ arch: 'arm64', kind: 'hvf', cpu: 'host' }]);
  const broken = hostOf({ hvf: [0, DIED], tcg: [0, ran(130)] }, mac);
  const code = 'accelerator.hvf-unusable';
  await expect(chooseAccelerator('arm64', 'require', { host: broken })).rejects.toMatchObject({ code, exitCode: 3 });
});

const UNPROVABLE: readonly (readonly [why: RegExp, over: Partial<AcceleratorHost>, arch: 'amd64' | 'arm64'])[] = [
  [/^the guest is arm64, this host is amd64$/, {}, 'arm64'],
  [/^the guest is amd64, this host is arm64$/, { platform: 'darwin', arch: 'arm64' }, 'amd64'],
  [/^this host has no \/dev\/kvm$/, { kvmError: () => 'ENOENT' }, 'amd64'],
  [/^\/dev\/kvm cannot be opened \(EACCES\)$/, { kvmError: () => 'EACCES' }, 'amd64'],
  [/^qemu-system-x86_64 is not installed$/, { which: () => undefined }, 'amd64'],
  [/this is win32$/, { platform: 'win32' }, 'amd64'],
];

for (const [why, over, arch] of UNPROVABLE) {
  test(`nothing is proved where ${String(why)}`, async () => {
    const host = hostOf({ tcg: [0, ran(130)] }, over);
    const chosen = await choose(host, arch);
    expect(chosen).toMatchObject({ kind: 'tcg', reason: expect.stringMatching(why) });
    expect(host.runs.every(({ kind }) => kind === 'tcg')).toBe(true);
    await expect(chooseAccelerator(arch, 'require', { host })).rejects.toMatchObject({ exitCode: 3 });
  });
}

test('an x86 guest on an Arm host has one thread, an Arm guest on an x86 host has many', async () => {
  const results = { tcg: [0, ran(130)] } as const;
  expect((await choose(hostOf(results, { arch: 'arm64' }), 'amd64')).threads).toBe('single');
  expect((await choose(hostOf(results), 'arm64')).threads).toBe('multi');
});

test('emulation is emulation where it is asked for, and needs no proof', async () => {
  const host = hostOf({ kvm: [0, ran(13)], tcg: [0, ran(260)] });
  expect(await chooseAccelerator('amd64', 'tcg', { host })).toMatchObject({ kind: 'tcg', timeScale: 30 });
  expect(host.runs.map(({ kind }) => kind)).toEqual(['tcg']);
});

test('a CPU model that QEMU has not is refused, one that only the measurement fails with is not', async () => {
  const unknown: PayloadResult = { ok: false, late: false, why: "unable to find CPU model 'pentium9'" };
  const error = { code: 'accelerator.cpu-model', exitCode: 3, message: expect.stringContaining('pentium9') };
  for (const results of [{ tcg: [0, unknown] }, { kvm: [0, unknown], tcg: [0, unknown] }] as const) {
    await expect(choose(hostOf(results), 'amd64', 'pentium9')).rejects.toMatchObject(error);
  }
  // What hardware alone has is fine where it is proved, also late.
  expect(await choose(hostOf({ kvm: [1300, ran(40)], tcg: [0, unknown] }), 'amd64', 'host')).toMatchObject({
    kind: 'kvm',
  });
  expect(await choose(hostOf({ tcg: [0, DIED] }), 'amd64', 'EPYC')).toMatchObject({ kind: 'tcg', cpu: 'EPYC' });
});

test.each([
  ['kvm', ran(1), 1, 'never less time than on an ordinary host'],
  ['kvm', ran(130), 10, 'ten times as slow'],
  ['kvm', ran(9999), 10, 'a limit'],
  ['tcg', ran(20), 10, 'emulation is never that fast in a real boot'],
  ['tcg', ran(260), 30, 'a host at a third of its speed'],
  ['tcg', ran(9999), 60, 'a limit'],
  ['tcg', HUNG, 60, 'too slow to be measured'],
  ['tcg', DIED, 10, 'not measured'],
] as const)('a guest under %s that measured %j gets %f times the time: %s', (kind, measured, scale, why) => {
  expect(timeScale(kind, measured), why).toBe(scale);
});
