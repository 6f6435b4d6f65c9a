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
  /** What differs on arm64, where less was seen. */
  readonly arm64: { readonly grade: RecipeInput['grade']; readonly proven: string };
}

const PLANNED = 'plans and answers are checked; nothing was built for arm64 here';

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
    proven: 'its plans are checked; its cloud image and its archive were not reached from here',
    arm64: { grade: 'checked', proven: PLANNED },
  },
  {
    version: '11',
    codename: 'bullseye',
    base: 'ubuntu/focal',
    security: 'bullseye-security',
    mirrored: true,
    lacks: ['systemd-resolved'],
    maturity: 'eol',
    grade: 'checked',
    proven: 'its plans are checked',
    arm64: { grade: 'checked', proven: PLANNED },
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
      "built from the distribution's packages and booted; the tgz read back with curtin's tar flags, the restored dd image booted until cloud-init was done. The cloud image path ran against a local server only",
    arm64: { grade: 'checked', proven: PLANNED },
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
    proven:
      "built from the distribution's packages and booted; the restored dd image booted until cloud-init was done. It shares every step with debian-12",
    arm64: { grade: 'checked', proven: PLANNED },
  },
];
