/** The raw file that everything the bench compares is given. */
import { open, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DiskFormat } from '../disk/image-format.ts';
import { openDisk } from '../disk/open.ts';
import { UsageError } from '../errors.ts';
import type { Context } from '../events.ts';
import { makeFolder } from '../host/make-folder.ts';
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
const ZEROS = Buffer.alloc(SLICE);
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
    if (count % 256 === 0) await makeFolder(within);
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
 * What `disk` holds, copied into one raw file: all of it, or slices from all over it of `size` bytes together.
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
  const wanted = Math.max(1, Math.ceil(options.size / SLICE));
  const path = join(options.folder, 'sample.raw');
  await using sink = await FileSink.create(path);
  let taken = 0;
  const step = strideOf(held.length, wanted);
  for (let visit = 0; visit < held.length && taken < wanted; visit++) {
    signal.throwIfAborted();
    const at = held[(visit * step) % held.length]!;
    const slice = Buffer.alloc(Math.min(SLICE, disk.size - at));
    await disk.read(at, slice);
    // A raw disk does not tell its holes.
    if (slice.equals(ZEROS.subarray(0, slice.length))) continue;
    await sink.write(slice);
    taken++;
  }
  if (taken === 0) {
    throw new UsageError('bench.empty', `Cannot measure with ${options.disk}: it holds nothing but zeros`, {
      hint: 'Name another disk, or none: then one is made.',
    });
  }
  const { size } = await sink.finish();
  return { path, size, from: `${options.disk}, ${taken} slices of 4 MiB` };
}

/**
 * The step from slice to slice, in a round, that comes to each of `count` once and leaves no large gap wherever it ends:
 * near the golden section, with no common divisor.
 */
function strideOf(count: number, wanted: number): number {
  if (wanted >= count) return 1;
  let step = Math.max(1, Math.round(count * 0.618));
  while (divisor(step, count) !== 1) step++;
  return step;
}

function divisor(a: number, b: number): number {
  return b === 0 ? a : divisor(b, a % b);
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
