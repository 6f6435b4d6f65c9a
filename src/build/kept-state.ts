/** What a machine of an earlier run kept beside its disks: the variables of its UEFI, the state of its TPM. */
import { existsSync } from 'node:fs';
import { copyFile, cp, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Context } from '../events.ts';
import type { Firmware } from '../machine/firmware.ts';
import type { StartOptions } from '../machine/start.ts';
import { tpmState } from '../machine/tpm.ts';
import type { RunRecord } from './run-record.ts';

/** Options of `startMachine`; copies made for them go when it is disposed. */
export interface KeptState extends AsyncDisposable {
  readonly options: Pick<StartOptions, 'firmware' | 'tpmState'>;
}

/**
 * What the run kept, to be started with again. What is not there any more is new instead, and told.
 * @param copies folder that takes copies, so that what was kept stays as it is. @default none are made
 */
export async function keptState(record: RunRecord, copies: string | undefined, context: Context): Promise<KeptState> {
  const made: string[] = [];
  const firmware = await keptFirmware(record, copies, made, context);
  const tpm = await keptTpm(record, copies, made, context);
  return {
    options: { firmware, tpmState: tpm },
    [Symbol.asyncDispose]: async () => {
      for (const path of made) await rm(path, { recursive: true, force: true });
    },
  };
}

async function keptFirmware(
  { spec, firmware }: RunRecord,
  copies: string | undefined,
  made: string[],
  { emit }: Context,
): Promise<Firmware | undefined> {
  if (spec.firmware !== 'uefi') return undefined;
  const fresh = (why: string): undefined => {
    emit({ type: 'log', level: 'warn', message: `the guest starts with fresh UEFI variables: ${why}` });
  };
  if (firmware === undefined) return fresh('its run kept none');
  const { code, vars, mode } = firmware;
  const gone = [code, ...(vars ? [vars] : [])].find(({ path }) => !existsSync(path));
  if (gone !== undefined) return fresh(`${gone.path} is gone`);
  if (copies === undefined) return firmware;
  const copy = async <T extends Firmware['code']>(file: T): Promise<T> => {
    const path = join(copies, basename(file.path));
    made.push(path);
    await copyFile(file.path, path);
    return { ...file, path };
  };
  // Whatever the guest writes to.
  return { ...firmware, code: mode === 'combined' ? await copy(code) : code, vars: vars && (await copy(vars)) };
}

async function keptTpm(
  { spec, runDir }: RunRecord,
  copies: string | undefined,
  made: string[],
  { emit }: Context,
): Promise<string | undefined> {
  if (!spec.tpm) return undefined;
  const kept = tpmState(runDir);
  if (!existsSync(kept)) {
    emit({ type: 'log', level: 'warn', message: 'the guest starts with a new TPM: its run kept none' });
    return undefined;
  }
  if (copies === undefined) return kept;
  const path = tpmState(copies);
  made.push(path);
  await cp(kept, path, { recursive: true });
  return path;
}
