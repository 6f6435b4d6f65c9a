/** `libraries xz` and `libraries bzip2`: the system's libraries through koffi, the programs as filters, packages of npm. */
import type { Codec, EngineName } from '../../src/pack/codec.ts';
import { openEngine } from '../../src/pack/engine.ts';
import { versionsOf } from '../versions.ts';
import { type Contender, contest, ofEngine } from './contest.ts';
import { type Input, spread } from './input.ts';
import { getRival, type Rival, type Wanted } from './rival.ts';
import type { Section } from './section.ts';

type Compress = (chunk: Buffer) => Uint8Array | Promise<Uint8Array>;

interface Package extends Wanted {
  // biome-ignore lint/suspicious/noExplicitAny: see Rival.
  readonly use?: (module: any) => Compress | Promise<Compress>;
  readonly most?: number;
  readonly remark?: string;
}

const XZ_LEVEL = 6;
const XZ_PACKAGES: readonly Package[] = [
  {
    name: 'lzma-native',
    version: '8.0.6',
    use: ({ default: lzma }) => {
      const options = { preset: XZ_LEVEL, threads: 1 };
      return (chunk) => new Promise((done) => lzma.compress(chunk, options, done));
    },
    remark: 'own copy of liblzma 5.2.3',
  },
  {
    name: 'node-liblzma',
    version: '5.1.3',
    use: (lzma) => (chunk) => lzma.xzAsync(chunk, { preset: XZ_LEVEL, threads: 1 }),
    remark: 'LGPL-3.0',
  },
  {
    name: 'node-liblzma',
    version: '5.1.3',
    entry: 'node-liblzma/wasm',
    label: ', WebAssembly',
    use: async (lzma) => {
      await lzma.initModule();
      return (chunk) => lzma.xzAsync(chunk, { preset: XZ_LEVEL });
    },
    remark: 'LGPL-3.0',
  },
  {
    name: '@napi-rs/lzma',
    version: '1.5.3',
    use:
      ({ xz }) =>
      (chunk) =>
        xz.compressSync(chunk),
  },
  {
    name: '@napi-rs/lzma',
    version: '1.4.5',
    entry: '@napi-rs/lzma/xz',
    use: (xz) => (chunk) => xz.compressSync(chunk),
  },
  {
    name: 'lzma',
    version: '2.3.2',
    most: 1,
    use:
      ({ default: lzma }) =>
      (chunk) =>
        Uint8Array.from(lzma.compress(chunk, XZ_LEVEL)),
    remark: 'JavaScript; writes .lzma without a checksum, not .xz',
  },
  { name: 'xz-compat', version: '1.2.10', remark: 'has no encoder' },
];

const BZIP2_LEVEL = 9;
const BZIP2_PACKAGES: readonly Package[] = [
  {
    name: 'bzip2-wasm',
    version: '1.0.1',
    use: async ({ default: exported }) => {
      const bzip2 = new (exported.default ?? exported)();
      await bzip2.init();
      return (chunk) => bzip2.compress(chunk, BZIP2_LEVEL, Math.ceil(chunk.length * 1.01) + 600);
    },
    remark: 'WebAssembly of libbz2',
  },
  {
    name: 'node-bzip2',
    version: '1.0.2',
    use:
      ({ default: bzip2 }) =>
      (chunk) =>
        bzip2.compress(chunk, { level: BZIP2_LEVEL }),
  },
  {
    name: 'compressjs',
    version: '1.0.3',
    most: 4,
    use:
      ({ default: { Bzip2 } }) =>
      (chunk) =>
        Bzip2.compressFile(chunk, undefined, BZIP2_LEVEL),
    remark: 'JavaScript; GPL',
  },
  { name: 'seek-bzip', version: '2.0.0', remark: 'has no encoder' },
];

export const xzTable = (input: Input, work: string): Promise<Section> => {
  const caption = `Beside liblzma -${XZ_LEVEL} through koffi, above 1 is faster; blocks of 12 MiB of a Debian root, one thread. liblzma and xz have a dictionary of 3 MiB, as compose calls them; the packages have the 8 MiB of the preset.`;
  return table('xz', XZ_LEVEL, ['liblzma', 'xz'], 6, XZ_PACKAGES, caption, input, work);
};

export const bzip2Table = (input: Input, work: string): Promise<Section> => {
  const caption = `Beside libbz2 -${BZIP2_LEVEL} through koffi, above 1 is faster; streams of one block of a Debian root, one thread.`;
  return table('bzip2', BZIP2_LEVEL, ['libbz2', 'bzip2'], 32, BZIP2_PACKAGES, caption, input, work);
};

async function table(
  codec: Exclude<Codec, 'gzip'>,
  level: number,
  own: readonly [EngineName, EngineName],
  count: number,
  packages: readonly Package[],
  caption: string,
  { bytes }: Input,
  work: string,
): Promise<Section> {
  const [library, program] = await Promise.all(own.map((engine) => openEngine({ codec, engine, level })));
  if (library === undefined || program === undefined) throw new Error(`no engine for ${codec}`);
  const rivals: Contender[] = [];
  for (const one of packages) rivals.push(await asContender(one, work));
  const contenders = [ofEngine(library), ofEngine(program, 'the program, started for each'), ...rivals];
  const told = await contest(codec, caption, contenders, spread(bytes, library.chunk, count), program.name);
  for (const engine of [library, program]) engine.close();
  const installed = versionsOf(codec === 'xz' ? ['liblzma5', 'xz-utils'] : ['libbz2-1.0', 'bzip2']);
  const named = Object.fromEntries(packages.map(({ name, entry = name, version }) => [entry, version]));
  return { ...told, versions: { ...installed, ...named } };
}

async function asContender(one: Package, work: string): Promise<Contender> {
  const { title, module, remark } = await loaded(one, work);
  const told = [one.remark ?? '', remark].filter((text) => text !== '').join('; ');
  if (module === undefined || one.use === undefined) return { title, remark: told };
  const compress = await one.use(module);
  return { title, compress, remark: told, ...(one.most === undefined ? {} : { most: one.most }) };
}

/** One without an encoder needs no installing. */
async function loaded(one: Package, work: string): Promise<Rival> {
  if (one.use === undefined) return { title: `${one.name} ${one.version}`, remark: '' };
  return getRival(one, work);
}
