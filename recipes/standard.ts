/** What every entry of the catalogue has: the variables an operator may count on, and the steps they need. */
import type { RecipeInput } from '../src/recipe/schema.ts';

type Variables = NonNullable<RecipeInput['variables']>;
type Steps = NonNullable<RecipeInput['provision']>;

const STANDARD = {
  packages: { type: 'list', default: '', describe: 'packages to add, by the names of the distribution' },
  timezone: { type: 'timezone', default: 'Etc/UTC', describe: 'time zone of the image' },
  locale: { type: 'string', default: 'C.UTF-8', describe: 'language and character set of the image' },
  keyboard: { type: 'string', default: 'us', describe: 'keyboard layout of the image' },
} as const satisfies Variables;

/** An entry lists its own packages and this: the items of the variable `packages`. */
export const STANDARD_PACKAGES = ['${packages}'];

/**
 * The standard variables, with other defaults where a family has them.
 * @param defaults by the names of the variables
 */
export function standardVariables(defaults: Partial<Record<keyof typeof STANDARD, string>> = {}): Variables {
  return Object.fromEntries(
    Object.entries(STANDARD).map(([name, variable]) => [
      name,
      { ...variable, default: defaults[name as keyof typeof STANDARD] ?? variable.default },
    ]),
  );
}

/**
 * What an image for arm64 is called in MAAS: before 3.6.3 and 3.7.1 it boots custom images by their name alone, so that one name
 * for two architectures breaks both. A name below that of a system is not a custom image's.
 */
export function arm64Name(name: string): string {
  return name.includes('/') ? name : `${name}-arm64`;
}

/**
 * Regular expression of a line of apt's sources.list that adds packages; a comma, as between architectures in brackets, would end
 * an item of the list.
 */
export const APT_LINE = 'deb +(\\[[^\\]]*\\] +)?(mirror\\+)?(https?|ftp)://\\S+ +(\\S*/|\\S*[^\\s/]( +\\S+)+)';

/** Grade of the disks on LVM of an installer's family. */
type Graded = Required<Pick<RecipeInput, 'grade' | 'proven' | 'evidence'>>;

/**
 * What a layout on LVM is proven by.
 * @param driven whether a double of the entry's medium was driven with it, on amd64
 * @param planned what its plan rests on, for all that was not driven
 */
export function lvmGrade(
  golden: string,
  { driven, planned }: { driven: boolean; planned: string },
): Graded & Pick<RecipeInput, 'per_arch'> {
  const checked: Graded = {
    grade: 'checked',
    proven: `${planned}; no double was driven with this layout`,
    evidence: [golden],
  };
  if (!driven) return checked;
  return {
    grade: 'driven',
    proven:
      "against a double of its medium, from the ISO to a ddgz that started from LVM on a larger disk; the vendor's own installer did not run",
    evidence: ['test/machine/doubles-lvm.test.ts', golden],
    per_arch: { arm64: checked },
  };
}

/** Time zone, locale and keyboard of a Debian or Ubuntu that no installer asked; it has the package `locales`. */
export const DEBIAN_LOCALE_STEPS: Steps = [
  {
    name: 'time zone, locale and keyboard',
    sources: ['cloudimg', 'packages'],
    shell: {
      env: { ZONE: '${timezone}', WANTED: '${locale}', LAYOUT: '${keyboard}' },
      script: [
        '#!/bin/sh -eu',
        'test -e "/usr/share/zoneinfo/$ZONE" || { echo "there is no time zone $ZONE" >&2; exit 1; }',
        'ln -sf "/usr/share/zoneinfo/$ZONE" /etc/localtime',
        'echo "$ZONE" > /etc/timezone',
        'case $WANTED in',
        '  C | C.* | POSIX) ;;',
        '  *)',
        '    grep -q "^$WANTED " /usr/share/i18n/SUPPORTED || { echo "there is no locale $WANTED" >&2; exit 1; }',
        '    grep "^$WANTED " /usr/share/i18n/SUPPORTED >> /etc/locale.gen',
        '    locale-gen ;;',
        'esac',
        'update-locale "LANG=$WANTED"',
        'printf \'XKBMODEL="pc105"\\nXKBLAYOUT="%s"\\nXKBVARIANT=""\\nXKBOPTIONS=""\\n\' "$LAYOUT" > /etc/default/keyboard',
        '',
      ].join('\n'),
    },
  },
];
