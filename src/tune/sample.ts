/** The raw file that everything the bench compares is given. */
import { mkdir, open, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DiskFormat } from '../disk/image-format.ts';
import { openDisk } from '../disk/open.ts';
import { UsageError } from '../errors.ts';
import type { Context } from '../events.ts';
import { run } from '../host/process.ts';
import { which } from '../host/tools.ts';
import { FileSink } from '../pack/sink.ts';
import { content } from './content.ts';

export interface Sample {
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** Where its content is from, for the report. */
  readonly from: string;
}

const MIB = 1024 * 1024;
const SEED = 20_240_229;
/** A disk is taken in slices of this length; those that hold nothing are left out. */
const SLICE = 4 * MIB;
const UUID = '4b1d7a52-0c5e-4d0a-9b34-7a6f7b0d9c11';

/** Files of seeded content in an ext4, or without mke2fs one after another, `size` bytes together. */
export async function makeSample(folder: string, size: number, context: Context): Promise<Sample> {
  const path = join(folder, 'sample.raw');
  if (which('mke2fs') === undefined) {
    await using sink = await FileSink.create(path);
    for (const { bytes } of content(SEED, size)) {
      context.signal.throwIfAborted();
      await sink.write(bytes);
    }
    return { ...(await sink.finish()), from: `seed ${SEED}, plain` };
  }
  const tree = join(folder, 'tree');
  let count = 0;
  for (const { kind, bytes } of content(SEED, size)) {
    context.signal.throwIfAborted();
    const within = join(tree, String(count >> 8));
    if (count % 256 === 0) await mkdir(within, { recursive: true });
    await writeFile(join(within, `${count}.${kind}`), bytes);
    count++;
  }
  // A sixteenth and some more for inode tables and the journal.
  const blocks = Math.ceil((size + size / 16 + 24 * MIB) / 4096);
  const options = ['-q', '-F', '-t', 'ext4', '-b', '4096', '-U', UUID, '-E', `hash_seed=${UUID}`, '-d', tree];
  await run('mke2fs', [...options, path, String(blocks)], context);
  await rm(tree, { recursive: true });
  return { path, size: blocks * 4096, from: `seed ${SEED}, ${count} files in ext4` };
}

/**
 * What `disk` holds, copied into one raw file: all of it, or evenly spaced slices of `size` bytes together.
 * @throws UsageError `bench.empty`; the errors of reading the disk
 */
export async function sampleDisk(
  options: {
    readonly disk: string;
    readonly format?: DiskFormat | undefined;
    readonly folder: string;
    readonly size: number;
  },
  context: Context,
): Promise<Sample> {
  const { signal } = context;
  const format = options.format === undefined ? {} : { format: options.format };
  await using disk = await openDisk(options.disk, { signal, ...format });
  const held: number[] = [];
  for (let at = 0; at < disk.size; at += SLICE) {
    signal.throwIfAborted();
    const extents = await disk.locate(at, Math.min(SLICE, disk.size - at));
    if (extents.some(({ kind }) => kind !== 'zero')) held.push(at);
  }
  if (held.length === 0) {
    throw new UsageError('bench.empty', `Cannot measure with ${options.disk}: it holds nothing but zeros`, {
      hint: 'Name another disk, or none: then one is made.',
    });
  }
  const wanted = Math.max(1, Math.min(held.length, Math.ceil(options.size / SLICE)));
  const path = join(options.folder, 'sample.raw');
  await using sink = await FileSink.create(path);
  for (let index = 0; index < wanted; index++) {
    signal.throwIfAborted();
    const at = held[Math.floor((index * held.length) / wanted)]!;
    const slice = new Uint8Array(Math.min(SLICE, disk.size - at));
    await disk.read(at, slice);
    await sink.write(slice);
  }
  const { size } = await sink.finish();
  return { path, size, from: `${options.disk}, ${wanted} of ${held.length} slices of 4 MiB that hold something` };
}

/** Cuts the sample to `size` bytes where it is longer. */
export async function cutSample(sample: Sample, size: number): Promise<Sample> {
  if (size >= sample.size) return sample;
  await truncate(sample.path, size);
  return { ...sample, size, from: `${sample.from}; the first ${Math.round(size / MIB)} MiB` };
}

/** Reads all of it, so that no run after this one waits for the storage. */
export async function warm(sample: Sample): Promise<void> {
  await using file = await open(sample.path);
  const into = new Uint8Array(MIB);
  while ((await file.read(into)).bytesRead > 0);
}
