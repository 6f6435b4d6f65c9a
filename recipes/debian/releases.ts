/** The releases of Debian, a row each. */
import type { RecipeInput } from '../../src/recipe/schema.ts';

export interface Release {
  readonly version: string;
  readonly codename: string;
  /** The Ubuntu release whose kernel, tar and tools MAAS unpacks the image with; Debian is not among MAAS's base images. */
  readonly base: string;
  /** Suite of security updates. */
  readonly security: string;
  /** Still on Debian's mirrors: built from packages and by its installer too. An old one is its cloud image alone. */
  readonly mirrored: boolean;
  /** Packages of `INCLUDE` that the release does not have. */
  readonly lacks: readonly string[];
  readonly maturity: 'stable' | 'eol';
  readonly grade: RecipeInput['grade'];
  readonly proven: string;
  readonly evidence: readonly string[];
  /** Of a root on LVM, where other things were seen. */
  readonly lvm?: Seen;
  /** Of arm64, in every layout. */
  readonly arm64: Seen;
}

interface Seen {
  readonly grade: RecipeInput['grade'];
  readonly proven: string;
  readonly evidence: string[];
}

const PLANNED: Seen = {
  grade: 'checked',
  proven: 'its plans and answers are checked; nothing was built',
  evidence: [],
};
const PACKAGES = 'test/machine/debian-packages.test.ts';
/** A run of that test with COMPOSE_PROVE; docs/debian.md says when and how long it took. */
const FLAT_SEEN =
  "built from the distribution's packages; the restored dd image booted by UEFI on a larger disk and by BIOS, the tgz deployed onto a disk of its own booted by UEFI, each until cloud-init was done";
const LVM_SEEN =
  "built from the distribution's packages; the restored dd image booted by UEFI on a larger disk, where the root grew to its end, and by BIOS, each until cloud-init was done";
const ARM64_SEEN: Seen = {
  grade: 'built',
  proven:
    "built from the distribution's packages; the restored dd image, flat and on LVM, booted by UEFI on a larger disk, where the root grew to its end, the tgz deployed onto a disk of its own booted by UEFI, each until cloud-init was done",
  evidence: [PACKAGES, 'docs/debian.md'],
};
const DOUBLE = 'test/machine/doubles-debian.test.ts';

export const RELEASES: readonly Release[] = [
  {
    version: '10',
    codename: 'buster',
    base: 'ubuntu/focal',
    security: 'buster/updates',
    mirrored: false,
    lacks: ['systemd-resolved'],
    maturity: 'eol',
    grade: 'checked',
    proven: 'its plans are checked; its cloud image and the archive were not reached from here',
    evidence: [],
    arm64: PLANNED,
  },
  {
    version: '11',
    codename: 'bullseye',
    base: 'ubuntu/focal',
    security: 'bullseye-security',
    mirrored: true,
    lacks: ['systemd-resolved'],
    maturity: 'eol',
    grade: 'built',
    proven: FLAT_SEEN,
    evidence: [PACKAGES, DOUBLE, 'docs/debian.md'],
    lvm: { grade: 'built', proven: LVM_SEEN, evidence: [PACKAGES, 'docs/debian.md'] },
    arm64: ARM64_SEEN,
  },
  {
    version: '12',
    codename: 'bookworm',
    base: 'ubuntu/jammy',
    security: 'bookworm-security',
    mirrored: true,
    lacks: [],
    maturity: 'stable',
    grade: 'built',
    proven:
      "built from the distribution's packages and booted; the tgz read back with curtin's tar flags, the restored dd image booted until cloud-init was done. The cloud image path ran against a local server only, its installation against a double of debian-installer",
    evidence: ['test/machine/main-job.test.ts', DOUBLE, 'docs/debian.md'],
    lvm: {
      grade: 'built',
      proven: LVM_SEEN,
      evidence: [PACKAGES, 'docs/debian.md'],
    },
    arm64: ARM64_SEEN,
  },
  {
    version: '13',
    codename: 'trixie',
    base: 'ubuntu/noble',
    security: 'trixie-security',
    mirrored: true,
    lacks: [],
    maturity: 'stable',
    grade: 'built',
    proven: FLAT_SEEN,
    evidence: [PACKAGES, 'docs/debian.md'],
    lvm: {
      grade: 'built',
      proven: `${LVM_SEEN}; its installation, from the ISO to the tgz, against a double of debian-installer`,
      evidence: [PACKAGES, DOUBLE, 'docs/debian.md'],
    },
    arm64: ARM64_SEEN,
  },
];
