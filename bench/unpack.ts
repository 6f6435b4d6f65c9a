// Compares what can unpack the compressed clusters of a qcow2 image: node dist/bench/unpack.js IMAGE. Every cluster is
// read into memory first, a part of the image at a time, so that only unpacking is timed.
import { open } from 'node:fs/promises';
import type { StoredExtent } from '../src/disk/block-source.ts';
import { openDisk } from '../src/disk/open.ts';
import { openUnpacker } from '../src/disk/unpacker.ts';

type Cluster = Extract<StoredExtent, { kind: 'compressed' }>;
type Unpack = (cluster: Cluster, stored: Uint8Array, into: Uint8Array) => void;

/** zlib-sync, where it was installed for this: it needs a compiler and is no dependency. */
async function zlibSync(): Promise<Unpack | undefined> {
  const name = process.env.ZLIB_SYNC ?? 'zlib-sync';
  const module = await import(name).catch(() => undefined);
  if (module === undefined) return undefined;
  const { Inflate, Z_SYNC_FLUSH } = module.default;
  return (cluster, stored, into) => {
    const inflate = new Inflate({ windowBits: -15, chunkSize: cluster.unpackedLength });
    inflate.push(Buffer.from(stored.buffer, stored.byteOffset, stored.length), Z_SYNC_FLUSH);
    if (inflate.err < 0 || inflate.result.length !== into.length) throw new Error(`zlib-sync: ${inflate.msg}`);
    into.set(inflate.result);
  };
}

async function main(path: string): Promise<void> {
  await using disk = await openDisk(path);
  const best = await openUnpacker();
  const plain = await openUnpacker({ withoutLibraries: true });
  const ways = new Map<string, Unpack>([
    [
      `compose (${best.engines.deflate}, zstd by ${best.engines.zstd})`,
      ({ codec }, stored, into) => best.unpack(codec, stored, into),
    ],
  ]);
  const { codec } = (await disk.locate(0, disk.size)).find((each): each is Cluster => each.kind === 'compressed')!;
  if (codec === 'zstd' && plain.engines.zstd !== undefined) {
    ways.set('node:zlib zstdDecompressSync', (_, stored, into) => plain.unpack('zstd', stored, into));
  }
  if (codec === 'deflate') {
    ways.set('node:zlib inflateRawSync', (_, stored, into) => plain.unpack('deflate', stored, into));
    const sync = await zlibSync();
    if (sync !== undefined) ways.set('zlib-sync', sync);
  }
  const spent = new Map([...ways.keys()].map((name) => [name, 0]));
  const into = new Uint8Array(2 ** 21);
  let bytes = 0;
  const handle = await open(path);
  for (let at = 0; at < disk.size; at += 64 * 2 ** 20) {
    const extents = await disk.locate(at, Math.min(64 * 2 ** 20, disk.size - at));
    const clusters: [Cluster, Uint8Array][] = [];
    for (const extent of extents) {
      if (extent.kind !== 'compressed' || extent.skip > 0) continue;
      const stored = new Uint8Array(extent.storedLength);
      await handle.read(stored, 0, stored.length, extent.offset);
      clusters.push([extent, stored]);
      bytes += extent.unpackedLength;
    }
    for (const [name, unpack] of ways) {
      const start = performance.now();
      for (const [cluster, stored] of clusters) unpack(cluster, stored, into.subarray(0, cluster.unpackedLength));
      spent.set(name, spent.get(name)! + performance.now() - start);
    }
  }
  await handle.close();
  const slowest = Math.max(...spent.values());
  for (const [name, ms] of spent) {
    const rate = (bytes / 1e6 / (ms / 1000)).toFixed(0);
    console.log(`${name.padEnd(44)} ${rate.padStart(6)} MB/s of content, ${(slowest / ms).toFixed(2)} x the slowest`);
  }
}

await main(process.argv[2] ?? 'disk.qcow2');
