/** Patterns of edits: `*` stands for any run of bytes within one component of a path (see `Edit` of file-tree.ts). */

/** The components of an edit's path. */
export function patternParts(path: string): string[] {
  return path.split('/').filter((part) => part !== '');
}

/** Whether a name matches one component of a pattern. */
export function componentMatcher(pattern: string): (name: Uint8Array) => boolean {
  // One character a byte on both sides, so that names in any encoding match.
  const text = Buffer.from(pattern, 'utf8').toString('latin1');
  const literals = text.split('*');
  return (name) => matches(literals, Buffer.from(name.buffer, name.byteOffset, name.length).toString('latin1'));
}

/** Takes each literal at its first place after the one before, which finds a match whenever there is one. */
function matches(literals: readonly string[], name: string): boolean {
  const first = literals[0]!;
  const last = literals.at(-1)!;
  if (literals.length === 1) return name === first;
  if (name.length < first.length + last.length || !name.startsWith(first) || !name.endsWith(last)) return false;
  const end = name.length - last.length;
  let at = first.length;
  for (const literal of literals.slice(1, -1)) {
    const found = name.indexOf(literal, at);
    if (found < 0 || found + literal.length > end) return false;
    at = found + literal.length;
  }
  return true;
}
