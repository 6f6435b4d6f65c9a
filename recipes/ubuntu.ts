import { join } from 'node:path';
import { packageRoot } from '../src/host/built-module.ts';
import { defineRecipe, type RecipeInput } from '../src/recipe/schema.ts';
import { APT_LINE, arm64Name, DEBIAN_LOCALE_STEPS, STANDARD_PACKAGES, standardVariables } from './standard.ts';
import { autoinstall, type Installer } from './ubuntu-autoinstall.ts';

type Layout = 'flat' | 'lvm';

interface Release extends Installer {
  readonly version: string;
  readonly codename: string;
}

const RELEASES: readonly Release[] = [
  { version: '20.04', codename: 'focal', sources: false },
  { version: '22.04', codename: 'jammy', sources: true },
  { version: '24.04', codename: 'noble', sources: true },
  { version: '26.04', codename: 'resolute', sources: true },
];

/**
 * What MAAS and curtin want to find: a boot loader for both firmwares, tools of every storage layout (curtin fetches what
 * is missing from the network), growpart's tools, oauthlib for the metadata.
 */
const PACKAGES = [
  'cloud-init',
  'cloud-guest-utils',
  'python3-oauthlib',
  'netplan.io',
  'efibootmgr',
  'grub-efi-${arch}-signed',
  'shim-signed',
  'gdisk',
  'lvm2',
  'mdadm',
  'xfsprogs',
  'btrfs-progs',
  'bcache-tools',
  'locales',
];

const files = join(packageRoot(), 'recipes');
const HOOK = { from: join(files, 'debian/curtin-hooks'), to: '/curtin/curtin-hooks', mode: '0755' };

/** Without a kernel in the image curtin installs one, and asks the network for it. */
const WITH_KERNEL = 'curtin hooks: the kernel in the image is the one that is deployed';

type Steps = NonNullable<RecipeInput['provision']>;

const CLOUD_IMAGE_STEPS: Steps = [
  {
    name: 'mirror',
    when: '${mirror}',
    early: true,
    shell: { file: join(files, 'ubuntu/use-mirror'), env: { MIRROR: '${mirror}' } },
  },
  {
    name: 'more repositories',
    when: '${extra_repositories}',
    early: true,
    shell: { file: join(files, 'ubuntu/add-repositories'), env: { REPOSITORIES: '${extra_repositories}' } },
  },
  ...DEBIAN_LOCALE_STEPS,
  { name: "the cloud image's own kernel", shell: { file: join(files, 'ubuntu/purge-kernels') } },
  { name: 'kernel', when: '${kernel}', packages: ['${kernel}'] },
  { name: WITH_KERNEL, when: '${kernel}', upload: HOOK },
];

/** Nothing grows a logical volume at the first boot by itself. */
const GROW_STEPS: Steps = [
  {
    name: 'the root grows at the first boot',
    upload: { from: join(files, 'grow-lvm.sh'), to: '/usr/local/sbin/grow-lvm-root', mode: '0755' },
  },
  {
    write: {
      path: '/etc/cloud/cloud.cfg.d/90-compose-grow.cfg',
      content: 'bootcmd:\n  - [cloud-init-per, once, grow-lvm-root, /usr/local/sbin/grow-lvm-root]\n',
      mode: '0644',
    },
  },
];

/** A mount of the build's own ESP stops a deployment to memory; on a disk curtin writes the file anew. */
const NO_FSTAB = [
  { kind: 'empty', path: '/etc/fstab', reason: 'mounts of the build machine', trees: true },
] as const satisfies RecipeInput['seal'];

/** The one whose cloud image was stood in for; the others share every step. */
const DRIVEN_CLOUD_IMAGE = 'ubuntu-24.04';
const CHECKED = 'the plan, with the answers where an installer runs, is compared with a recorded one';
const DRIVEN =
  "its installation ran in QEMU, from the ISO to the artifact, against a double of the live server's installer; the vendor's own installer did not run";

function ubuntu({ version, codename, ...installer }: Release): RecipeInput {
  const name = `ubuntu-${version}`;
  const title = `Ubuntu ${version} LTS`;
  const golden = `test/unit/golden/plans/${name}.json`;
  const pattern = version.replaceAll('.', '\\.');

  /** A layout that the live server installs. */
  const installed = (layout: Layout, outputs: RecipeInput['outputs']) =>
    ({
      grade: 'driven',
      proven: DRIVEN,
      evidence: ['test/machine/ubuntu-live-server.test.ts', golden],
      variables: {
        iso_base: { type: 'address', default: `https://releases.ubuntu.com/${codename}`, describe: 'where the ISO is' },
      },
      sources: {
        installer: {
          iso: `\${iso_base}/ubuntu-${version}*-live-server-\${arch}.iso`,
          checksum: { algorithm: 'sha256', sums: '${iso_base}/SHA256SUMS' },
          iso_names: `ubuntu-${version}.N-live-server-\${arch}.iso, from ubuntu.com/download/server`,
          language: 'autoinstall',
          installs_packages: true,
          file_name: `ubuntu-${pattern}(\\.\\d+)?-live-server-\${arch}\\.iso`,
          // That of 26.04 has no LTS in it (osinfo-db, tests/isodata).
          volume: `Ubuntu-Server ${pattern}(\\.\\d+)?( LTS)? \${arch}`,
          append: 'autoinstall',
          memory: '3G',
          answers: [{ on: 'autoinstall', files: { 'user-data': autoinstall(installer) } }],
        },
      },
      machine: { disk: '8G' },
      provision: [{ name: WITH_KERNEL, upload: HOOK }, ...(layout === 'lvm' ? GROW_STEPS : [])],
      outputs,
      maas: { name: `${name}-${layout}`, title: `${title} (${layout === 'lvm' ? 'LVM disk' : 'installed'})` },
      per_arch: {
        arm64: {
          grade: 'checked',
          proven: CHECKED,
          evidence: [golden],
          variables: {
            iso_base: {
              type: 'address',
              default: `https://cdimage.ubuntu.com/releases/${codename}/release`,
              describe: 'where the ISO is',
            },
          },
          maas: { name: arm64Name(`${name}-${layout}`) },
        },
      },
    }) satisfies NonNullable<RecipeInput['layouts']>[string];

  return defineRecipe({
    name,
    title,
    family: 'ubuntu',
    version,
    arch: ['amd64', 'arm64'],
    grade: 'checked',
    proven: CHECKED,
    evidence: [golden],
    variables: {
      ...standardVariables(),
      mirror: { type: 'address', default: '', describe: 'address of an Ubuntu mirror, in place of the archive' },
      kernel: {
        type: 'list',
        default: '',
        describe:
          'kernel package, or package=version; for a cloud image also paths of .deb files in the guest; without, a cloud image leaves it to MAAS and the installer takes its own',
      },
      extra_repositories: {
        type: 'list',
        default: '',
        describe:
          'more apt repositories: ppa:owner/name, cloud-archive:release, or a whole line, deb http://… suite component',
        items: `ppa:[\\w.+/-]+|cloud-archive:[\\w.+/-]+|${APT_LINE}`,
      },
    },
    sources: {},
    machine: { memory: '2G', cpus: 2, disk: '8G', firmware: 'uefi' },
    user: 'root',
    packages: [...PACKAGES, ...STANDARD_PACKAGES],
    outputs: ['tgz'],
    maas: {
      name,
      title,
      base_image: `ubuntu/${codename}`,
      architecture: '${arch}/generic',
      user: 'ubuntu',
      minimum_maas: '3.0',
      minimum_curtin: '21.0',
      maturity: 'stable',
    },
    per_arch: {
      // The signed loaders above are for UEFI; a BIOS exists on the PC only.
      amd64: { packages: ['grub-pc-bin'] },
      arm64: { maas: { name: arm64Name(name) } },
    },
    layouts: {
      cloudimg: {
        ...(name === DRIVEN_CLOUD_IMAGE && {
          grade: 'driven',
          proven:
            'from a server that publishes an image as the vendor does to a tgz, against a small system that has what the steps are about; the image of the vendor was not there',
          evidence: ['test/machine/ubuntu-cloudimg.test.ts', golden],
          per_arch: { arm64: { grade: 'checked', proven: CHECKED, evidence: [golden] } },
        }),
        variables: {
          cloudimg_base: {
            type: 'address',
            default: 'https://cloud-images.ubuntu.com',
            describe: "where the vendor's cloud images are",
          },
        },
        sources: {
          cloudimg: {
            url: `\${cloudimg_base}/${codename}/current/${codename}-server-cloudimg-\${arch}.img`,
            sums: `\${cloudimg_base}/${codename}/current/SHA256SUMS`,
            algorithm: 'sha256',
          },
        },
        provision: CLOUD_IMAGE_STEPS,
        seal: [...NO_FSTAB],
      },
      flat: { ...installed('flat', ['tgz']), seal: [...NO_FSTAB] },
      lvm: installed('lvm', ['ddgz']),
    },
  });
}

export const ubuntuRecipes: readonly RecipeInput[] = RELEASES.map(ubuntu);
