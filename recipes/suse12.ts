/** SUSE Linux Enterprise Server 12: from the vendor's JeOS image for OpenStack, which needs an account to be had. */
import { join } from 'node:path';
import { packageRoot } from '../src/host/built-module.ts';
import { defineRecipe, type RecipeInput } from '../src/recipe/schema.ts';
import { STANDARD_PACKAGES, standardVariables } from './standard.ts';
import { BASE } from './suse/releases.ts';

const beside = (name: string): string => join(packageRoot(), 'recipes/suse', name);

/** What AutoYaST does in later releases. */
const LOCALE = [
  '#!/bin/sh -eu',
  'test -e "/usr/share/zoneinfo/$ZONE" || { echo "there is no time zone $ZONE" >&2; exit 1; }',
  'ln -sf "/usr/share/zoneinfo/$ZONE" /etc/localtime',
  'printf \'LANG=%s\\n\' "$WANTED" > /etc/locale.conf',
  'printf \'KEYMAP=%s\\n\' "$LAYOUT" > /etc/vconsole.conf',
  '# What a login reads in this release.',
  'if [ -e /etc/sysconfig/language ]; then',
  '    sed -i -e "s|^RC_LANG=.*|RC_LANG=\\"$WANTED\\"|" -e \'s|^ROOT_USES_LANG=.*|ROOT_USES_LANG="yes"|\' /etc/sysconfig/language',
  'fi',
  '',
].join('\n');

const KERNEL = [
  '#!/bin/sh -eu',
  'zypper -n install "$KERNEL"',
  'if [ "$KERNEL" != kernel-default ]; then zypper -n remove kernel-default; fi',
  '',
].join('\n');

/** $REPOSITORIES: name=address, with commas between. They are the operator's own, and the image does not keep them. */
const eachRepository = (command: string): string =>
  ['#!/bin/sh -eu', `for one in $(echo "$REPOSITORIES" | tr , " "); do ${command}; done`, ''].join('\n');
const REPOSITORIES = { env: { REPOSITORIES: '${extra_repositories}' }, when: '${extra_repositories}' };

export const suse12Recipes: readonly RecipeInput[] = [
  defineRecipe({
    name: 'sles-12',
    title: 'SUSE Linux Enterprise Server 12 SP5',
    family: 'sles',
    version: '12',
    arch: ['amd64'],
    grade: 'driven',
    proven:
      "from a given file to a tgz, against a small system in place of the vendor's image, which has the files that the steps are about; the vendor's own image was not there",
    evidence: ['test/machine/given-image.test.ts', 'test/unit/golden/plans/sles-12.json'],
    variables: {
      ...standardVariables({ locale: 'en_US.UTF-8' }),
      kernel: {
        default: '',
        describe: "package of another kernel, from a repository the image knows; the image's own where it is empty",
      },
      extra_repositories: {
        type: 'list',
        default: '',
        describe: 'repositories of the build, name=address each; the image does not keep them',
      },
      image_sha256: { default: '', describe: 'SHA-256 of the image, which is checked where it is given' },
    },
    sources: {
      cloudimg: {
        algorithm: 'sha256',
        digest: '${image_sha256}',
        file_name: 'SLES12-SP5-JeOS\\.x86_64-12\\.5-OpenStack-Cloud-[A-Za-z0-9.]+\\.qcow2',
        image_names: 'SLES12-SP5-JeOS.x86_64-12.5-OpenStack-Cloud-GM.qcow2, from the SUSE Customer Center',
      },
    },
    machine: { memory: '2G', cpus: 2, disk: '8G', firmware: 'uefi' },
    user: 'root',
    packages: STANDARD_PACKAGES,
    provision: [
      {
        name: 'repositories',
        when: REPOSITORIES.when,
        early: true,
        shell: {
          env: REPOSITORIES.env,
          script: eachRepository('zypper -n addrepo --no-gpgcheck "${one#*=}" "${one%%=*}"'),
        },
      },
      {
        name: 'time zone, locale and keyboard',
        shell: { env: { ZONE: '${timezone}', WANTED: '${locale}', LAYOUT: '${keyboard}' }, script: LOCALE },
      },
      { name: 'kernel', when: '${kernel}', shell: { env: { KERNEL: '${kernel}' }, script: KERNEL } },
      // The same as at the end of an installation by YaST.
      { name: 'cloud-init and initrd', shell: { file: beside('post.sh') } },
      { name: 'curtin hooks', upload: { from: beside('curtin-hooks'), to: '/curtin/curtin-hooks', mode: '0755' } },
      {
        name: 'repositories of the build',
        when: REPOSITORIES.when,
        shell: { env: REPOSITORIES.env, script: eachRepository('zypper -n removerepo "${one%%=*}"') },
      },
      { name: 'boot loader and traces of the build', shell: { file: beside('finish.sh') } },
    ],
    outputs: ['tgz'],
    maas: {
      name: 'suse/sles12.5',
      title: 'SLES 12-SP5',
      base_image: BASE,
      architecture: '${arch}/generic',
      user: 'sles',
      minimum_maas: '3.4',
      minimum_curtin: '23.1',
      maturity: 'beta',
    },
  }),
];
