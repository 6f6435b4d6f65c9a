/** Distributions that curtin, or a rule, treats alike. */
export type Family = 'ubuntu' | 'debian' | 'el' | 'suse' | 'other';

const FAMILIES: Readonly<Record<string, Family>> = {
  ubuntu: 'ubuntu',
  debian: 'debian',
  centos: 'el',
  rhel: 'el',
  redhat: 'el',
  rocky: 'el',
  almalinux: 'el',
  ol: 'el',
  fedora: 'el',
  mariner: 'el',
  azurelinux: 'el',
  openeuler: 'el',
  opensuse: 'suse',
  'opensuse-leap': 'suse',
  'opensuse-tumbleweed': 'suse',
  sles: 'suse',
  sled: 'suse',
  suse: 'suse',
};

/** Of the settings of an os-release(5): by ID, else by the first of ID_LIKE that is known. */
export function familyOf({ ID = '', ID_LIKE = '' }: Readonly<Record<string, string>>): Family {
  for (const name of `${ID} ${ID_LIKE}`.toLowerCase().split(/\s+/)) {
    const family = FAMILIES[name];
    if (family !== undefined) return family;
  }
  return 'other';
}
