/** Boot loaders of EFI: what stands on an EFI system partition, or in the directory a tree has for it. */
import { type FileTree, readContent } from '../filesystem/file-tree.ts';
import { type Machine, readPe } from '../formats/executable.ts';
import type { TreeFacts } from './tree-facts.ts';

/** A file of an EFI system partition. */
export interface EspFile {
  /** From its root, as it is spelled. */
  readonly path: string;
  readonly size: number;
  /** Of an EFI program. */
  readonly loader?: LoaderFacts;
}

export interface LoaderFacts {
  readonly machine: Machine | undefined;
  readonly signed: boolean;
  /** shim, which starts the GRUB beside it. */
  readonly isShim: boolean;
}

/** Files by their path in lower case, because FAT does not tell cases apart. */
export type Esp = ReadonlyMap<string, EspFile>;

const LOADER_LIMIT = 8 * 1024 * 1024;
/** What shim has in it, as UTF-16, and GRUB has not. */
const SHIM_STARTS = Buffer.from('grubx64.efi', 'utf16le');
const SHIM_STARTS_ARM = Buffer.from('grubaa64.efi', 'utf16le');

/** By firmware, the ending of loaders' names. */
export const EFI_NAMES: Readonly<Partial<Record<Machine, { readonly fallback: string; readonly suffix: string }>>> = {
  amd64: { fallback: 'efi/boot/bootx64.efi', suffix: 'x64' },
  arm64: { fallback: 'efi/boot/bootaa64.efi', suffix: 'aa64' },
};

export function loaderFacts(bytes: Uint8Array): LoaderFacts | undefined {
  const pe = readPe(bytes);
  if (pe === undefined) return undefined;
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return { ...pe, isShim: all.includes(SHIM_STARTS) || all.includes(SHIM_STARTS_ARM) };
}

/** What loaders read of the machine they are on: GRUB's menu and environment beside them, or where Azure Linux has its menu. */
export function isEspSetting(path: string): boolean {
  return /^(?:efi\/[^/]+\/(?:grub\.cfg|grubenv)|boot\/grub2\/grub\.cfg)$/i.test(path);
}

/** The files of an EFI system partition. */
export async function readEsp(fs: FileTree): Promise<Esp> {
  const files = new Map<string, EspFile>();
  for await (const { path: bytes, kind, data } of fs.entries()) {
    if (kind !== 'file' || data === undefined) continue;
    const path = Buffer.from(bytes).toString('utf8');
    const isLoader = /\.efi$/i.test(path) && data.size <= LOADER_LIMIT;
    const loader = isLoader ? loaderFacts(await readContent(data, LOADER_LIMIT)) : undefined;
    files.set(path.toLowerCase(), { path, size: data.size, ...(loader === undefined ? {} : { loader }) });
  }
  return files;
}

/** What a tree has below /boot/efi. */
export function treeEsp(tree: TreeFacts): Esp {
  const files = new Map<string, EspFile>();
  for (const [key, { kind, data }] of tree.entries) {
    if (!key.startsWith('boot/efi/') || kind !== 'file') continue;
    const path = key.slice('boot/efi/'.length);
    const bytes = /\.efi$/i.test(path) ? tree.bytes(key) : undefined;
    const loader = bytes === undefined ? undefined : loaderFacts(bytes);
    files.set(path.toLowerCase(), { path, size: data?.size ?? 0, ...(loader === undefined ? {} : { loader }) });
  }
  return files;
}

/** Directories below EFI that are a vendor's, as they are spelled. */
export function vendorFolders(esp: Esp): string[] {
  const names = [...esp.values()].map(({ path }) => /^efi\/([^/]+)\//i.exec(path)?.[1]);
  return [...new Set(names.filter((name) => name !== undefined && name.toLowerCase() !== 'boot'))] as string[];
}
