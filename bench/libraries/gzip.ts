/** `libraries gzip`: the engines of gzip at their levels. `libraries koffi`: what a call through koffi costs. */
import zlib from 'node:zlib';
import { openUnpacker } from '../../src/disk/unpacker.ts';
import { LIBDEFLATE, loadNativeLibrary } from '../../src/host/native-library.ts';
import type { EngineName } from '../../src/pack/codec.ts';
import { openEngine } from '../../src/pack/engine.ts';
import { GZIP_CHUNK } from '../../src/pack/engine-gzip.ts';
import { versionsOf } from '../versions.ts';
import { contest, ofEngine } from './contest.ts';
import { type Input, spread } from './input.ts';
import { percent, type Section } from './section.ts';
import { rounds, timed } from './turns.ts';

const CHUNKS = 96;
const BASE = { engine: 'zlib', level: 6 } as const;
const LEVELS: readonly (readonly [EngineName, readonly number[]])[] = [
  ['zlib', [1, 9]],
  ['libdeflate', [1, 5, 6, 9, 12]],
  ['isal', [0, 1, 2, 3]],
];
/** A cluster of a qcow2 image. */
const CLUSTER = 64 * 1024;
const CALLS = 20_000;

function versions(): Record<string, string> {
  return { zlib: process.versions.zlib, ...versionsOf(['libdeflate0', 'libisal2']) };
}

export async function gzipTable({ bytes }: Input): Promise<Section> {
  const wanted = [BASE, ...LEVELS.flatMap(([engine, levels]) => levels.map((level) => ({ engine, level })))];
  const engines = await Promise.all(wanted.map((one) => openEngine({ codec: 'gzip', ...one })));
  const caption = `Beside node:zlib -6, above 1 is faster; members of ${GZIP_CHUNK / 2 ** 20} MiB of a Debian root, one thread.`;
  const chunks = spread(bytes, GZIP_CHUNK, CHUNKS);
  const told = await contest(
    'gzip',
    caption,
    engines.map((engine) => ofEngine(engine)),
    chunks,
    'gzip',
  );
  for (const engine of engines) engine.close();
  return { ...told, versions: versions() };
}

/** Calls that have next to nothing to do, beside the work of a call. */
export async function koffiTable({ bytes }: Input): Promise<Section> {
  const { library } = await loadNativeLibrary(LIBDEFLATE);
  const crc = library.func('uint32_t libdeflate_crc32(uint32_t crc, void *bytes, size_t length)');
  const engine = await openEngine({ codec: 'gzip', engine: 'libdeflate', level: 5 });
  const unpacker = await openUnpacker();
  const [chunk = Buffer.alloc(0)] = spread(bytes, GZIP_CHUNK, 1).slice(-1);
  const cluster = zlib.deflateRawSync(chunk.subarray(0, CLUSTER));
  const into = new Uint8Array(CLUSTER);
  const none = Buffer.alloc(0);
  const noDeflate = zlib.deflateRawSync(none);
  const ways = new Map<string, readonly [number, () => unknown]>([
    ['chunk', [30, () => engine.member([chunk], chunk.length)]],
    ['cluster', [2000, () => unpacker.unpack('deflate', cluster, into)]],
    ['koffi: CRC-32 of no bytes', [CALLS, () => crc(0, chunk, 0)]],
    ['node:zlib: `gzipSync` of no bytes', [CALLS / 10, () => zlib.gzipSync(none)]],
    ['node:zlib: `inflateRawSync` of no bytes', [CALLS / 10, () => zlib.inflateRawSync(noDeflate)]],
  ]);
  const runs: { title: string; round: number; calls: number; ms: number }[] = [];
  for (let round = 0; round < rounds(); round++) {
    for (const [title, [calls, call]] of ways) {
      const { ms } = await timed(() => {
        for (let done = 0; done < calls; done++) call();
      });
      runs.push({ title, round, calls, ms });
    }
  }
  engine.close();
  const each = (title: string): number =>
    Math.min(...runs.filter((run) => run.title === title).map(({ ms, calls }) => ms / calls));
  const rows = [...ways.keys()]
    .slice(2)
    .map((title) => [title, percent(each(title) / each('chunk')), percent(each(title) / each('cluster'))]);
  const header = [
    'a call',
    'beside a chunk of 1 MiB, libdeflate -5',
    'beside a cluster of 64 KiB, unpacked by libdeflate',
  ];
  const caption = 'Share of the time of real work that a call takes before it does any.';
  return { name: 'koffi', caption, header, rows, versions: versions(), runs };
}
