/** Reads YAML and JSON with positions, for the checks of their shape. */
import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
} from 'yaml';
import type { Place, Report } from '../problem.ts';

/** A mapping's key and its value. */
export interface Entry {
  readonly key: string;
  readonly keyNode: unknown;
  readonly value: unknown;
}

export class ParsedText {
  readonly #document: Document;
  readonly #lines: LineCounter;
  readonly #entries = new WeakMap<object, Entry[]>();

  constructor(document: Document, lines: LineCounter) {
    this.#document = document;
    this.#lines = lines;
  }

  get root(): unknown {
    return this.#document.contents;
  }

  /** What an alias stands for; anything else is itself. */
  resolve(node: unknown): unknown {
    return isAlias(node) ? node.resolve(this.#document) : node;
  }

  place(node: unknown): Place {
    const start = isNode(node) ? (node as Node).range?.[0] : undefined;
    if (start === undefined) return { line: 1 };
    const { line, col } = this.#lines.linePos(start);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  }

  /** Pairs of a mapping, those merged by `<<` included where they are not said again; undefined for what is no mapping. */
  entries(node: unknown): Entry[] | undefined {
    const map = this.resolve(node);
    if (!isMap(map)) return undefined;
    const known = this.#entries.get(map);
    if (known !== undefined) return known;
    const own: Entry[] = [];
    const merged: Entry[] = [];
    for (const item of map.items) {
      if (!isPair(item)) continue;
      const key = isScalar(item.key) ? String(item.key.value) : '';
      if (key !== '<<') own.push({ key, keyNode: item.key, value: item.value });
      else if (isAlias(item.value)) {
        const target = this.resolve(item.value);
        for (const one of isMap(target) ? target.items : []) {
          if (isScalar(one.key)) merged.push({ key: String(one.key.value), keyNode: item.key, value: one.value });
        }
      }
    }
    const said = new Set(own.map(({ key }) => key));
    const entries = [...own, ...merged.filter(({ key }) => !said.has(key))];
    this.#entries.set(map, entries);
    return entries;
  }

  /** Items of a list; undefined for what is none. */
  items(node: unknown): readonly unknown[] | undefined {
    const list = this.resolve(node);
    return isSeq(list) ? list.items : undefined;
  }

  /** A scalar's value; undefined for what is none. A missing value is null. */
  scalar(node: unknown): string | number | bigint | boolean | null | undefined {
    const found = this.resolve(node);
    if (found === null || found === undefined) return null;
    if (!isScalar(found)) return undefined;
    const { value } = found;
    // Dates and bytes are texts to whoever reads them.
    return typeof value === 'object' && value !== null ? String(found.source ?? '') : (value as string | null);
  }

  /** What `node`'s mapping has for `key`. */
  get(node: unknown, key: string): unknown {
    return this.entries(node)?.find((entry) => entry.key === key)?.value;
  }
}

/** The parser calls itself for each, and slows down with them. */
const DEEPEST_BRACKETS = 1000;

/** How many brackets and braces are open at once at most; those in texts count as well. */
function deepest(text: string): number {
  let open = 0;
  let most = 0;
  for (let at = 0; at < text.length; at++) {
    const character = text.charCodeAt(at);
    if (character === 0x5b || character === 0x7b) most = Math.max(most, ++open);
    else if ((character === 0x5d || character === 0x7d) && open > 0) open--;
  }
  return most;
}

/**
 * @param dialect `yaml-1.1`, where `yes` is true, is what PyYAML reads, and so cloud-init and Ubuntu's installer
 * @returns undefined where nothing can be made of it; why is in the report
 */
export function parseText(text: string, dialect: 'yaml-1.1' | 'json', report: Report): ParsedText | undefined {
  const lines = new LineCounter();
  if (deepest(text) > DEEPEST_BRACKETS) {
    report.error({ line: 1 }, 'syntax', `its brackets are nested deeper than ${DEEPEST_BRACKETS}`);
    return undefined;
  }
  try {
    const document = parseDocument(text, {
      lineCounter: lines,
      version: dialect === 'json' ? '1.2' : '1.1',
      // Ours is linear, that of the library compares every key with every other.
      uniqueKeys: false,
      prettyErrors: false,
      keepSourceTokens: false,
      logLevel: 'silent',
    });
    for (const error of document.errors) {
      const { line, col } = lines.linePos(error.pos[0]);
      report.error(
        { line: Math.max(1, line), column: Math.max(1, col) },
        'syntax',
        error.message.split('\n', 1)[0] ?? '',
      );
    }
    return document.errors.length > 0 ? undefined : new ParsedText(document, lines);
  } catch (error) {
    // Ten thousand brackets in one another.
    report.error({ line: 1 }, 'syntax', `it cannot be read: ${(error as Error).message}`);
    return undefined;
  }
}
