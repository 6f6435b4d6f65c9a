import type { Iso9660, IsoSource } from '../formats/iso9660-reader.ts';
import { archIn, type InstallerArch, type InstallerSystem, systemIn } from './installer-layouts.ts';
import { findOnIso } from './iso-files.ts';

/** What an installer's medium says it is. */
export interface InstallerIdentity {
  readonly system: InstallerSystem;
  /** Undefined where the medium does not name one. */
  readonly arch: InstallerArch | undefined;
  /** The vendor's own words: `Debian GNU/Linux 12.5.0 "Bookworm" - Official amd64 NETINST`. */
  readonly title: string;
  /** Where that stands: `.disk/info`, `.treeinfo`, `.discinfo`, `media.1/media`, or the volume's name. */
  readonly from: string;
  /** Kernel and initrd as .treeinfo names them, paths from the root. */
  readonly images: { readonly kernel: string; readonly initrd: string } | undefined;
}

/** More than any of these files has. */
const MOST_BYTES = 64 * 1024;

/** Whose installer is on the ISO; undefined when none of the marks compose knows is there. */
export async function identifyInstaller<S extends IsoSource>(iso: Iso9660<S>): Promise<InstallerIdentity | undefined> {
  const text = async (path: string): Promise<string | undefined> => {
    const entry = await findOnIso(iso, path);
    if (entry?.data === undefined || entry.data.size > MOST_BYTES) return undefined;
    const bytes = new Uint8Array(entry.data.size);
    for (const { logical, length, position } of entry.data.extents) {
      if (position + length > entry.data.source.size) return undefined;
      await entry.data.source.read(position, bytes.subarray(logical, logical + length));
    }
    return new TextDecoder().decode(bytes);
  };
  const disk = (await text('/.disk/info'))?.trim();
  if (disk !== undefined && systemIn(disk) !== undefined) return identity(disk, '.disk/info', undefined);
  const tree = await text('/.treeinfo');
  if (tree !== undefined) return fromTreeInfo(tree);
  const disc = (await text('/.discinfo'))?.split('\n').map((line) => line.trim());
  if (disc !== undefined) return identity(disc.slice(1, 3).join(' ').trim(), '.discinfo', 'rhel');
  const media = (await text('/media.1/media'))?.split('\n').map((line) => line.trim());
  if (media !== undefined) return identity(media.slice(0, 2).join(' ').trim(), 'media.1/media', 'suse');
  if (systemIn(iso.volumeId) !== undefined) return identity(iso.volumeId, 'volume name', undefined);
  return undefined;
}

function identity(title: string, from: string, fallback: InstallerSystem | undefined): InstallerIdentity | undefined {
  const system = systemIn(title) ?? fallback;
  return system === undefined ? undefined : { system, arch: archIn(title), title, from, images: undefined };
}

/** The `[general]` and `[images-ARCH]` sections (productmd, treeinfo-1.x); sections and keys match in any case. */
function fromTreeInfo(text: string): InstallerIdentity {
  const values = new Map<string, string>();
  let section = '';
  for (const line of text.split(/\r?\n/)) {
    const head = /^\s*\[([^\]]+)\]\s*$/.exec(line);
    const pair = /^\s*([^=#;\s][^=]*?)\s*=\s*(.*?)\s*$/.exec(line);
    if (head !== null) section = (head[1] ?? '').toLowerCase();
    else if (pair !== null) values.set(`${section}/${(pair[1] ?? '').toLowerCase()}`, pair[2] ?? '');
  }
  const arch = values.get('general/arch') ?? values.get('tree/arch') ?? '';
  const named = `${values.get('general/family') ?? ''} ${values.get('general/version') ?? ''}`.trim();
  const title = values.get('general/name') ?? (named === '' ? 'an installation tree' : named);
  const kernel = values.get(`images-${arch.toLowerCase()}/kernel`);
  const initrd = values.get(`images-${arch.toLowerCase()}/initrd`);
  return {
    system: systemIn(`${title} ${named}`) ?? 'rhel',
    arch: archIn(arch),
    title: archIn(title) === undefined && arch !== '' ? `${title} ${arch}` : title,
    from: '.treeinfo',
    images: kernel === undefined || initrd === undefined ? undefined : { kernel, initrd },
  };
}
