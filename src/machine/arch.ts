/** Architectures of guests, by Debian's names. */
export const ARCHITECTURES = ['amd64', 'arm64'] as const;
export type Arch = (typeof ARCHITECTURES)[number];

/** What Node calls each architecture (process.arch). */
const NODE_NAMES: Readonly<Record<string, Arch>> = { x64: 'amd64', arm64: 'arm64' };

/** The host's own architecture; undefined where compose has no guests of it. */
export function hostArch(name: string = process.arch): Arch | undefined {
  return NODE_NAMES[name];
}
