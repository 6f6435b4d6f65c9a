/** SUSE Linux Enterprise Server and openSUSE Leap: what YaST and Agama install. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../src/host/built-module.ts';
import type { Arch } from '../src/machine/arch.ts';
import type { AnswerInputs } from '../src/recipe/answer-inputs.ts';
import { defineRecipe, type RecipeInput } from '../src/recipe/schema.ts';
import { arm64Name, lvmGrade, STANDARD_PACKAGES, standardVariables } from './standard.ts';
import { agama } from './suse/agama.ts';
import { autoyast } from './suse/autoyast.ts';
import { type Release, RPM_ARCH } from './suse/release.ts';
import { RELEASES } from './suse/releases.ts';
import type { Scripts } from './suse/scripts.ts';

const beside = (name: string): string => join(packageRoot(), 'recipes/suse', name);

const DRIVEN = 'test/machine/doubles-suse.test.ts';
const golden = (name: string): string => `test/unit/golden/plans/${name}.json`;
const PLANNED = 'planned, and its profile read by the rules of its installer';

const ARCHES = ['amd64', 'arm64'] as const satisfies readonly Arch[];

let scripts: Scripts | undefined;

/** Read when the first of them is needed, which is in no verb that only lists. */
function readScripts(): Scripts {
  const text = (name: string): string => readFileSync(beside(name), 'utf8');
  scripts ??= { post: text('post.sh'), hooks: text('curtin-hooks'), growLvm: text('../grow-lvm.sh') };
  return scripts;
}

type Variables = NonNullable<RecipeInput['variables']>;

function variables(release: Release): Variables {
  return {
    ...standardVariables({ locale: 'en_US.UTF-8' }),
    kernel: { default: '', describe: 'package of another kernel; kernel-default where it is empty' },
    extra_repositories: {
      type: 'list',
      default: '',
      describe: 'repositories of the installation, name=address each',
    },
    ...(release.installer === 'agama' &&
      release.cloudInit !== undefined && {
        cloud_init_repository: {
          type: 'address',
          default: release.cloudInit,
          describe: 'repository that has cloud-init, which the medium lacks; the image does not keep it',
        },
      }),
  };
}

/**
 * YaST's loader takes what it is told as it is; Agama's medium is a live system that finds its root by the volume's name. Both
 * look for a profile on a volume named OEMDRV (linuxrc: autoyast=label://; Agama: inst.auto), and neither updates itself first.
 */
function boot(release: Release): { readonly append: string; readonly file: string } {
  if (release.installer === 'agama') {
    const append =
      'root=live:CDLABEL=${volume} rd.live.image inst.auto=label://OEMDRV/autoinst.json inst.self_update=0';
    return { append, file: 'autoinst.json' };
  }
  const append = 'install=cd:/ autoyast=label://OEMDRV/autoinst.xml netsetup=dhcp self_update=0 textmode=1';
  return { append, file: 'autoinst.xml' };
}

function suse(release: Release): RecipeInput {
  const { name, title, family, version, installer, maas } = release;
  const { append, file } = boot(release);
  const lvm = lvmGrade(golden(name), { driven: name === 'opensuse-15', planned: PLANNED });
  const generated = (inputs: AnswerInputs): string =>
    release.installer === 'agama' ? agama(release, inputs, readScripts()) : autoyast(release, inputs, readScripts());
  return defineRecipe({
    name,
    title,
    family,
    version,
    arch: [...ARCHES],
    grade: 'driven',
    proven:
      "against a double of its medium, from the ISO to a tgz, with what the installer was given compared byte by byte; the vendor's own installer did not run",
    evidence: [DRIVEN, golden(name)],
    variables: variables(release),
    sources: {
      installer: {
        language: installer,
        release: { family, version },
        installs_packages: true,
        // The installers want a drive that is one: cd:/ and dvd: name /dev/sr0.
        media_interface: 'scsi',
        append,
        answers: [{ on: 'oemdrv-fat', files: { [file]: generated } }],
        memory: '4G',
        timeout: '1h',
      },
    },
    machine: { memory: '2G', cpus: 2, disk: '8G', firmware: 'uefi' },
    user: 'root',
    packages: STANDARD_PACKAGES,
    provision: [{ name: 'boot loader and traces of the build', shell: { file: beside('finish.sh') } }],
    outputs: ['tgz'],
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
    per_arch: Object.fromEntries(ARCHES.map((arch) => [arch, onArch(release, arch)])),
    layouts: {
      flat: {},
      lvm: {
        ...lvm,
        outputs: ['ddgz'],
        // A name below suse/ is for trees alone.
        maas: { name: `${name}-lvm`, title: `${title} (LVM)` },
        per_arch: { arm64: { ...lvm.per_arch?.arm64, maas: { name: arm64Name(`${name}-lvm`) } } },
      },
    },
  });
}

function onArch({ name, media, installer, isoNames }: Release, arch: Arch): NonNullable<RecipeInput['per_arch']>[Arch] {
  const { iso, checksum, file, volume } = media[arch];
  // Where the medium for arm64 keeps its kernel differs by installer (src/machine/installer-layouts.ts).
  const folder = `boot/${RPM_ARCH[arch]}${installer === 'agama' || arch === 'amd64' ? '/loader' : ''}`;
  return {
    ...(arch === 'arm64' && {
      grade: 'checked',
      proven: `${PLANNED}; the double was driven on amd64 alone`,
      evidence: [golden(name)],
    }),
    sources: {
      installer: {
        ...(iso !== undefined && { iso, checksum }),
        iso_names: isoNames(RPM_ARCH[arch]),
        file_name: file,
        volume,
        kernel: `/${folder}/linux`,
        initrd: `/${folder}/initrd`,
      },
    },
  };
}

export const suseRecipes: readonly RecipeInput[] = RELEASES.map(suse);
