import { randomBytes } from 'node:crypto';
import { rename, rm, writeFile } from 'node:fs/promises';
import { HostError } from '../errors.ts';
import { reapPath } from '../host/reaper.ts';

/**
 * Writes media under their final name only when they are whole; mode 0600.
 * @throws HostError `seed.write`
 */
export async function writeSeedFile(path: string, image: Uint8Array): Promise<void> {
  const temporary = `${path}.partial-${randomBytes(4).toString('hex')}`;
  using _held = reapPath(temporary);
  try {
    await writeFile(temporary, image, { flag: 'wx', mode: 0o600 });
    await rename(temporary, path);
  } catch (cause) {
    await rm(temporary, { force: true });
    throw new HostError('seed.write', `Cannot write the seed ${path}: ${(cause as Error).message}`, {
      hint: 'Check that the folder exists, can be written to and has room.',
      cause,
    });
  }
}
