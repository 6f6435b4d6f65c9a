import type { DiskFormat } from '../disk/image-format.ts';
import { UsageError } from '../errors.ts';
import type { Edit } from '../filesystem/file-tree.ts';
import type { VerifyReport } from '../verify/judge.ts';
import type { VerifySettings } from '../verify/settings.ts';
import type { Codec, Effort, EngineName } from './codec.ts';
import type { FileType } from './filetypes.ts';
import type { PackageRecord } from './package-records.ts';
import type { Artifact, MaasEntry } from './records.ts';
import type { SbomFormat } from './sbom-formats.ts';
import type { TreeManifest } from './tree-manifest.ts';

export interface PackOptions {
  /** Path of the disk image. */
  readonly disk: string;
  /** Format of the image; found by its magic where it is not given. */
  readonly format?: DiskFormat;
  /** Folder for the artifacts; made where it does not exist. */
  readonly out: string;
  /** Base name of the artifacts. */
  readonly name: string;
  readonly filetypes: readonly FileType[];
  /** Whether identity, keys, state and logs are taken out. @default true */
  readonly seal?: boolean;
  /** Ids of hygiene whose edits the seal leaves out: src/verify/hygiene.ts. @default none */
  readonly keep?: readonly string[] | undefined;
  /** Account the build logged in with. */
  readonly user?: string;
  /** Edits beside those of the seal. */
  readonly edits?: readonly Edit[];
  /** What compresses the outputs of its codec. @default the best one here, for each codec */
  readonly engine?: EngineName;
  /** 0 to 12 for gzip (zlib: 9), 0 to 9 for xz, 1 to 9 for bzip2. @default 5; 6 for xz, 9 for bzip2 */
  readonly level?: number;
  /**
   * What becomes of blocks that no file uses: zeros, so that a guest that was never trimmed packs as small as one that
   * was, or what they hold. Of disks only; trees have none. @default zero
   */
  readonly freeBlocks?: 'zero' | 'keep';
  /** Whether each artifact is read back and compared with the disk before it gets its name. @default false */
  readonly check?: boolean;
  /** Levels of the codecs where neither `level` nor `effort` tells one, and of the best engine here only. */
  readonly levels?: Partial<Readonly<Record<Codec, number>>>;
  /** The quickest or the smallest that is still of use, of each codec; not together with `level`. @default neither */
  readonly effort?: Effort;
  /**
   * Bytes of output in a member of gzip: 256 KiB to 16 MiB in steps of 64 KiB. The bytes of the artifact depend on it.
   * @default 1 MiB
   */
  readonly chunk?: number;
  /** Chunks in flight for each worker, 2 to 16. The bytes do not depend on it. @default 4 */
  readonly window?: number;
  /** Worker threads. @default as many as the host runs at once */
  readonly workers?: number;
  /** Seconds since 1970; times in a tree after it are set back to it. @default SOURCE_DATE_EPOCH */
  readonly sourceDateEpoch?: number;
  /** What MAAS is told of the artifacts. Without an architecture it is that of the root's programs. */
  readonly maas?: Partial<MaasEntry>;
  /** Whether the packages of the sealed tree are listed in `<name>.packages.txt`. @default false */
  readonly packages?: boolean;
  /** Bills of materials of the sealed tree: `<name>.spdx.json`, `<name>.cdx.json`. @default none */
  readonly sbom?: readonly SbomFormat[];
  /** Whether everything in the sealed tree is listed in `<name>.files.jsonl`, with digests. @default false */
  readonly manifest?: boolean;
  /**
   * What is packed is held against what MAAS and curtin will do with it, and searched for what must not ship, before anything
   * is compressed; what fails is not packed. Rules of the hygiene table that are off are not sealed either. @default none
   */
  readonly verify?: VerifySettings | undefined;
}

export interface PackResult {
  readonly artifacts: readonly Artifact[];
  /** In the records: `<arch>/<subarch>`, that of the root's programs where nothing was said of it. */
  readonly architecture: string;
  /** What compressed them, one for each codec. */
  readonly engines: readonly {
    readonly name: EngineName;
    readonly version: string;
    readonly level: number;
    readonly chunk: number;
  }[];
  /** What the bytes do not depend on: threads that compressed, and chunks in flight for each. */
  readonly pipeline: { readonly workers: number; readonly window: number };
  /** What the seal took out, for the record. */
  readonly sealed: readonly string[];
  /** What the tree leaves out, and why. */
  readonly notes: readonly string[];
  /** SHA256SUMS beside the artifacts. */
  readonly sums: string;
  /** The lists of packages that were asked for. */
  readonly lists: readonly PackageRecord[];
  /** What is in the tree, where that was asked for. */
  readonly treeManifest?: TreeManifest;
  /** The reports of the artifacts, in their order, where that was asked for. */
  readonly verified?: readonly VerifyReport[];
}

/** Names of the options that say how artifacts are made, whatever of. */
const TUNING = [
  'engine',
  'level',
  'levels',
  'effort',
  'chunk',
  'window',
  'workers',
  'packages',
  'sbom',
  'manifest',
  'check',
  'freeBlocks',
  'verify',
  'keep',
] as const;

/** How artifacts are made, whatever of. */
export type PackTuning = Pick<PackOptions, (typeof TUNING)[number]>;

/** Of `options` those that say how artifacts are made, where they say it. */
export function packTuning(options: PackTuning): PackTuning {
  return Object.fromEntries(TUNING.filter((name) => options[name] !== undefined).map((name) => [name, options[name]]));
}

/** Bounds of `chunk`, bytes, and of `window`, chunks. */
export const CHUNK_BOUNDS = { least: 256 * 1024, most: 16 * 1024 * 1024, step: 64 * 1024 } as const;
export const WINDOW_BOUNDS = { least: 2, most: 16 } as const;
/** Beyond this threads cost more than they bring. */
export const MOST_WORKERS = 1024;

/**
 * Finds out before any work what of `options` cannot be.
 * @throws UsageError `pack.chunk`, `pack.window`, `pack.workers`, `pack.effort`
 */
export function checkTuning(options: PackTuning): void {
  const { chunk, window, workers, effort, level } = options;
  if (chunk !== undefined && !isChunk(chunk)) {
    throw new UsageError('pack.chunk', `Cannot make members of ${chunk} bytes: there is no such chunk`, {
      hint: 'A chunk is 256K to 16M, a multiple of 64K; leave it out for 1M.',
    });
  }
  if (window !== undefined && !isWindow(window)) {
    throw new UsageError('pack.window', `Cannot keep ${window} chunks in flight for each worker: it is not 2 to 16`, {
      hint: 'Leave --window out for 4.',
    });
  }
  if (workers !== undefined && !isWorkers(workers)) {
    throw new UsageError('pack.workers', `Cannot start ${workers} workers: it is not 1 to ${MOST_WORKERS}`, {
      hint: 'Leave --workers out for as many as the host runs at once.',
    });
  }
  if (effort !== undefined && level !== undefined) {
    throw new UsageError('pack.effort', `Cannot pack with --${effort} and --level ${level}: both tell the level`, {
      hint: 'Leave one of them out.',
    });
  }
}

export const isChunk = (value: number): boolean =>
  Number.isInteger(value) &&
  value >= CHUNK_BOUNDS.least &&
  value <= CHUNK_BOUNDS.most &&
  value % CHUNK_BOUNDS.step === 0;

export const isWindow = (value: number): boolean =>
  Number.isInteger(value) && value >= WINDOW_BOUNDS.least && value <= WINDOW_BOUNDS.most;

export const isWorkers = (value: number): boolean => Number.isInteger(value) && value >= 1 && value <= MOST_WORKERS;
