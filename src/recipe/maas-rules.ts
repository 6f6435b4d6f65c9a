import { RecipeError } from '../errors.ts';
import { FILE_TYPES, type FileType } from '../pack/filetypes.ts';
import type { MaasEntry } from '../pack/records.ts';

/** Names MAAS keeps for itself (maasserver/forms, BootResourceForm.clean_name). */
const OPERATING_SYSTEMS: readonly string[] = [
  'ubuntu',
  'ubuntu-core',
  'bootloader',
  'centos',
  'rhel',
  'custom',
  'windows',
  'suse',
  'esxi',
  'ol',
];
/** Systems whose images MAAS takes as trees alone, and as disks alone (maascommon/osystem, get_image_filetypes). */
const TREES_ONLY = ['ubuntu', 'centos', 'rhel', 'ol', 'suse'];
const DISKS_ONLY = ['windows', 'esxi', 'ubuntu-core'];
/** Systems a base_image may name. */
export const BASES: readonly string[] = ['ubuntu', 'centos', 'rhel', 'ol'];

/** `arch/subarch`. */
export const ARCHITECTURE = /^[a-z0-9]+\/[a-z0-9-]+$/;

/** Why MAAS takes no image of that name, if so. What the streams of a site reserve, only that site knows. */
export function nameProblem(name: string): string | undefined {
  const parts = name.split('/');
  if (parts.length > 2) return 'it has more than one slash';
  if (parts.some((part) => part === '')) return 'a part of it is empty';
  if (/\s/.test(name)) return 'it has white space';
  if (parts.length === 2) {
    return OPERATING_SYSTEMS.includes(parts[0] ?? '') ? undefined : `"${parts[0]}" is no system MAAS knows`;
  }
  if (OPERATING_SYSTEMS.includes(name)) return 'MAAS keeps that word for itself';
  return /^centos\d\d?$/.test(name) ? 'MAAS keeps centos followed by digits for itself' : undefined;
}

/** What MAAS deploys images of a system from, where that is not both. */
export function onlyContent(system: string): 'tree' | 'disk' | undefined {
  return TREES_ONLY.includes(system) ? 'tree' : DISKS_ONLY.includes(system) ? 'disk' : undefined;
}

/**
 * Refuses what MAAS would refuse on upload, or take and then fail on.
 * @throws RecipeError `maas.name`, `maas.base-image`, `maas.architecture`, `maas.filetype`
 */
export function checkMaas(maas: MaasEntry, recipe: string, filetypes: readonly FileType[] = []): MaasEntry {
  const why = nameProblem(maas.name);
  if (why !== undefined) {
    throw new RecipeError('maas.name', `Cannot name ${recipe} "${maas.name}" in MAAS: ${why}`, {
      hint: 'A bare word such as web-node is a custom image on every version of MAAS.',
    });
  }
  const parts = maas.name.split('/');
  if (parts.length === 2) checkContent(parts[0] ?? '', maas.name, filetypes);
  checkBaseImage(maas.base_image);
  checkArchitecture(maas.architecture);
  return maas;
}

/** @throws RecipeError `maas.base-image` */
export function checkBaseImage(image: string): void {
  const [system, series] = image.split('/');
  if (!BASES.includes(system ?? '') || !series) {
    throw new RecipeError(
      'maas.base-image',
      `Cannot use base_image "${image}": MAAS takes os/series of ${BASES.join(', ')}`,
      {
        hint: 'For a Linux that is none of these: rhel/9, or ubuntu/noble where netplan is in the image, which MAAS asks of it.',
      },
    );
  }
  if (system === 'ubuntu' && !/^[a-z]+$/.test(series)) {
    throw new RecipeError(
      'maas.base-image',
      `Cannot use base_image "${image}": MAAS knows releases of Ubuntu by codename`,
      { hint: 'ubuntu/jammy is 22.04, ubuntu/noble is 24.04.' },
    );
  }
}

/** @throws RecipeError `maas.architecture` */
export function checkArchitecture(architecture: string): void {
  if (!ARCHITECTURE.test(architecture)) {
    throw new RecipeError('maas.architecture', `Cannot use architecture "${architecture}": it is not arch/subarch`, {
      hint: 'amd64/generic is right for nearly all.',
    });
  }
}

/** An upload of the wrong kind is taken, and found out at a deployment only. */
function checkContent(system: string, name: string, filetypes: readonly FileType[]): void {
  const only = onlyContent(system);
  if (only === undefined) return;
  const wrong = filetypes.find((type) => (FILE_TYPES[type].content === 'tree') !== (only === 'tree'));
  if (wrong === undefined) return;
  throw new RecipeError(
    'maas.filetype',
    `Cannot make ${wrong} of ${name}: MAAS deploys images of ${system} from a ${only} only`,
    { hint: 'A name without a slash is a custom image, which may be either.' },
  );
}
