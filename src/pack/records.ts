import { shellWord } from '../formats/shell-word.ts';
import type { Checked } from './check.ts';
import type { EngineName } from './codec.ts';
import type { FileType } from './filetypes.ts';
import type { Outcome } from './outcome.ts';

/** A finished file. Sizes are bytes. */
export interface Artifact {
  readonly file: string;
  readonly path: string;
  readonly filetype: FileType;
  readonly size: number;
  readonly sha256: string;
  readonly uncompressedSize: number;
  readonly engine?: EngineName;
  readonly engineVersion?: string;
  readonly level?: number;
  /** Bytes of output, before compression, in a member; the bytes depend on it. */
  readonly chunk?: number;
  /** Members of a tree's archive. */
  readonly entries?: number;
  /** SHA-256 of the tree's manifest, where one was written: equal for equal trees, however they were stored. */
  readonly treeDigest?: string;
  /** What the rules said of it before it was packed, where they were asked. */
  readonly verified?: Verified;
  /** What was read back and found equal to the disk. */
  readonly checked?: Checked;
}

/** The outcome of verify, for the record. */
export interface Verified {
  /** Releases of MAAS it was judged for. */
  readonly targets: readonly string[];
  /** Rules that warned. */
  readonly warnings: readonly string[];
  /** Rules that failed and were let pass, each with its reason. */
  readonly allowed: readonly { readonly rule: string; readonly reason: string }[];
}

export const USUAL_ARCHITECTURE = 'amd64/generic';

/** What MAAS is told on upload (maasserver/forms, BootResourceForm). */
export interface MaasEntry {
  readonly name: string;
  readonly title: string;
  /** `<arch>/<subarch>`. */
  readonly architecture: string;
  /** `<os>/<series>`: decides the environment that unpacks the image. */
  readonly base_image: string;
  /** Account that cloud-init makes at the first boot. */
  readonly user?: string | undefined;
  /** Oldest versions that deploy it. */
  readonly minimum_maas?: string | undefined;
  readonly minimum_curtin?: string | undefined;
  readonly maturity?: 'alpha' | 'beta' | 'stable' | 'eol' | undefined;
  /** Text of the region's `curtin_userdata` file for this image, where MAAS needs one. */
  readonly preseed?: string | undefined;
}

/** Writes `<artifact>.maas.json` for each artifact; they get their names with it. */
export async function writeRecords(
  outcome: Outcome,
  artifacts: readonly Artifact[],
  maas: Partial<MaasEntry> & { readonly name: string },
): Promise<void> {
  for (const { path, ...artifact } of artifacts) {
    const record = {
      ...artifact,
      ...maas,
      architecture: maas.architecture ?? USUAL_ARCHITECTURE,
      title: maas.title ?? maas.name,
      base_image: maas.base_image ?? '',
      uploadCommand: uploadCommand({ ...artifact, path }, maas),
    };
    await outcome.write(`${path}.maas.json`, `${JSON.stringify(record, null, 2)}\n`);
  }
}

/** The MAAS command line that uploads an artifact; `$PROFILE` is the operator's login. */
export function uploadCommand(
  artifact: Pick<Artifact, 'path' | 'filetype' | 'sha256' | 'size'>,
  maas: Partial<MaasEntry> & { readonly name: string },
): string {
  const fields = {
    name: maas.name,
    title: maas.title ?? maas.name,
    architecture: maas.architecture ?? USUAL_ARCHITECTURE,
    filetype: artifact.filetype,
    ...(maas.base_image ? { base_image: maas.base_image } : {}),
    sha256: artifact.sha256,
    size: String(artifact.size),
  };
  const settings = Object.entries(fields).map(([key, value]) => shellWord(`${key}=${value}`));
  return `maas $PROFILE boot-resources create ${settings.join(' ')} content@=${shellWord(artifact.path)}`;
}
