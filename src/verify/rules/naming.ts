/** What MAAS is told of an image, by its own rules. */
import type { Facts } from '../facts.ts';
import { systemOf } from '../facts.ts';
import { HOLDS, type Rule, unless } from '../rule.ts';

/** Systems a name may begin with, and the releases of MAAS that know them where not all do. */
const SYSTEMS: Readonly<Record<string, readonly string[] | undefined>> = {
  ubuntu: undefined,
  'ubuntu-core': undefined,
  bootloader: undefined,
  centos: undefined,
  rhel: undefined,
  custom: undefined,
  windows: undefined,
  suse: undefined,
  esxi: undefined,
  ol: ['3.5', '3.6', '3.7', '3.8'],
  onie: ['3.8'],
  caringo: ['3.3', '3.4'],
};
/** Systems a base_image may name. */
const BASES = ['ubuntu', 'centos', 'rhel', 'ol'];
const ARCHITECTURES = ['amd64', 'arm64', 'armhf', 'i386', 'ppc64el', 's390x'];
/** Releases that boot a machine by the name of an image alone, whatever its architecture. */
const NAME_ALONE = ['3.3', '3.4', '3.5', '3.6', '3.7'];
/** How people write an architecture in a name. */
const ARCH_WORDS = /amd64|x86[-_]64|arm64|aarch64|ppc64|s390x|armhf|riscv64/;

const FORM = 'maas src/maasserver/forms/__init__.py, BootResourceForm';

export const namingRules: readonly Rule[] = [
  {
    id: 'name.form',
    severity: 'error',
    title: 'The name is a bare word, or a system MAAS knows and a release',
    why: 'The upload is refused; two slashes end in an error of the server.',
    source: `${FORM}.clean_name`,
    mend: 'A bare word such as web-node is a custom image on every release of MAAS.',
    for: { of: 'any' },
    check: ({ artifact: { maas, wants } }) => {
      const { name } = maas;
      if (name === undefined) return HOLDS;
      const parts = name.split('/');
      if (parts.length > 2) return [{ message: `"${name}" has more than one slash` }];
      if (parts.some((part) => part === '') || /\s/.test(name))
        return [{ message: `"${name}" has an empty part or white space` }];
      const [system] = parts;
      if (parts.length === 1 || system === undefined) return HOLDS;
      if (!Object.hasOwn(SYSTEMS, system)) return [{ message: `"${system}" is no system of MAAS` }];
      const missing = wants.versions.filter((version) => SYSTEMS[system]?.includes(version) === false);
      return unless(missing.length === 0, `MAAS ${missing.join(', ')} does not know ${system}`);
    },
  },
  {
    id: 'name.custom',
    severity: 'warning',
    title: 'A custom image has a bare name',
    why: '3.8 keeps custom/ in the name and looks for the name without it: the image cannot be deployed. Earlier ones take it off.',
    source: `${FORM}; maas src/maasserver/rpc/boot.py of 3.8, read in its betas`,
    mend: 'Leave custom/ out: a bare name means the same on every release.',
    for: { of: 'any', versions: ['3.8'] },
    check: ({ artifact: { maas } }) =>
      unless(!/^custom\/[^/]+$/.test(maas.name ?? ''), `"${maas.name}" begins with custom/`),
  },
  {
    id: 'name.reserved',
    severity: 'error',
    title: 'MAAS does not keep the name for itself',
    why: 'The upload is refused.',
    source: `${FORM}, the reserved names`,
    mend: 'Choose another word; rhel/rhel9 or centos/9-custom is the usual way to keep a system in the name.',
    for: { of: 'any' },
    check: ({ artifact: { maas } }) => {
      const name = maas.name ?? '';
      if (Object.hasOwn(SYSTEMS, name)) return [{ message: `"${name}" is a system of MAAS` }];
      return unless(!/^centos\d\d?$/.test(name), `"${name}": centos and digits are MAAS's own`);
    },
  },
  {
    id: 'name.title',
    severity: 'warning',
    title: 'The image has a title',
    why: 'Without one MAAS stores an empty title, and its pages show nothing.',
    source: `${FORM}, title`,
    mend: 'Give it one: --title, or maas.title of a recipe.',
    for: { of: 'any' },
    check: ({ artifact: { maas } }) => unless(maas.name === undefined || Boolean(maas.title), 'there is none'),
  },
  {
    id: 'name.architecture',
    severity: 'warning',
    title: 'The name of an image that is not for amd64 says its architecture',
    why: 'These releases boot by the name alone: the same name for two architectures breaks the deployment of both.',
    source: 'maas src/maasserver/rpc/boot.py; LP 2138312',
    mend: 'Put the architecture in the name, such as web-node-arm64; MAAS 3.6.3 and 3.7.1 have it mended.',
    for: { of: 'any', versions: NAME_ALONE },
    check: ({ artifact: { maas, machine } }) => {
      const { name } = maas;
      if (name === undefined || machine === undefined || machine === 'amd64' || systemOf(name) !== 'custom')
        return HOLDS;
      return unless(ARCH_WORDS.test(name), `"${name}" could be that of any architecture`);
    },
  },
  {
    id: 'base-image.known',
    severity: 'error',
    title: 'base_image names a system and series MAAS takes',
    why: 'The upload is refused, or the series is not there when a machine is to boot it.',
    source: `${FORM}.clean_base_image`,
    mend: 'Name ubuntu/<series>, such as ubuntu/noble, or rhel/9, centos/8, from MAAS 3.5 on ol/9.',
    for: { of: 'any' },
    check: ({ artifact: { maas, wants } }) => {
      const base = maas.base_image;
      if (!base) return HOLDS;
      const [system = '', series, ...more] = base.split('/');
      if (!BASES.includes(system) || !series || more.length > 0)
        return [{ message: `"${base}" is not os/series of ${BASES.join(', ')}` }];
      if (system === 'ubuntu' && /^\d/.test(series))
        return [{ message: `"${base}" names a version; MAAS wants the codename of the series` }];
      const missing = system === 'ol' ? wants.versions.filter((version) => version < '3.5') : [];
      return unless(missing.length === 0, `MAAS ${missing.join(', ')} does not take ol as a base`);
    },
  },
  {
    id: 'base-image.given',
    severity: 'warning',
    title: 'A custom image says its base_image',
    why: "MAAS takes the site's commissioning release, which may change, and never mends it when the image is uploaded again.",
    source: `${FORM}, base_image`,
    mend: 'Give it: --base-image ubuntu/noble, or maas.base_image of a recipe.',
    for: { of: 'any' },
    check: (facts) => {
      const { maas } = facts.artifact;
      if (maas.name === undefined || systemOf(maas.name) !== 'custom') return HOLDS;
      return unless(Boolean(maas.base_image), 'it is left to the site');
    },
  },
  {
    id: 'architecture.known',
    severity: 'error',
    title: 'The architecture is one that MAAS has boot images for',
    why: 'The upload is refused: it must be among the usable architectures of the region.',
    source: `${FORM}, architecture`,
    mend: 'amd64/generic or arm64/generic is right for nearly all.',
    for: { of: 'any' },
    check: ({ artifact: { maas } }) => {
      const { architecture } = maas;
      if (architecture === undefined) return HOLDS;
      const [arch = '', subarch, ...more] = architecture.split('/');
      const whole = ARCHITECTURES.includes(arch) && Boolean(subarch) && more.length === 0;
      return unless(whole, `"${architecture}" is not arch/subarch of ${ARCHITECTURES.join(', ')}`);
    },
  },
];

/** Whether MAAS runs "netplan info" in the image: its base is Ubuntu, told or by default. */
export function hasUbuntuBase({ artifact, tree }: Facts): boolean {
  const { maas } = artifact;
  const system = systemOf(maas.name);
  if (system !== 'custom') return system === 'ubuntu';
  if (maas.base_image) return maas.base_image.startsWith('ubuntu/');
  return maas.name !== undefined || tree?.family === 'ubuntu';
}
