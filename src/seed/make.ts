import { randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import { stringify } from 'yaml';
import { UsageError } from '../errors.ts';
import type { Context } from '../events.ts';
import { readSeedFiles, type SeedFile } from './files.ts';
import { type SeedKind, type SeedMember, seedVolume } from './volume.ts';
import { writeSeedFile } from './write.ts';

export interface SeedOptions {
  /** The image to write. */
  readonly out: string;
  /** @default 'nocloud' */
  readonly kind?: SeedKind | undefined;
  /** What is on it, files and folders of this host. */
  readonly files?: readonly SeedFile[] | undefined;
  /** Of kinds that are not found by a label of their own. */
  readonly label?: string | undefined;
  /** Files of this host; short for `files` with the names NoCloud reads. */
  readonly userData?: string | undefined;
  readonly metaData?: string | undefined;
  readonly networkConfig?: string | undefined;
  /** Used where there is no meta-data file. @default a new one */
  readonly instanceId?: string | undefined;
}

export interface MadeSeed {
  readonly kind: SeedKind;
  readonly path: string;
  readonly label: string;
  /** In the order they were given. */
  readonly files: readonly string[];
  /** Bytes of the image. */
  readonly size: number;
}

/**
 * Makes a volume that carries answers to cloud-init or to an installer, from files. Times are SOURCE_DATE_EPOCH, or 0.
 * @throws RecipeError `seed.file` and those of `seedVolume`; UsageError `seed.usage`; HostError `seed.write`
 */
export async function makeSeed(options: SeedOptions, context: Context): Promise<MadeSeed> {
  context.signal.throwIfAborted();
  const { kind = 'nocloud' } = options;
  const cloud = kind.startsWith('nocloud') || kind.startsWith('autoinstall');
  const named: SeedFile[] = [];
  for (const [name, path] of [
    ['meta-data', options.metaData],
    ['user-data', options.userData],
    ['network-config', options.networkConfig],
  ] as const) {
    if (path === undefined) continue;
    if (!cloud) throw notOnThis(kind, name);
    named.push({ name, path });
  }
  if (options.instanceId !== undefined && !cloud) throw notOnThis(kind, 'instance-id');
  const members = await readSeedFiles([...named, ...(options.files ?? [])], context.signal);
  const files = cloud && !members.some(({ path }) => path === 'meta-data') ? [identity(options), ...members] : members;
  const { image, label } = seedVolume(kind, files, { label: options.label, time: sourceDate() });
  const path = resolve(options.out);
  await writeSeedFile(path, image);
  return { kind, path, label, files: files.map(({ path: name }) => name), size: image.length };
}

function identity({ instanceId }: SeedOptions): SeedMember {
  const text = stringify({ 'instance-id': instanceId ?? randomUUID() });
  return { path: 'meta-data', content: new TextEncoder().encode(text) };
}

function notOnThis(kind: SeedKind, what: string): UsageError {
  return new UsageError('seed.usage', `Cannot use ${what} for a seed of kind ${kind}: only NoCloud seeds have it`, {
    hint: 'Use --kind nocloud, or name the file with --file NAME=PATH.',
  });
}

/** SOURCE_DATE_EPOCH (reproducible-builds.org), seconds since 1970. */
function sourceDate(): number | undefined {
  const text = process.env.SOURCE_DATE_EPOCH;
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}
