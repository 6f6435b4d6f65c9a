/** What a YAML or JSON document must look like: the parts of a schema, and the short form they are written in. */

export type Shape =
  | { readonly is: 'text' | 'integer' | 'number' | 'boolean' | 'null' | 'any' }
  | { readonly is: 'word'; readonly word: string }
  | { readonly is: 'list'; readonly of: Shape }
  /** A mapping whose keys are names of the author's. */
  | { readonly is: 'table'; readonly of: Shape }
  | { readonly is: 'record'; readonly fields: ReadonlyMap<string, Field>; readonly open: boolean }
  | { readonly is: 'one-of'; readonly shapes: readonly Shape[] }
  /** A shape of the same text, by its name. */
  | { readonly is: 'named'; readonly name: string };

export interface Field {
  readonly shape: Shape;
  readonly required: boolean;
  /** Deprecated, and the key that took its place; empty where none did. */
  readonly instead: string | undefined;
  /** First release that reads it. */
  readonly since: string | undefined;
}

export type Shapes = ReadonlyMap<string, Shape>;

/**
 * Reads shapes, a `name = shape` each. `s` text, `i` integer, `n` number, `b` boolean, `null`, `any`, `"word"`, `[x]` list of x,
 * `<x>` mapping of any key to x, `x|y` one of these, `@name` another shape, `{key: x, …}` mapping. A key may be followed by
 * `!` (required), `~` or `~other` (deprecated for other), `>=24.04` (since that release); `*` in place of a key lets any
 * other through. `#` begins a comment.
 */
export function readShapes(text: string): Shapes {
  const reader = new ShapeReader(text);
  const shapes = new Map<string, Shape>();
  while (!reader.done) {
    const name = reader.take(/[\w-]+/y);
    reader.take(/=/y);
    shapes.set(name, reader.shape());
  }
  return shapes;
}

const BLANK = /(?:\s|#[^\n]*)*/y;
const LETTERS = { s: 'text', i: 'integer', n: 'number', b: 'boolean', null: 'null', any: 'any' } as const;

class ShapeReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    this.#skip();
  }

  get done(): boolean {
    return this.#at >= this.#text.length;
  }

  #skip(): void {
    BLANK.lastIndex = this.#at;
    BLANK.exec(this.#text);
    this.#at = BLANK.lastIndex;
  }

  #peek(): string {
    return this.#text[this.#at] ?? '';
  }

  take(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match === null)
      throw new TypeError(`shapes: ${pattern.source} expected at ${this.#text.slice(this.#at, this.#at + 30)}`);
    this.#at += match[0].length;
    this.#skip();
    return match[0];
  }

  shape(): Shape {
    const shapes = [this.#single()];
    while (this.#peek() === '|') {
      this.take(/\|/y);
      shapes.push(this.#single());
    }
    const [first] = shapes;
    return shapes.length === 1 && first !== undefined ? first : { is: 'one-of', shapes };
  }

  #single(): Shape {
    const next = this.#peek();
    if (next === '{') return this.#record();
    if (next === '[' || next === '<') {
      this.take(/[[<]/y);
      const of = this.shape();
      this.take(/[\]>]/y);
      return { is: next === '[' ? 'list' : 'table', of };
    }
    if (next === '"') return { is: 'word', word: this.take(/"[^"]*"/y).slice(1, -1) };
    if (next === '@') return { is: 'named', name: this.take(/@[\w-]+/y).slice(1) };
    return { is: LETTERS[this.take(/null|any|[sinb]/y) as keyof typeof LETTERS] };
  }

  #record(): Shape {
    const fields = new Map<string, Field>();
    let open = false;
    this.take(/\{/y);
    while (this.#peek() !== '}') {
      if (this.#peek() === '*') {
        this.take(/\*/y);
        open = true;
      } else {
        const key = this.take(/[\w$/.-]+/y);
        const required = this.#peek() === '!' && this.take(/!/y) === '!';
        const instead = this.#peek() === '~' ? this.take(/~[\w.-]*/y).slice(1) : undefined;
        const since = this.#peek() === '>' ? this.take(/>=[\d.]+/y).slice(2) : undefined;
        this.take(/:/y);
        fields.set(key, { shape: this.shape(), required, instead, since });
      }
      if (this.#peek() === ',') this.take(/,/y);
    }
    this.take(/\}/y);
    return { is: 'record', fields, open };
  }
}
