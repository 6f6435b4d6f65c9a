/** Tells Jsonnet from JSON, and takes its comments away. */

/** Marks of what has to be evaluated, looked for outside of texts and comments. */
const CODE =
  /(?<![\w.])(local|import|importstr|function|if|for|assert|error|self|super|std)(?![\w'"]*\s*:)\b|\$\.|\|\|\||\+:|::|[\])}\w]\s*\+\s*[[({\w]/;

export interface Stripped {
  /** As long as the text, line for line, comments blanked. */
  readonly plain: string;
  /** Whether it holds code of Jsonnet. */
  readonly code: boolean;
}

/** Blanks comments: `//`, `#`, and the kind between slash-asterisk and asterisk-slash. */
export function stripJsonnet(text: string): Stripped {
  const out: string[] = [];
  const outside: string[] = [];
  let at = 0;
  while (at < text.length) {
    const rest = nextPart(text, at);
    const part = text.slice(at, rest.end);
    out.push(rest.kind === 'comment' ? part.replace(/[^\n]/g, ' ') : part);
    outside.push(rest.kind === 'plain' ? part : rest.kind === 'text' ? '""' : ' ');
    at = rest.end;
  }
  return { plain: out.join(''), code: CODE.test(outside.join('')) };
}

function nextPart(text: string, at: number): { kind: 'plain' | 'text' | 'comment'; end: number } {
  const first = text[at];
  const ends = (found: number, length: number): number => (found < 0 ? text.length : found + length);
  if (first === '#' || text.startsWith('//', at)) return { kind: 'comment', end: ends(text.indexOf('\n', at), 0) };
  if (text.startsWith('/*', at)) return { kind: 'comment', end: ends(text.indexOf('*/', at + 2), 2) };
  if (first === '"' || first === "'") {
    let end = at + 1;
    while (end < text.length && text[end] !== first) end += text[end] === '\\' ? 2 : 1;
    return { kind: 'text', end: Math.min(text.length, end + 1) };
  }
  let end = at + 1;
  while (end < text.length && !/["'#/]/.test(text[end] ?? '')) end++;
  return { kind: 'plain', end };
}
