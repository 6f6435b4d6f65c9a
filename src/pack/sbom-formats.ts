import { UsageError } from '../errors.ts';

export const SBOM_FORMATS = ['spdx', 'cyclonedx'] as const;
export type SbomFormat = (typeof SBOM_FORMATS)[number];

/** `spdx,cyclonedx`, also given apart, as a list without repeats. @throws UsageError `pack.sbom` */
export function parseSbomFormats(texts: readonly string[]): SbomFormat[] {
  const names = texts.flatMap((text) => text.split(',')).map((name) => name.trim().toLowerCase());
  const formats = names
    .filter((name) => name !== '')
    .map((name) => {
      const format = SBOM_FORMATS.find((known) => known === name);
      if (format !== undefined) return format;
      throw new UsageError('pack.sbom', `Cannot write a bill of materials: its form is not known (${name})`, {
        hint: `Choose from ${SBOM_FORMATS.join(', ')}.`,
      });
    });
  return [...new Set(formats)];
}
