import type { Edit, Entry } from '../filesystem/file-tree.ts';
import { componentMatcher, patternParts } from '../filesystem/glob.ts';

const SLASH = 0x2f;

interface Rule {
  readonly kind: Edit['kind'];
  readonly parts: readonly ((name: Uint8Array) => boolean)[];
}

export type Verdict = 'keep' | 'drop' | 'empty';

/**
 * Edits laid over a tree as it streams: tells for each entry whether it stays, goes, or stays without its bytes. Entries
 * come parents first, so one that lies below a dropped one is recognised by its path.
 */
export class Overlay {
  readonly #rules: readonly Rule[];
  readonly #applied = new Set<string>();

  constructor(edits: readonly Edit[]) {
    this.#rules = edits.map((edit) => ({ kind: edit.kind, parts: patternParts(edit.path).map(componentMatcher) }));
  }

  judge(entry: Entry): Verdict {
    if (entry.path.length === 0) return 'keep';
    const names = components(entry.path);
    let verdict: Verdict = 'keep';
    for (const { kind, parts } of this.#rules) {
      if (names.length < parts.length || !parts.every((matches, at) => matches(names[at] ?? entry.path))) continue;
      const exact = names.length === parts.length;
      if (kind === 'remove' || (kind === 'clear' && !exact)) return this.#note(entry, 'drop');
      if (kind === 'empty' && exact && entry.kind === 'file') verdict = 'empty';
    }
    return verdict === 'empty' ? this.#note(entry, verdict) : verdict;
  }

  /** What was dropped or emptied, as text, for the record. */
  get applied(): readonly string[] {
    return [...this.#applied];
  }

  #note(entry: Entry, verdict: Verdict): Verdict {
    const path = new TextDecoder().decode(entry.path);
    const parent = path.slice(0, Math.max(0, path.lastIndexOf('/')));
    if (!this.#applied.has(`drop /${parent}`)) this.#applied.add(`${verdict} /${path}`);
    return verdict;
  }
}

function components(path: Uint8Array): Uint8Array[] {
  const names: Uint8Array[] = [];
  for (let start = 0; start <= path.length; ) {
    const slash = path.indexOf(SLASH, start);
    const end = slash < 0 ? path.length : slash;
    names.push(path.subarray(start, end));
    start = end + 1;
  }
  return names;
}
