/** The version of a MAAS. One that cannot be read counts as the newest. */
export interface MaasVersion {
  readonly text: string;
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
}

export function parseVersion(text: string): MaasVersion {
  const [, major, minor, patch] = /^(\d+)\.(\d+)(?:\.(\d+))?/.exec(text) ?? [];
  if (major === undefined) return { text, major: Infinity, minor: 0, patch: 0 };
  return { text, major: Number(major), minor: Number(minor), patch: Number(patch ?? 0) };
}

export function atLeast(version: MaasVersion, major: number, minor: number): boolean {
  return version.major > major || (version.major === major && version.minor >= minor);
}

/**
 * Whether machines are booted by an image's name alone, so that one name on two architectures breaks both: mended in 3.6.3,
 * 3.7.1 and 3.8 (Launchpad 2138312).
 */
export function bootsByNameAlone({ major, minor, patch }: MaasVersion): boolean {
  if (major !== 3) return major < 3;
  return minor < 6 || (minor === 6 && patch < 3) || (minor === 7 && patch < 1);
}
