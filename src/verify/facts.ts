import type { Machine } from '../formats/executable.ts';
import type { FileType } from '../pack/filetypes.ts';
import type { MaasEntry } from '../pack/records.ts';
import type { DiskFacts } from './disk-facts.ts';
import type { TarFacts } from './tar-facts.ts';
import type { TreeFacts } from './tree-facts.ts';

/** Everything the rules judge by. It is collected first, in one reading; a rule reads nothing itself. */
export interface Facts {
  readonly artifact: ArtifactFacts;
  /** The root tree of a Linux, in a tar or on a disk. */
  readonly tree?: TreeFacts | undefined;
  /** Of a tree's archive. */
  readonly tar?: TarFacts | undefined;
  readonly disk?: DiskFacts | undefined;
}

export interface ArtifactFacts {
  readonly file: string;
  /** As declared, or else as the content says. */
  readonly filetype: FileType | undefined;
  /** What was declared, whatever it is. */
  readonly declared: string | undefined;
  /** How the bytes are compressed; undefined where nothing is known to be so. */
  readonly compression: Compression | undefined;
  /** Whether the bytes, decompressed, are a tar. */
  readonly isTar: boolean | undefined;
  /** What the content is instead, such as a qcow2 image. */
  readonly container: string | undefined;
  /** Bytes of the file; undefined while it is not written yet. */
  readonly size: number | undefined;
  readonly sha256: string | undefined;
  /** What the record beside it says of it. */
  readonly record: { readonly size?: number; readonly sha256?: string } | undefined;
  /** Why it was not read to its end. */
  readonly damage: string | undefined;
  /** Why nothing here reads it, which says nothing against it. */
  readonly unread: string | undefined;
  /** What MAAS is told. */
  readonly maas: Partial<MaasEntry>;
  /** Machine of `maas.architecture`. */
  readonly machine: Machine | undefined;
  readonly wants: Wants;
}

export type Compression = 'gzip' | 'bzip2' | 'xz' | 'none' | 'zstd' | 'lz4';

/** What the artifact is judged for. */
export interface Wants {
  /** Releases of MAAS it has to work with, such as `3.5`, oldest first. */
  readonly versions: readonly string[];
  /** Bytes of the smallest disk it is deployed on. */
  readonly targetDisk: number;
  /** Account the build logged in with. */
  readonly user: string | undefined;
  /** Texts that may not be in it: the host it was built on, its addresses, its proxy. */
  readonly forbidden: readonly string[];
}

/** Releases of MAAS whose rules are known. */
export const MAAS_VERSIONS = ['3.3', '3.4', '3.5', '3.6', '3.7', '3.8'] as const;

/** The system in a MAAS name: `rhel` of `rhel/9`; `custom` for a bare word. */
export function systemOf(name: string | undefined): string {
  return name?.includes('/') ? (name.split('/')[0] ?? 'custom') : 'custom';
}

/** Whether what is deployed is a Linux with cloud-init and curtin's steps; Windows, ESXi and Ubuntu Core are not. */
export function isLinux({ artifact }: Facts): boolean {
  return !['windows', 'esxi', 'ubuntu-core', 'onie'].includes(systemOf(artifact.maas.name));
}

/** Whether curtin's own steps run: the image brings none. */
export function usesBuiltIn({ tree }: Facts): boolean {
  return tree !== undefined && tree.node('curtin/curtin-hooks') === undefined;
}
