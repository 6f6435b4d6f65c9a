/** Media that are not those of a recipe, before any machine starts. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { plannedInstallation } from '../../fixtures/doubles/installations.ts';
import { installedDisk } from '../../src/build/installed-disk.ts';
import { quietContext } from '../../src/events.ts';
import { writeIso9660 } from '../../src/formats/iso9660/writer.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-medium-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test.each([
  ['is no ISO', new Uint8Array(65_536), 'installer.medium', 'it has no primary volume descriptor'],
  ['was cut off', writeIso9660([], { volumeId: 'x' }).subarray(0, 20_000), 'installer.medium', 'Cannot read'],
  ['is another', writeIso9660([], { volumeId: 'Rocky-8-9-x86_64-dvd' }), 'installer.volume', 'Rocky-8-9-x86_64-dvd'],
] as const)(
  'a medium of the right name that %s ends the build with the right one named',
  async (_, bytes, code, why) => {
    const iso = join(folder, 'Rocky-x86_64-boot.iso');
    await writeFile(iso, bytes);
    const made = plannedInstallation({ recipe: 'rocky-9', iso });
    await expect(installedDisk(made, { source: made.source, runDir: folder }, quietContext())).rejects.toMatchObject({
      code,
      exitCode: 4,
      message: expect.stringMatching(new RegExp(`^Cannot install from Rocky-x86_64-boot\\.iso: .*${why}`)),
      hint: expect.stringContaining('Get it: Rocky-x86_64-boot.iso, from download.rockylinux.org.'),
    });
  },
);
