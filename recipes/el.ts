/** Enterprise Linux, Fedora Server and openEuler: all that Anaconda installs. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../src/host/built-module.ts';
import type { Arch } from '../src/machine/arch.ts';
import type { AnswerInputs } from '../src/recipe/answer-inputs.ts';
import { defineRecipe, type RecipeInput } from '../src/recipe/schema.ts';
import { kickstart, type Scripts } from './el/kickstart.ts';
import { arm64Preseed } from './el/preseed.ts';
import { type Release, RPM_ARCH } from './el/release.ts';
import { RELEASES } from './el/releases.ts';
import { RULES, type Rules } from './el/rules.ts';
import { arm64Name, lvmGrade, STANDARD_PACKAGES, standardVariables } from './standard.ts';

const beside = (name: string): string => join(packageRoot(), 'recipes/el', name);

/** Where a double of the medium was driven; every other release shares its code. */
const DRIVEN = 'test/machine/doubles-anaconda.test.ts';
const DRIVEN_RELEASES: ReadonlySet<string> = new Set([
  ...['centos-6', 'rhel-7', 'rhel-8', 'rocky-9', 'almalinux-10', 'fedora-42'],
]);
/** The one whose double was asked for LVM. */
const DRIVEN_ON_LVM = 'rocky-9';
/** Its plans as a test holds them. */
const golden = (name: string): string => `test/unit/golden/plans/${name}.json`;
const PLANNED = 'planned, and its kickstart read by a parser of its release';

let scripts: Scripts | undefined;

/** Read when the first of them is needed, which is in no verb that only lists. */
function readScripts(): Scripts {
  const text = (name: string): string => readFileSync(beside(name), 'utf8');
  scripts ??= {
    post: text('post.sh'),
    hooks: { el: text('curtin-hooks'), el6: text('curtin-hooks-el6') },
    growLvm: text('../grow-lvm.sh'),
  };
  return scripts;
}

type Variables = NonNullable<RecipeInput['variables']>;
type RecipeOnArch = NonNullable<NonNullable<RecipeInput['per_arch']>[Arch]>;

function variables(release: Release, rules: Rules): Variables {
  return {
    ...standardVariables({ locale: 'en_US.UTF-8' }),
    ...(release.mirror !== undefined && {
      mirror: {
        type: 'address',
        describe: `mirror of packages, laid out as ${release.mirror}; the vendor's own where it is not given`,
      },
    }),
    ...(rules.legacy && {
      epel_mirror: { type: 'address', describe: "mirror of EPEL 6; Fedora's archive where it is not given" },
    }),
    kernel: { default: '', describe: "package of another kernel; the release's own where it is empty" },
    extra_repositories: {
      type: 'list',
      default: '',
      describe: 'repositories of the installation, name=address each; the image does not keep them',
    },
    ...(rules.fips !== undefined && {
      fips: { type: 'number', default: 0, describe: '1 makes a system in FIPS mode' },
    }),
    ...(release.subscription && SUBSCRIPTION),
  };
}

const SUBSCRIPTION: Variables = {
  rhsm_organization: { default: '', describe: 'organization of Red Hat, to register with while the image is built' },
  rhsm_activation_key: { default: '', secret: true, describe: 'activation key of that organization' },
  rhsm_packages: {
    type: 'list',
    default: '',
    describe: "packages from Red Hat's network; those of the medium need none",
  },
  rhsm_update: { type: 'boolean', default: false, describe: 'whether everything is updated while it is registered' },
};

/** What every later release has, and EL 6 does without. */
const LEGACY: NonNullable<NonNullable<RecipeInput['verify']>['allow']> = [
  { rule: 'boot.bios', reason: 'it starts by GRUB Legacy, which /curtin/curtin-hooks installs' },
  { rule: 'boot.uefi', reason: 'it is for machines that start by a BIOS' },
  { rule: 'cloud-init.version', reason: 'EPEL 6 has no later one; /curtin/curtin-hooks write the network' },
  { rule: 'cloud-init.oauthlib', reason: 'its cloud-init signs with another library' },
];

/** Memory of the machine that installs and of the one that is provisioned; Anaconda unpacks its second stage into it. */
function memory({ family, version }: Rules): string {
  return family === 'el' && Number(version) <= 8 ? '2G' : '3G';
}

function append(rules: Rules): string {
  if (rules.legacy) return 'ks=file:/ks.cfg cmdline ksdevice=eth0';
  const fips = rules.fips === undefined ? '' : ' fips=${fips}';
  return `inst.stage2=hd:LABEL=\${volume} inst.text inst.cmdline${fips}`;
}

function anaconda(release: Release): RecipeInput {
  const { name, title, media, maas, vendor } = release;
  const rules = RULES[release.anaconda];
  const arches = Object.keys(media) as Arch[];
  const driven = DRIVEN_RELEASES.has(name);
  const generated = (inputs: AnswerInputs): string => kickstart(release, inputs, readScripts());
  const bios = rules.family === 'el' && Number(rules.version) <= 7;
  const lvm = lvmGrade(golden(name), { driven: name === DRIVEN_ON_LVM, planned: PLANNED });
  const onArm64 = (what: RecipeOnArch): Partial<Record<Arch, RecipeOnArch>> =>
    arches.includes('arm64') ? { arm64: what } : {};
  return defineRecipe({
    name,
    title,
    family: rules.family,
    version: rules.version,
    arch: arches,
    grade: driven ? 'driven' : 'checked',
    proven: driven
      ? "against a double of its medium, from the ISO to a tgz, with what the installer was given compared byte by byte; the vendor's own installer did not run"
      : `${PLANNED}; it shares all code with the releases that were driven`,
    evidence: driven ? [DRIVEN, golden(name)] : [golden(name)],
    variables: variables(release, rules),
    sources: {
      installer: {
        language: 'kickstart',
        release: { family: rules.family, version: rules.version },
        installs_packages: true,
        // The one controller of CD drives that every board and every release has a driver for.
        media_interface: 'scsi',
        append: append(rules),
        // Not a CD: Anaconda would look for its second stage there.
        answers: [{ on: rules.legacy ? 'initrd' : 'oemdrv-fat', files: { 'ks.cfg': generated } }],
        memory: memory(rules),
        timeout: '1h',
      },
    },
    machine: {
      memory: '2G',
      cpus: 2,
      disk: bios ? '5G' : '8G',
      firmware: bios ? 'bios' : 'uefi',
      // Enterprise Linux 10 is compiled for x86-64-v3, which the usual model under emulation is not.
      ...(rules.family === 'el' && rules.version === '10' && { cpu_model: 'max' }),
    },
    user: 'root',
    packages: STANDARD_PACKAGES,
    provision: [
      ...(release.subscription
        ? [
            {
              name: 'subscription',
              shell: {
                file: beside('subscription.sh'),
                env: {
                  RHSM_ORGANIZATION: '${rhsm_organization}',
                  RHSM_ACTIVATION_KEY: '${rhsm_activation_key}',
                  RHSM_PACKAGES: '${rhsm_packages}',
                  RHSM_UPDATE: '${rhsm_update}',
                },
              },
            },
          ]
        : []),
      { name: 'boot loader and traces of the build', shell: { file: beside('finish.sh') } },
    ],
    outputs: ['tgz'],
    ...(rules.legacy && { verify: { allow: LEGACY } }),
    maas: {
      name: maas.name,
      title,
      base_image: maas.base,
      architecture: '${arch}/generic',
      user: maas.user,
      minimum_maas: maas.maas,
      minimum_curtin: maas.curtin,
      maturity: maas.maturity,
    },
    per_arch: Object.fromEntries(arches.map((arch) => [arch, onArch(release, arch, driven)])),
    layouts: {
      // curtin unpacks a tree for a loader that it looks for by the names of amd64; a disk has its own.
      flat: { per_arch: onArm64({ maas: { name: arm64Name(maas.name), preseed: arm64Preseed(vendor) } }) },
      lvm: {
        ...lvm,
        outputs: ['ddgz'],
        // A name below rhel/, centos/ or ol/ is for trees alone.
        maas: { name: `${name}-lvm`, title: `${title} (LVM)`, base_image: maas.base },
        per_arch: onArm64({ ...lvm.per_arch?.arm64, maas: { name: arm64Name(`${name}-lvm`) } }),
      },
    },
  });
}

function onArch(
  { name, media, isoNames }: Release,
  arch: Arch,
  driven: boolean,
): NonNullable<RecipeInput['per_arch']>[Arch] {
  const medium = media[arch];
  if (medium === undefined) return {};
  const { iso, sums, file, volume } = medium;
  return {
    ...(arch === 'arm64' &&
      driven && {
        grade: 'checked',
        proven: `${PLANNED}; the double was driven on amd64 alone`,
        evidence: [golden(name)],
      }),
    sources: {
      installer: {
        ...(iso !== undefined && sums !== undefined && { iso, checksum: { algorithm: 'sha256' as const, sums } }),
        iso_names: isoNames(RPM_ARCH[arch]),
        file_name: file,
        volume,
      },
    },
  };
}

export const elRecipes: readonly RecipeInput[] = RELEASES.map(anaconda);
