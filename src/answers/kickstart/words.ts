/** Splits a line of a kickstart into words as Anaconda does: by the rules of Python's shlex in POSIX mode. */

export interface Word {
  readonly text: string;
  /** From 1. */
  readonly column: number;
}

export interface Split {
  readonly words: readonly Word[];
  /** Why the line cannot be split, and where that begins. */
  readonly broken?: { readonly why: string; readonly column: number };
}

/**
 * Blanks separate words; `'…'` is literal; in `"…"` a backslash escapes `"` and itself; outside of quotes it escapes
 * anything; `#` begins a comment where a word could begin, and inside a word that no quote has opened.
 */
export function splitWords(line: string): Split {
  const words: Word[] = [];
  let text = '';
  let start = -1;
  const end = (): void => {
    if (start >= 0) words.push({ text, column: start + 1 });
    text = '';
    start = -1;
  };
  for (let at = 0; at < line.length; at++) {
    const character = line[at] ?? '';
    if (character === ' ' || character === '\t' || character === '\r') {
      end();
    } else if (character === '#') {
      break;
    } else if (character === "'" || character === '"') {
      if (start < 0) start = at;
      const quoted = readQuoted(line, at);
      if (quoted === undefined) {
        return { words, broken: { why: `the quote ${character} is not closed`, column: at + 1 } };
      }
      text += quoted.text;
      at = quoted.last;
    } else if (character === '\\') {
      if (start < 0) start = at;
      if (at + 1 === line.length) {
        return { words, broken: { why: 'a backslash at its end continues no line here', column: at + 1 } };
      }
      text += line[++at];
    } else {
      if (start < 0) start = at;
      text += character;
    }
  }
  end();
  return { words };
}

/** The quoted text that begins at `at`, and where its closing quote stands. */
function readQuoted(line: string, at: number): { text: string; last: number } | undefined {
  const quote = line[at];
  let text = '';
  for (let next = at + 1; next < line.length; next++) {
    const character = line[next] ?? '';
    if (character === quote) return { text, last: next };
    const following = line[next + 1];
    const escaped = quote === '"' && character === '\\' && (following === '"' || following === '\\');
    text += escaped ? following : character;
    if (escaped) next++;
  }
  return undefined;
}
