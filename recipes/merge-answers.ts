/** Merging of an operator's answers, as data, into those of a recipe. */

type Mapping = Readonly<Record<string, unknown>>;

function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `own` with `custom` merged in: mappings key by key, lists one after the other; anything else is the custom one. */
export function mergeAnswers(own: Mapping, custom: Mapping): Mapping {
  const merged: Record<string, unknown> = { ...own };
  for (const [key, value] of Object.entries(custom)) {
    const below = merged[key];
    if (isMapping(below) && isMapping(value)) merged[key] = mergeAnswers(below, value);
    else if (Array.isArray(below) && Array.isArray(value)) merged[key] = [...below, ...value];
    else merged[key] = value;
  }
  return merged;
}
