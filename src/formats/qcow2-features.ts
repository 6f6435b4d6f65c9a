/** Names for feature bits, from the table an image carries about itself. */

/** One row of the feature name table. `type`: 0 incompatible, 1 compatible, 2 autoclear. */
export interface Qcow2Feature {
  readonly type: number;
  readonly bit: number;
  readonly name: string;
}

const INCOMPATIBLE = 0;

/** The set bits of `features`, an incompatible-feature mask, with their names where the image gives them. */
export function featureText(features: bigint, names: readonly Qcow2Feature[]): string {
  const parts: string[] = [];
  for (let bit = 0; bit < 64; bit++) {
    if (((features >> BigInt(bit)) & 1n) === 0n) continue;
    const name = names.find((row) => row.type === INCOMPATIBLE && row.bit === bit)?.name;
    parts.push(name ? `bit ${bit} (${name})` : `bit ${bit}`);
  }
  return parts.join(', ');
}
