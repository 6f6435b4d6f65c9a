import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { expect, test } from 'vitest';
import { useRunningTime } from '../../fixtures/clock.ts';
import { requireHost } from '../../src/build/doctor.ts';
import { quietContext } from '../../src/events.ts';
import { which } from '../../src/host/tools.ts';
import { chooseAccelerator } from '../../src/machine/accelerator.ts';
import { ARCHITECTURES, hostArch } from '../../src/machine/arch.ts';
import { BOARDS } from '../../src/machine/board.ts';
import { runPayload } from '../../src/machine/calibrate.ts';
import { plan } from '../../src/recipe/plan.ts';

useRunningTime();

const LONG = 300_000;

for (const arch of ARCHITECTURES) {
  const { qemu, cpu } = BOARDS[arch];
  const path = which(qemu);
  const skip = path === undefined;
  test.skipIf(skip)(
    `the payload of ${arch} comes to its end under TCG${skip ? ` (${qemu} is not installed)` : ''}`,
    async () => {
      const result = await runPayload(path ?? '', { arch, kind: 'tcg', cpu: cpu.tcg, deadlineMs: LONG });
      expect(result).toMatchObject({ ok: true });
      if (result.ok) expect(result.loopMs).toBeGreaterThan(5);
    },
    LONG,
  );

  test.skipIf(skip)(
    `a QEMU that refuses ${arch} says why${skip ? ` (${qemu} is not installed)` : ''}`,
    async () => {
      const result = await runPayload(path ?? '', { arch, kind: 'tcg', cpu: 'no-such-model', deadlineMs: LONG });
      expect(result).toMatchObject({ ok: false, late: false, why: expect.stringContaining('no-such-model') });
    },
    LONG,
  );

  test.skipIf(skip)(
    `a CPU model of ${arch} that QEMU has not is refused when the accelerator is chosen${skip ? ` (${qemu} is not installed)` : ''}`,
    async () => {
      const chosen = chooseAccelerator(arch, 'tcg', { cpuModel: 'no-such-model' });
      await expect(chosen).rejects.toMatchObject({ code: 'accelerator.cpu-model', exitCode: 3 });
    },
    LONG,
  );

  test.skipIf(skip)(
    `a payload of ${arch} that is not wanted any more is ended${skip ? ` (${qemu} is not installed)` : ''}`,
    async () => {
      const signal = AbortSignal.abort();
      const result = await runPayload(path ?? '', { arch, kind: 'tcg', cpu: cpu.tcg, deadlineMs: LONG, signal });
      expect(result).toMatchObject({ ok: false, late: false });
    },
    LONG,
  );
}

test(
  'the accelerator is chosen with a reason within three seconds, and never KVM on trust',
  async () => {
    const start = performance.now();
    const chosen = await chooseAccelerator('amd64', 'auto');
    const ms = performance.now() - start;
    expect(ms).toBeLessThan(3000);
    expect(chosen.reason).not.toBe('');
    if (chosen.kind === 'kvm') {
      expect(chosen.timeScale).toBeLessThan(10);
    } else {
      expect(chosen.timeScale).toBeGreaterThanOrEqual(10);
      if (existsSync('/dev/kvm') && process.getuid?.() === 0) expect(chosen.reason).toContain('test payload failed');
      const code = 'accelerator.kvm-unusable';
      await expect(chooseAccelerator('amd64', 'require')).rejects.toMatchObject({ code, exitCode: 3 });
    }
  },
  LONG,
);

test(
  'a CPU model under which a guest hangs is not believed either',
  async () => {
    const start = performance.now();
    const chosen = await chooseAccelerator('amd64', 'auto', { cpuModel: 'qemu64' });
    expect(performance.now() - start).toBeLessThan(3000);
    expect(chosen.cpu).toBe('qemu64');
    expect(chosen.reason).not.toBe('');
  },
  LONG,
);

test(
  'a build that has to be virtualised and cannot be is refused before anything is downloaded',
  async () => {
    const arch = hostArch() === 'arm64' ? 'amd64' : 'arm64';
    const foreign = plan({ recipe: 'debian-12', arch, source: 'cloudimg', env: {} });
    const required = requireHost(foreign, { out: tmpdir(), accelerator: 'require' }, quietContext());
    const code = expect.stringMatching(/^accelerator\.(kvm|hvf)-unusable$/);
    await expect(required).rejects.toMatchObject({ code, exitCode: 3 });
  },
  LONG,
);
