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
  /** By the first name of their paths, so that most entries meet none; all under the empty one where a pattern begins with a star. */
  readonly #rules = new Map<string, Rule[]>();
  readonly #applied = new Set<string>();

  constructor(edits: readonly Edit[]) {
    const first = edits.map(({ path }) => patternParts(path)[0] ?? '');
    const open = first.some((name) => name.includes('*'));
    for (const [at, { kind, path }] of edits.entries()) {
      const key = open ? '' : latin1(Buffer.from(first[at] ?? ''));
      const rules = this.#rules.get(key) ?? [];
      rules.push({ kind, parts: patternParts(path).map(componentMatcher) });
      this.#rules.set(key, rules);
    }
  }

  judge(entry: Entry): Verdict {
    if (entry.path.length === 0) return 'keep';
    const rules = this.#rules.get('') ?? this.#rules.get(firstName(entry.path));
    if (rules === undefined) return 'keep';
    const names = components(entry.path);
    let verdict: Verdict = 'keep';
    for (const { kind, parts } of rules) {
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

/** One character a byte. */
function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}

function firstName(path: Uint8Array): string {
  const slash = path.indexOf(SLASH);
  return latin1(slash < 0 ? path : path.subarray(0, slash));
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
