import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { signedLoaderFiles } from '../../fixtures/signed-loaders.ts';
import { quietContext } from '../../src/events.ts';
import { which } from '../../src/host/tools.ts';
import type { MachineSpec } from '../../src/machine/spec.ts';
import { startMachine } from '../../src/machine/start.ts';

const run = promisify(execFile);
const MIB = 1024 * 1024;
const LONG = 300_000;
const MODULES = '/usr/lib/grub/x86_64-efi';
const missing =
  which('grub-mkstandalone') === undefined || !existsSync(MODULES) ? ' (grub-efi-amd64-bin is not installed)' : '';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-secure-boot-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A FAT volume with these files in its EFI/BOOT folder. */
async function volume(files: Readonly<Record<string, string>>): Promise<string> {
  const image = join(folder, 'esp.img');
  await writeFile(image, '');
  await truncate(image, 48 * MIB);
  const env = { ...process.env, MTOOLS_SKIP_CHECK: '1' };
  await run('mformat', ['-i', image, '-F', '::'], { env });
  await run('mmd', ['-i', image, '::/EFI', '::/EFI/BOOT'], { env });
  for (const [name, from] of Object.entries(files))
    await run('mcopy', ['-i', image, from, `::/EFI/BOOT/${name}`], { env });
  return image;
}

/** GRUB as everybody can make it: nobody signed it. */
async function unsignedGrub(): Promise<string> {
  const config = join(folder, 'grub.cfg');
  const out = join(folder, 'unsigned.efi');
  await writeFile(config, 'echo unsigned GRUB runs\nsleep 1000\n');
  const args = ['--directory', MODULES, '-O', 'x86_64-efi', '-o', out, '--install-modules=echo sleep', '--locales='];
  await run('grub-mkstandalone', [...args, '--fonts=', '--themes=', `boot/grub/grub.cfg=${config}`]);
  return out;
}

/** Boots a volume until `text` is on the serial line. */
async function boots(image: string, secureBoot: boolean, text: RegExp): Promise<void> {
  const spec: MachineSpec = {
    name: 'secure-boot',
    arch: 'amd64',
    memory: 256 * MIB,
    cpus: 1,
    firmware: 'uefi',
    secureBoot,
    disks: [{ path: image, format: 'raw', readOnly: true }],
    ssh: false,
  };
  await using machine = await startMachine(spec, { runDir: folder, policy: 'tcg' }, quietContext());
  expect(machine.firmware?.secureBoot).toBe(secureBoot);
  const serial = (): string => readFileSync(join(folder, 'serial.log'), 'latin1');
  await expect.poll(serial, { timeout: LONG / 2, interval: 200 }).toMatch(text);
}

test.skipIf(missing !== '')(
  `Secure Boot refuses a boot loader nobody signed, which boots without it${missing}`,
  async () => {
    const image = await volume({ 'BOOTX64.EFI': await unsignedGrub() });
    await boots(image, true, /Access Denied|Security Violation/);
    await boots(image, false, /unsigned GRUB runs/);
  },
  LONG,
);

test(
  'Secure Boot starts the vendor’s signed shim and GRUB',
  async () => {
    const { shim, grub } = await signedLoaderFiles();
    const image = await volume({ 'BOOTX64.EFI': shim, 'grubx64.efi': grub });
    await boots(image, true, /GNU GRUB|grub>/);
  },
  LONG,
);
