/** QEMU's option syntax: `word,key=value,key=value`, a comma of a value doubled (qemu docs: -drive file with commas). */

export interface QemuOptions {
  /** The leading word that has no key. */
  readonly word: string | undefined;
  /** In order; a key may be there more than once (hostfwd). A key without value is `on`. */
  readonly pairs: readonly (readonly [key: string, value: string])[];
}

/** `word` and `pairs` as one argument. */
export function joinOptions(word: string | undefined, pairs: Readonly<Record<string, string | number>>): string {
  const parts = Object.entries(pairs).map(([key, value]) => `${key}=${escapeComma(String(value))}`);
  return [...(word === undefined ? [] : [escapeComma(word)]), ...parts].join(',');
}

export function escapeComma(value: string): string {
  return value.replaceAll(',', ',,');
}

/** Reads an argument in QEMU's syntax. JSON, which -device, -blockdev and -object take as well, gives its top-level scalars. */
export function readOptions(text: string): QemuOptions {
  if (text.startsWith('{')) return readJson(text);
  const parts = splitCommas(text);
  const pairs: [string, string][] = [];
  let word: string | undefined;
  for (const [index, part] of parts.entries()) {
    const equals = part.indexOf('=');
    if (equals >= 0) pairs.push([part.slice(0, equals), part.slice(equals + 1)]);
    else if (index === 0) word = part;
    else if (part !== '') pairs.push([part, 'on']);
  }
  return { word, pairs };
}

function splitCommas(text: string): string[] {
  const parts: string[] = [];
  let part = '';
  for (let at = 0; at < text.length; at++) {
    if (text[at] !== ',') part += text[at];
    else if (text[at + 1] === ',') {
      part += ',';
      at++;
    } else {
      parts.push(part);
      part = '';
    }
  }
  return [...parts, part];
}

function readJson(text: string): QemuOptions {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { word: undefined, pairs: [] };
  }
  const pairs = flatten(value as object, '', 0);
  return { word: pairs.find(([key]) => /^(driver|qom-type|type)$/.test(key))?.[1], pairs };
}

/** Nested keys are joined by dots, as the other syntax writes them. */
function flatten(value: object, prefix: string, depth: number): [string, string][] {
  if (depth > 8) return [];
  return Object.entries(value).flatMap(([key, item]): [string, string][] => {
    if (typeof item === 'object' && item !== null) return flatten(item, `${prefix}${key}.`, depth + 1);
    return [[prefix + key, typeof item === 'boolean' ? (item ? 'on' : 'off') : String(item)]];
  });
}
