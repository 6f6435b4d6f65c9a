import type { DiskFormat } from '../disk/image-format.ts';
import type { Edit } from '../filesystem/file-tree.ts';
import type { EngineName } from './codec.ts';
import type { FileType } from './filetypes.ts';
import type { PackageRecord, SbomFormat } from './package-records.ts';
import type { Artifact, MaasEntry } from './records.ts';
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
  /** Worker threads. @default as many as the host runs at once */
  readonly workers?: number;
  /** Seconds since 1970; times in a tree after it are set back to it. @default SOURCE_DATE_EPOCH */
  readonly sourceDateEpoch?: number;
  /** What MAAS is told of the artifacts. */
  readonly maas?: Partial<MaasEntry>;
  /** Whether the packages of the sealed tree are listed in `<name>.packages.txt`. @default false */
  readonly packages?: boolean;
  /** Bills of materials of the sealed tree: `<name>.spdx.json`, `<name>.cdx.json`. @default none */
  readonly sbom?: readonly SbomFormat[];
  /** Whether everything in the sealed tree is listed in `<name>.files.jsonl`, with digests. @default false */
  readonly manifest?: boolean;
}

export interface PackResult {
  readonly artifacts: readonly Artifact[];
  /** What compressed them, one for each codec. */
  readonly engines: readonly { readonly name: EngineName; readonly version: string; readonly level: number }[];
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
}

/** How artifacts are made, whatever of. */
export type PackTuning = Pick<
  PackOptions,
  'engine' | 'level' | 'workers' | 'packages' | 'sbom' | 'manifest' | 'check' | 'freeBlocks'
>;

/** Of `options` those that say how artifacts are made, where they say it. */
export function packTuning(options: PackTuning): PackTuning {
  const { engine, level, workers, packages, sbom, manifest, check, freeBlocks } = options;
  const all = { engine, level, workers, packages, sbom, manifest, check, freeBlocks };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}
