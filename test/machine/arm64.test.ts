import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { microGuestArm64 } from '../../fixtures/micro-guest-arm64.ts';
import { quietContext } from '../../src/events.ts';
import { which } from '../../src/host/tools.ts';
import { startMachine } from '../../src/machine/start.ts';

const LONG = 300_000;
const missing = which('qemu-system-aarch64') === undefined ? ' (qemu-system-aarch64 is not installed)' : '';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-arm64-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test.skipIf(missing !== '')(
  `an arm64 guest boots by its UEFI firmware, reads its disks and powers itself off${missing}`,
  async () => {
    // Its virtio drivers are modules, which the micro-guest has none of; sizes are enough to see the devices by PCI.
    const script = `
      mkdir /sys; mount -t sysfs sys /sys
      echo "machine: $(uname -m)"
      [ -d /sys/firmware/efi ] && echo by UEFI
      grep -l 0x1af4 /sys/bus/pci/devices/*/vendor | wc -l
      sleep 1
      poweroff -f`;
    const disk = join(folder, 'disk.raw');
    await writeFile(disk, Buffer.alloc(1024 * 1024));
    const spec = await microGuestArm64(folder, script);
    const disks = [{ path: disk, format: 'raw', scratch: true }] as const;
    await using machine = await startMachine({ ...spec, disks }, { runDir: folder, policy: 'tcg' }, quietContext());
    expect(machine.accelerator).toMatchObject({ kind: 'tcg', cpu: 'cortex-a72' });
    const stopped = await machine.shutdown({ ask: async () => {}, budgetMs: LONG });
    expect(stopped.reason).toBe('guest-shutdown');
    const serial = readFileSync(join(folder, 'serial.log'), 'utf8');
    expect(serial).toContain('micro-guest is up');
    expect(serial).toContain('machine: aarch64');
    expect(serial).toContain('by UEFI');
  },
  LONG,
);

test.skipIf(missing !== '')(
  `a panic of an arm64 guest is found${missing}`,
  async () => {
    const spec = await microGuestArm64(folder, 'echo c > /proc/sysrq-trigger; sleep 1000');
    const append = 'console=ttyAMA0 panic=-1';
    const kernel = { image: spec.kernel?.image ?? '', initrd: spec.kernel?.initrd ?? '', append };
    const guest = { ...spec, kernel };
    await using machine = await startMachine(guest, { runDir: folder, policy: 'tcg' }, quietContext());
    const error = await machine.failure.then(
      () => undefined,
      (failure: { code: string }) => failure,
    );
    expect(error?.code).toBe('boot.panic');
  },
  LONG,
);
