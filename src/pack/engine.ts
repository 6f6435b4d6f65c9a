import { HostError, UsageError } from '../errors.ts';
import type { Codec, Engine, EngineName } from './codec.ts';

interface EngineRow {
  readonly codec: Codec;
  /** `chunk` is of use to gzip alone: the chunks of the other codecs follow from their levels. */
  readonly open: (level: number, chunk?: number) => Promise<Engine>;
  /** Why it cannot be opened, and what to do about it. */
  readonly lacks: string;
  readonly hint: string;
}

const KOFFI = 'and the npm package koffi';

// Each worker loads the modules of the engine it has, and of no other.
const gzip = () => import('./engine-gzip.ts');
const isal = () => import('./engine-isal.ts');
const bzip2 = () => import('./engine-bzip2.ts');
const xz = () => import('./engine-xz.ts');

/** The best engine of a codec comes first. ISA-L is behind zlib, which never lacks, and so is used where it is named only. */
const ENGINES: Readonly<Record<EngineName, EngineRow>> = {
  libdeflate: {
    codec: 'gzip',
    open: async (level, chunk) => (await gzip()).libdeflateEngine(level, chunk),
    lacks: 'the library or koffi cannot be loaded',
    hint: `Install libdeflate0 (Debian, Ubuntu) ${KOFFI}, or leave --engine out.`,
  },
  zlib: {
    codec: 'gzip',
    open: async (level, chunk) => (await gzip()).zlibEngine(level, chunk),
    lacks: 'Node has no zlib',
    hint: '',
  },
  isal: {
    codec: 'gzip',
    open: async (level, chunk) => (await isal()).isalEngine(level, chunk),
    lacks: 'the library or koffi cannot be loaded, or the host is not a 64-bit one',
    hint: `Install libisal2 (Debian, Ubuntu) or isa-l (Red Hat) ${KOFFI}, or leave --engine out.`,
  },
  libbz2: {
    codec: 'bzip2',
    open: async (level) => (await bzip2()).libbz2Engine(level),
    lacks: 'the library or koffi cannot be loaded',
    hint: `Install libbz2-1.0 (Debian, Ubuntu) or bzip2-libs (Red Hat) ${KOFFI}, or leave --engine out.`,
  },
  bzip2: {
    codec: 'bzip2',
    open: async (level) => (await bzip2()).bzip2Engine(level),
    lacks: 'the program does not run',
    hint: 'Install the package bzip2.',
  },
  liblzma: {
    codec: 'xz',
    open: async (level) => (await xz()).liblzmaEngine(level),
    lacks: 'the library or koffi cannot be loaded',
    hint: `Install liblzma5 (Debian, Ubuntu) or xz-libs (Red Hat) ${KOFFI}, or leave --engine out.`,
  },
  xz: {
    codec: 'xz',
    open: async (level) => (await xz()).xzEngine(level),
    lacks: 'the program of XZ Utils does not run',
    hint: 'Install xz-utils (Debian, Ubuntu) or xz (Red Hat).',
  },
};

export const ENGINE_NAMES = Object.keys(ENGINES) as EngineName[];

/** The codec whose members `engine` makes. */
export function codecOf(engine: EngineName): Codec {
  return ENGINES[engine].codec;
}

/**
 * Levels of a codec and the one where none is asked for. On a Debian root libdeflate's 5 is smaller than `pigz --best`
 * and takes a sixth less time than its 6, which is half a percent smaller still; its 4 is larger than `pigz -6`. 6 and 9
 * are what `xz` and `bzip2` take themselves.
 */
export const LEVELS: Readonly<
  Record<Codec, { readonly least: number; readonly most: number; readonly usual: number }>
> = {
  gzip: { least: 0, most: 12, usual: 5 },
  bzip2: { least: 1, most: 9, usual: 9 },
  xz: { least: 0, most: 9, usual: 6 },
};

/**
 * The engine asked for, or the best this host has. An engine of another codec than the one asked for counts as none.
 * @throws UsageError `engine.level`; HostError `engine.missing` when the engine asked for, or all of a codec, are not here
 */
export async function openEngine(
  options: {
    readonly codec?: Codec;
    readonly engine?: EngineName;
    readonly level?: number;
    /** Bytes of output in a gzip member; the other codecs have their own. */
    readonly chunk?: number;
  } = {},
): Promise<Engine> {
  const { codec = 'gzip', engine, chunk } = options;
  const { least, most, usual } = LEVELS[codec];
  const level = options.level ?? usual;
  if (!Number.isInteger(level) || level < least || level > most) {
    throw new UsageError('engine.level', `Cannot compress with ${codec} at level ${level}: there is no such level`, {
      hint: `Name a level from ${least} to ${most} with --level, or leave it out for ${usual}.`,
    });
  }
  if (engine !== undefined && codecOf(engine) === codec) {
    const { open, lacks, hint } = ENGINES[engine];
    try {
      return await open(level, chunk);
    } catch (cause) {
      throw new HostError('engine.missing', `Cannot compress with ${engine}: ${lacks}`, { hint, cause });
    }
  }
  const names = ENGINE_NAMES.filter((name) => codecOf(name) === codec);
  const causes: unknown[] = [];
  for (const name of names) {
    try {
      return await ENGINES[name].open(level, chunk);
    } catch (cause) {
      causes.push(cause);
    }
  }
  throw new HostError('engine.missing', `Cannot compress with ${codec}: neither ${names.join(' nor ')} is here`, {
    hint: ENGINES[names.at(-1) ?? 'zlib'].hint,
    cause: new AggregateError(causes, causes.map((cause) => (cause as Error).message).join('; ')),
  });
}
