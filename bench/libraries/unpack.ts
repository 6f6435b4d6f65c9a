/**
 * `libraries unpack`: what can unpack the compressed clusters of a qcow2 image. Every cluster is read into memory first, a
 * part of the image at a time, so that only unpacking is timed.
 */
import { execFileSync } from 'node:child_process';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Codec, StoredExtent } from '../../src/disk/block-source.ts';
import { openDisk } from '../../src/disk/open.ts';
import { openUnpacker } from '../../src/disk/unpacker.ts';
import { versionsOf } from '../versions.ts';
import type { Input } from './input.ts';
import { getRival, type Rival } from './rival.ts';
import { ratio, type Section } from './section.ts';
import { bestOf, rounds, type Turn } from './turns.ts';

type Cluster = Extract<StoredExtent, { kind: 'compressed' }>;
type Unpack = (cluster: Cluster, stored: Uint8Array, into: Uint8Array) => void;

const PART = 64 * 2 ** 20;
const LARGEST_CLUSTER = 2 ** 21;
const ZLIB_SYNC = { name: 'zlib-sync', version: '0.1.10' };

function zlibSync({ module }: Rival): Unpack | undefined {
  if (module === undefined) return undefined;
  const { Inflate, Z_SYNC_FLUSH } = module.default;
  return (cluster, stored, into) => {
    const inflate = new Inflate({ windowBits: -15, chunkSize: cluster.unpackedLength });
    inflate.push(Buffer.from(stored.buffer, stored.byteOffset, stored.length), Z_SYNC_FLUSH);
    if (inflate.err < 0 || inflate.result.length !== into.length) throw new Error(`zlib-sync: ${inflate.msg}`);
    into.set(inflate.result);
  };
}

export async function unpackTable({ disk }: Input, work: string): Promise<Section> {
  const best = await openUnpacker();
  const plain = await openUnpacker({ withoutLibraries: true });
  const rival = await getRival(ZLIB_SYNC, work);
  const sync = zlibSync(rival);
  const rows: string[][] = [];
  const runs: (Turn & { codec: Codec })[] = [];
  for (const [codec, type] of [
    ['deflate', 'zlib'],
    ['zstd', 'zstd'],
  ] as const) {
    const image = join(work, `${codec}.qcow2`);
    execFileSync('qemu-img', ['convert', '-c', '-O', 'qcow2', '-o', `compression_type=${type}`, disk, image]);
    const native = codec === 'deflate' ? best.engines.deflate !== 'zlib' : best.engines.zstd === 'libzstd';
    const node = codec === 'deflate' ? 'node:zlib `inflateRawSync`' : 'node:zlib `zstdDecompressSync`';
    const ways = new Map<string, Unpack>();
    if (plain.engines[codec] !== undefined) ways.set(node, (_, stored, into) => plain.unpack(codec, stored, into));
    if (native) ways.set(`${best.engines[codec]} through koffi`, (_, stored, into) => best.unpack(codec, stored, into));
    if (codec === 'deflate' && sync !== undefined) ways.set(rival.title, sync);
    const turns = await unpackAll(image, ways);
    runs.push(...turns.map((turn) => ({ ...turn, codec })));
    const base = ways.has(node) ? node : ([...ways.keys()][0] ?? '');
    if (!ways.has(node)) rows.push([codec, node, '–', `this Node has none: the others are beside ${base}`]);
    for (const title of ways.keys()) {
      const remark = title === rival.title ? rival.remark : '';
      rows.push([codec, title, ratio(bestOf(turns, base) / bestOf(turns, title)), remark]);
    }
    if (codec === 'deflate' && sync === undefined) rows.push([codec, rival.title, '–', rival.remark]);
  }
  const caption =
    'Compressed clusters of a qcow2 of the disk, one thread; rate beside what Node brings, above 1 is faster.';
  const versions = { 'zlib-sync': ZLIB_SYNC.version, ...versionsOf(['libdeflate0', 'libzstd1', 'qemu-utils']) };
  return { name: 'unpack', caption, header: ['codec', '', 'rate', ''], rows, versions, runs };
}

async function unpackAll(image: string, ways: ReadonlyMap<string, Unpack>): Promise<Turn[]> {
  const turns: Turn[] = [];
  const into = new Uint8Array(LARGEST_CLUSTER);
  await using disk = await openDisk(image);
  const handle = await open(image);
  for (let round = 0; round < rounds(); round++) {
    const spent = new Map([...ways.keys()].map((title) => [title, 0]));
    for (let at = 0; at < disk.size; at += PART) {
      const clusters: [Cluster, Uint8Array][] = [];
      for (const extent of await disk.locate(at, Math.min(PART, disk.size - at))) {
        if (extent.kind !== 'compressed' || extent.skip > 0) continue;
        const stored = new Uint8Array(extent.storedLength);
        await handle.read(stored, 0, stored.length, extent.offset);
        clusters.push([extent, stored]);
      }
      for (const [title, unpack] of ways) {
        const start = performance.now();
        for (const [cluster, stored] of clusters) unpack(cluster, stored, into.subarray(0, cluster.unpackedLength));
        spent.set(title, (spent.get(title) ?? 0) + performance.now() - start);
      }
    }
    for (const [title, ms] of spent) turns.push({ title, ms });
  }
  await handle.close();
  return turns;
}
