/** Azure Linux, CBL-Mariner before: installed by the vendor's own installer from its medium. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../src/host/built-module.ts';
import type { Arch } from '../src/machine/arch.ts';
import type { AnswerInputs } from '../src/recipe/answer-inputs.ts';
import { defineRecipe, type RecipeInput } from '../src/recipe/schema.ts';
import { PACKAGE_LIST, packageList, SCRIPT, unattendedConfig } from './azurelinux/config.ts';
import { FOLDER, LIVE_FILES } from './azurelinux/live.ts';
import { RELEASES, type Release } from './azurelinux/releases.ts';
import { installedScript, type Scripts } from './azurelinux/script.ts';
import { arm64Name, STANDARD_PACKAGES, standardVariables } from './standard.ts';

const beside = (name: string): string => join(packageRoot(), 'recipes/azurelinux', name);

const DRIVEN = 'test/machine/doubles-azurelinux.test.ts';
const golden = (name: string): string => `test/unit/golden/plans/${name}.json`;

/** The installer's kernel starts with what the medium's own boot loader says, but for its consoles. */
const APPEND = 'root=/dev/ram0 loglevel=3';

let scripts: Scripts | undefined;

/** Read when the first of them is needed, which is in no verb that only lists. */
function readScripts(): Scripts {
  const text = (name: string): string => readFileSync(beside(name), 'utf8');
  scripts ??= { post: text('post.sh'), hooks: text('curtin-hooks') };
  return scripts;
}

function azureLinux(release: Release): RecipeInput {
  const { name, title, version, media, maas } = release;
  const arches = Object.keys(media) as Arch[];
  return defineRecipe({
    name,
    title,
    family: 'azurelinux',
    version,
    arch: arches,
    grade: 'driven',
    proven:
      "against a double of its medium, from the ISO to a tgz, with what the installer was given compared byte by byte; the vendor's own installer did not run",
    evidence: [DRIVEN, golden(name)],
    variables: {
      ...standardVariables(),
      kernel: { default: 'kernel', describe: 'package of the kernel, one that the medium has' },
      mirror: {
        type: 'address',
        default: '',
        describe: 'address in place of https://packages.microsoft.com, for the build alone',
      },
      extra_repositories: {
        type: 'list',
        default: '',
        describe: 'repositories of the installation, name=address each; the image does not keep them',
      },
    },
    sources: {
      installer: {
        installs_packages: true,
        // Built into the vendor's kernel, as AHCI is; the same on both architectures.
        media_interface: 'scsi',
        // The media of all releases have this name, by which the installer finds its own.
        volume: 'CDROM',
        kernel: '/isolinux/vmlinuz',
        initrd: '/isolinux/initrd.img',
        append: APPEND,
        answers: [
          {
            on: 'initrd',
            files: {
              ...Object.fromEntries(Object.entries(LIVE_FILES).map(([path, text]) => [path, { text }])),
              [`${FOLDER}/start`]: () => readFileSync(beside('start.sh'), 'utf8'),
              [`${FOLDER}/unattended_config.json`]: ({ arch, values }: AnswerInputs) =>
                unattendedConfig(arch, values.kernel || 'kernel'),
              [`${FOLDER}/${PACKAGE_LIST}`]: packageList,
              [`${FOLDER}/${SCRIPT}`]: (inputs: AnswerInputs) => installedScript(release, inputs, readScripts()),
            },
          },
        ],
        // The live system is in memory, all of it.
        memory: '4G',
        timeout: '1h',
      },
    },
    machine: { memory: '2G', cpus: 2, disk: '8G', firmware: 'uefi' },
    user: 'root',
    packages: STANDARD_PACKAGES,
    provision: [{ name: 'traces of the build', shell: { file: beside('finish.sh') } }],
    seal: [
      {
        kind: 'remove',
        path: '/etc/systemd/system/sshd.service.d/compose-build.conf',
        reason: 'lets root in, for the build',
      },
    ],
    outputs: ['tgz'],
    maas: {
      name: maas.name,
      title,
      base_image: 'rhel/8',
      architecture: '${arch}/generic',
      user: maas.user,
      minimum_maas: '3.3',
      minimum_curtin: '22.1',
      maturity: 'beta',
    },
    per_arch: Object.fromEntries(
      Object.entries(media).map(([arch, { names, iso, sums, file }]) => [
        arch,
        {
          ...(arch === 'arm64' && {
            grade: 'checked',
            proven: 'planned; the double was driven on amd64 alone',
            evidence: [golden(name)],
            maas: { name: arm64Name(maas.name) },
          }),
          sources: {
            installer: {
              iso_names: names,
              ...(iso !== undefined && sums !== undefined && { iso, checksum: { algorithm: 'sha256' as const, sums } }),
              file_name: file,
            },
          },
        },
      ]),
    ),
  });
}

export const azureLinuxRecipes: readonly RecipeInput[] = RELEASES.map(azureLinux);
