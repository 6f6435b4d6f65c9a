import type { BlockSource } from '../disk/block-source.ts';
import { byMagic } from './probe-magic.ts';
import { probeVfat } from './probe-vfat.ts';
import { type FileSystemProbe, Window } from './probe-window.ts';
import { probeBtrfs, probeExt, probeIso9660, probeLuks, probeLvm, probeNtfs, probeSwap, probeXfs } from './probes.ts';

export type { FileSystemProbe } from './probe-window.ts';

/** In the order libblkid tries them: containers and encryption before what might lie under them as a leftover. */
const PROBES = [
  probeLvm,
  probeLuks,
  probeVfat,
  probeSwap,
  probeXfs,
  probeExt,
  probeBtrfs,
  probeIso9660,
  probeNtfs,
  byMagic,
];

/**
 * What `source` holds, by its magic numbers, with `kind` and `uuid` as blkid prints them; undefined when it is nothing
 * known here. Nothing but the numbers is checked: opening it may still find damage.
 */
export async function probeFileSystem(source: BlockSource): Promise<FileSystemProbe | undefined> {
  const window = new Window(source);
  for (const probe of PROBES) {
    const found = await probe(window);
    if (found !== undefined) return found;
  }
  return undefined;
}
