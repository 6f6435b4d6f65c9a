import { basename, resolve } from 'node:path';
import type { Argv } from 'yargs';
import { keepHeapSmall, keepNewSpaceSmall } from '../../host/small-heap.ts';
import { keepMallocSmall } from '../../host/small-malloc.ts';
import { FILE_TYPES, parseFileTypes } from '../../pack/filetypes.ts';
import { checkTuning } from '../../pack/pack-options.ts';
import type { MaasEntry } from '../../pack/records.ts';
import { Threads } from '../../pack/threads.ts';
import { checkArchitecture, checkBaseImage } from '../../recipe/maas-rules.ts';
import { artifactText } from '../artifact-text.ts';
import type { GlobalOptions, Verb } from '../command.ts';
import { type DiskFormatFlag, diskFormatFlag } from '../disk-format-flag.ts';
import { type PackFlags, packFlags, packSettings } from '../pack-flags.ts';

type Flags = PackFlags &
  DiskFormatFlag & {
    disk: string;
    format: string[] | undefined;
    out: string;
    name: string | undefined;
    seal: boolean;
    title: string | undefined;
    'base-image': string | undefined;
    architecture: string | undefined;
    verify: boolean;
  };

export const packVerb: Verb<Flags> = {
  command: 'pack <disk>',
  describe: 'turn a disk image into the artifacts MAAS deploys',
  examples: [
    ['pack disk.qcow2 --format tgz,ddgz --out images', 'both kinds from one disk'],
    ['pack disk.raw --format tgz --no-seal --out images', 'the tree exactly as it is'],
    ['pack disk.raw --format tgz --packages --sbom spdx,cyclonedx', 'with lists of its packages'],
  ],
  options: (yargs) =>
    packFlags(yargs)
      .positional('disk', {
        type: 'string',
        demandOption: true,
        describe: 'an image: raw, qcow2, VMDK, VHDX, VHD or VDI',
      })
      .options({
        format: {
          type: 'string',
          array: true,
          nargs: 1,
          // No default: yargs would take it in place of a value that is missing.
          describe: 'MAAS filetypes, comma-separated; tgz by default',
        },
        ...diskFormatFlag,
        out: { type: 'string', default: 'images', describe: 'folder for the artifacts' },
        name: { type: 'string', describe: "base name of the artifacts; the disk's by default" },
        seal: { type: 'boolean', default: true, describe: 'take out identity, keys, state and logs' },
        title: { type: 'string', describe: 'title in MAAS' },
        'base-image': { type: 'string', describe: 'base_image in MAAS, such as ubuntu/noble' },
        architecture: { type: 'string', describe: 'architecture in MAAS; that of the programs on the disk by default' },
        verify: { type: 'boolean', default: false, describe: 'hold it against the rules of compose verify first' },
      }) as unknown as Argv<Flags & GlobalOptions>,
  run: async (flags, context) => {
    const name = flags.name ?? basename(flags.disk).replace(/\.(qcow2|raw|img|vmdk|vhdx|vhd|vpc|vdi)$/i, '');
    const maas: Partial<MaasEntry> & { readonly name: string } = {
      name,
      ...(flags.title === undefined ? {} : { title: flags.title }),
      ...(flags['base-image'] === undefined ? {} : { base_image: flags['base-image'] }),
      ...(flags.architecture === undefined ? {} : { architecture: flags.architecture }),
    };
    if (maas.base_image !== undefined) checkBaseImage(maas.base_image);
    if (maas.architecture !== undefined) checkArchitecture(maas.architecture);
    const filetypes = parseFileTypes(flags.format ?? ['tgz']);
    const format = flags['disk-format'] === undefined ? {} : { format: flags['disk-format'] };
    const options = { disk: flags.disk, ...format, out: resolve(flags.out), name, filetypes, seal: flags.seal, maas };
    const { verify, ...settings } = await packSettings(flags, context);
    checkTuning(settings);
    const { packages, sbom, manifest } = settings;
    // One output of gzip is far from the bound, and a hundredth faster with the heap that the engine likes.
    const quick = filetypes.every((type) => ['gzip', 'none'].includes(FILE_TYPES[type].compression));
    const small = filetypes.length > 1 || packages || manifest || (sbom ?? []).length > 0 || !quick;
    if (small) keepHeapSmall();
    else keepNewSpaceSmall();
    // They start while the modules of packing are loaded.
    await using threads = Threads.start(settings.workers);
    if (small) await keepMallocSmall();
    const { packOn } = await loadPack();
    const result = await packOn(threads, { ...options, ...settings, ...(flags.verify && { verify }) }, context);
    return { data: result, text: artifactText(result, maas) };
  },
};

/** Not in the function that has `await using`: TypeScript 6.0 leaves the names of modules there as they are in the sources. */
const loadPack = () => import('../../pack/pack.ts');
