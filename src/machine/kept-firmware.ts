/** Firmware variables kept beside a disk: the boot entry an installer made is in them, not on the disk. */
import { copyFile, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Firmware } from './firmware.ts';

const VERSION = 1;
const flash = z.object({ path: z.string(), format: z.enum(['raw', 'qcow2']) });

/** Firmware as a record on disk has it. */
export const firmwareSchema = z.object({
  code: flash,
  vars: flash.optional(),
  mode: z.enum(['split', 'combined', 'stateless']),
  secureBoot: z.boolean(),
  smm: z.boolean(),
  descriptor: z.string(),
});

const schema = z.object({
  version: z.literal(VERSION),
  firmware: firmwareSchema,
  /** Of the code, which an update of the host replaces: variables are in its own form. */
  code: z.object({ size: z.number(), mtimeMs: z.number() }),
});

export interface KeptFirmware {
  /** The record, a JSON file. */
  readonly record: string;
}

/** Keeps the variables that `firmware` was left with: as `${beside}.vars`, and what they belong to as `${beside}.firmware.json`. */
export async function keepFirmware(firmware: Firmware, beside: string): Promise<KeptFirmware> {
  const written = firmware.mode === 'combined' ? firmware.code : firmware.vars;
  const path = `${beside}.vars`;
  if (written !== undefined) {
    await copyFile(written.path, `${path}.partial`);
    await rename(`${path}.partial`, path);
  }
  const kept: Firmware =
    firmware.mode === 'combined'
      ? { ...firmware, code: { ...firmware.code, path } }
      : { ...firmware, vars: firmware.vars && { ...firmware.vars, path } };
  const { size, mtimeMs } = await stat(kept.code.path);
  const record = `${beside}.firmware.json`;
  await writeFile(
    record,
    `${JSON.stringify({ version: VERSION, firmware: kept, code: { size, mtimeMs } }, null, 2)}\n`,
  );
  return { record };
}

/**
 * The kept firmware with variables of its own in `folder`; undefined when the host has another firmware by now, or none was
 * kept: fresh variables are right then, and the disk starts by the fallback path of its ESP.
 */
export async function restoreFirmware({ record }: KeptFirmware, folder: string): Promise<Firmware | undefined> {
  try {
    const { firmware, code } = schema.parse(JSON.parse(await readFile(record, 'utf8')));
    const { size, mtimeMs } = await stat(firmware.code.path);
    if (size !== code.size || mtimeMs !== code.mtimeMs) return undefined;
    const own = async (from: { path: string; format: 'raw' | 'qcow2' }, name: string): Promise<typeof from> => {
      const path = join(folder, name);
      await copyFile(from.path, path);
      return { ...from, path };
    };
    if (firmware.mode === 'combined') {
      return { ...firmware, code: await own(firmware.code, 'eficode.fd'), vars: undefined };
    }
    return { ...firmware, vars: firmware.vars && (await own(firmware.vars, 'efivars.fd')) };
  } catch {
    return undefined;
  }
}
