import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { stringify } from 'yaml';
import { RecipeError } from '../errors.ts';
import type { Context } from '../events.ts';
import { NOCLOUD_LABEL, writeNoCloud } from './nocloud.ts';

export interface SeedOptions {
  /** The ISO to write. */
  readonly out: string;
  /** Files of this host. */
  readonly userData: string;
  readonly metaData?: string | undefined;
  readonly networkConfig?: string | undefined;
  /** Used where there is no meta-data file. @default a new one */
  readonly instanceId?: string | undefined;
}

export interface MadeSeed {
  readonly path: string;
  readonly label: string;
  readonly files: readonly string[];
}

/**
 * Makes a NoCloud seed of files.
 * @throws RecipeError `seed.file`, `seed.user-data`, `seed.meta-data`, `seed.network-config`; HostError `seed.write`
 */
export async function makeSeed(options: SeedOptions, context: Context): Promise<MadeSeed> {
  context.signal.throwIfAborted();
  const userData = await read(options.userData);
  const metaData =
    options.metaData === undefined
      ? stringify({ 'instance-id': options.instanceId ?? randomUUID() })
      : await read(options.metaData);
  const networkConfig = options.networkConfig === undefined ? undefined : await read(options.networkConfig);
  const path = resolve(options.out);
  await writeNoCloud(path, { userData, metaData, ...(networkConfig === undefined ? {} : { networkConfig }) });
  const files = ['meta-data', 'user-data', ...(networkConfig === undefined ? [] : ['network-config'])];
  return { path, label: NOCLOUD_LABEL, files };
}

async function read(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new RecipeError('seed.file', `Cannot read ${path}: ${(cause as Error).message}`, { cause });
  }
}
