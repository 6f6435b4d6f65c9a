import { RecipeError } from '../errors.ts';
import type { MaasEntry } from '../pack/records.ts';

/** Names MAAS keeps for itself (maasserver/forms, BootResourceForm.clean_name). */
const OPERATING_SYSTEMS = [
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
/** Systems a base_image may name. */
const BASES = ['ubuntu', 'centos', 'rhel', 'ol'];

/**
 * Refuses what MAAS would refuse on upload, or take and then fail on.
 * @throws RecipeError `maas.name`, `maas.base-image`, `maas.architecture`
 */
export function checkMaas(maas: MaasEntry, recipe: string): MaasEntry {
  const parts = maas.name.split('/');
  const name = (why: string): RecipeError =>
    new RecipeError('maas.name', `Cannot name ${recipe} "${maas.name}" in MAAS: ${why}`, {
      hint: 'A bare word such as web-node is a custom image on every version of MAAS.',
    });
  if (parts.length > 2) throw name('it has more than one slash');
  if (parts.some((part) => part === '')) throw name('a part of it is empty');
  if (/\s/.test(maas.name)) throw name('it has white space');
  if (parts.length === 1 && OPERATING_SYSTEMS.includes(maas.name)) throw name('MAAS keeps that word for itself');
  if (parts.length === 1 && /^centos\d\d?$/.test(maas.name))
    throw name('MAAS keeps centos followed by digits for itself');
  if (parts.length === 2 && !OPERATING_SYSTEMS.includes(parts[0] ?? ''))
    throw name(`"${parts[0]}" is no system MAAS knows`);
  const [system, series] = maas.base_image.split('/');
  if (!BASES.includes(system ?? '') || !series) {
    throw new RecipeError(
      'maas.base-image',
      `Cannot use base_image "${maas.base_image}": MAAS takes os/series of ${BASES.join(', ')}`,
      {
        hint: 'For a Linux that is none of these, ubuntu/jammy or ubuntu/noble unpacks it.',
      },
    );
  }
  if (!/^[a-z0-9]+\/[a-z0-9-]+$/.test(maas.architecture)) {
    throw new RecipeError(
      'maas.architecture',
      `Cannot use architecture "${maas.architecture}": it is not arch/subarch`,
      {
        hint: 'amd64/generic is right for nearly all.',
      },
    );
  }
  return maas;
}
