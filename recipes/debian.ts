import { defineRecipe, type RecipeInput } from '../src/recipe/schema.ts';
import { BIOS, INCLUDE } from './debian/packages.ts';
import { debianPreseed } from './debian/preseed.ts';
import { RELEASES, type Release } from './debian/releases.ts';
import { debianSteps, LVM_STEPS } from './debian/steps.ts';
import { APT_LINE, arm64Name, STANDARD_PACKAGES, standardVariables } from './standard.ts';

const ARCHIVE = {
  mirror: 'http://archive.debian.org/debian',
  security: 'http://archive.debian.org/debian-security',
};

function variables({ mirrored }: Release): NonNullable<RecipeInput['variables']> {
  const mirror =
    "Debian mirror for --source packages and installer; the host's own, or Debian's, where it is not given";
  return {
    ...standardVariables(),
    cloudimg_base: {
      type: 'address',
      default: 'https://cloud.debian.org/images/cloud',
      describe: "where the vendor's cloud images are",
    },
    mirror: mirrored
      ? { type: 'address', describe: mirror }
      : { type: 'address', default: ARCHIVE.mirror, describe: 'where the release is kept' },
    security_mirror: {
      type: 'address',
      default: mirrored ? '' : ARCHIVE.security,
      describe:
        "where the image gets its security updates; beside the mirror's archive, as mirrors have it, where it is empty",
    },
    extra_repositories: {
      type: 'list',
      default: '',
      describe: 'lines for sources.list: deb http://mirror.example/debian suite component',
      items: APT_LINE,
    },
    kernel: { type: 'string', default: 'linux-image-${arch}', describe: 'kernel package' },
  };
}

function debian(release: Release): RecipeInput {
  const { version, codename, base, mirrored, lacks, maturity, grade, proven, evidence, lvm, arm64 } = release;
  const image = `\${cloudimg_base}/${codename}/latest`;
  const cloudimg = {
    url: `${image}/debian-${version}-generic-\${arch}.qcow2`,
    sums: `${image}/SHA512SUMS`,
    algorithm: 'sha512' as const,
  };
  const include = INCLUDE.filter((name) => !lacks.includes(name));
  const packages = {
    suite: codename,
    components: ['main'],
    kernel: '${kernel}',
    include,
    include_for: BIOS,
  };
  const name = `debian-${version}`;
  const title = `Debian ${version} (${codename})`;
  const plans = `test/unit/golden/plans/debian-${version}.json`;
  return defineRecipe({
    name,
    title,
    family: 'debian',
    version,
    arch: ['amd64', 'arm64'],
    grade,
    proven,
    evidence: [...evidence, plans],
    per_arch: {
      arm64: { ...arm64, evidence: [...arm64.evidence, plans], maas: { name: arm64Name(name) } },
    },
    variables: variables(release),
    sources: mirrored ? { packages, installer: installer(release) } : { cloudimg },
    machine: { memory: '1536M', cpus: 2, disk: '3G', firmware: 'uefi' },
    user: 'root',
    packages: STANDARD_PACKAGES,
    provision: debianSteps(release),
    // The vendor's image has its root in a partition.
    layouts: mirrored
      ? {
          flat: { sources: { cloudimg } },
          lvm: {
            ...lvm,
            sources: { packages: { layout: 'lvm' } },
            provision: LVM_STEPS,
            // Beside the other in MAAS, not in its place.
            maas: { name: `${name}-lvm`, title: `Debian ${version} (${codename}, LVM)` },
            per_arch: { arm64: { maas: { name: arm64Name(`${name}-lvm`) } } },
          },
        }
      : {},
    outputs: ['tgz', 'ddgz'],
    maas: {
      name,
      title,
      base_image: base,
      architecture: '${arch}/generic',
      user: 'debian',
      minimum_maas: '3.2',
      minimum_curtin: '21.0',
      maturity,
    },
  });
}

/** The network installation medium, or the first of the DVDs: its answers are in its initrd, so that nothing is typed. */
function installer(release: Release): NonNullable<RecipeInput['sources']['installer']> {
  const { version } = release;
  return {
    iso_names: `debian-${version}.x.0-\${arch}-netinst.iso or debian-${version}.x.0-\${arch}-DVD-1.iso, from https://cdimage.debian.org/`,
    language: 'preseed',
    installs_packages: true,
    file_name: `debian-${version}\\.\\d+\\.\\d+-\${arch}-(netinst|DVD-1)\\.iso`,
    volume: `Debian ${version}\\.\\d+\\.\\d+ \${arch} [n1]`,
    append: 'auto=true priority=critical',
    answers: [{ on: 'initrd', files: { 'preseed.cfg': debianPreseed(release) } }],
    memory: '1G',
    timeout: '90m',
  };
}

export const debianRecipes: readonly RecipeInput[] = RELEASES.map(debian);
