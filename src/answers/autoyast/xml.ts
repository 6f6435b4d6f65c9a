/** Reads XML into elements with their places; what is not well-formed ends the reading, with its line. */

export interface Element {
  readonly name: string;
  readonly line: number;
  readonly column: number;
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: readonly Element[];
  /** Of the element itself, without that of its children. */
  readonly text: string;
}

export interface Broken {
  readonly broken: string;
  readonly line: number;
  readonly column: number;
}

const NAME = /[A-Za-z_:\u0080-\uffff][\w:.\u0080-\uffff-]*/y;
const ATTRIBUTE = /\s*([A-Za-z_:\u0080-\uffff][\w:.\u0080-\uffff-]*)\s*=\s*("[^"<]*"|'[^'<]*')/y;
const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };
/** Deeper than any profile; each level is a frame for whoever walks the tree. */
const DEEPEST = 200;

interface OpenElement {
  readonly name: string;
  readonly line: number;
  readonly column: number;
  readonly attributes: Map<string, string>;
  readonly children: Element[];
  readonly text: string[];
}

/** The root element, or why there is none. */
export function readXml(text: string): Element | Broken {
  try {
    return new XmlReader(text).read();
  } catch (error) {
    if (error instanceof XmlError) return error.where;
    throw error;
  }
}

class XmlError extends Error {
  readonly where: Broken;

  constructor(where: Broken) {
    super(where.broken);
    this.where = where;
  }
}

class XmlReader {
  readonly #text: string;
  /** Where lines begin, found on the way: places are asked for in rising order. */
  #line = 1;
  #lineStart = 0;
  #counted = 0;

  constructor(text: string) {
    this.#text = text;
  }

  read(): Element {
    const open: OpenElement[] = [];
    let root: Element | undefined;
    let at = this.#text.charCodeAt(0) === 0xfeff ? 1 : 0;
    while (at < this.#text.length) {
      const tag = this.#text.indexOf('<', at);
      const end = tag < 0 ? this.#text.length : tag;
      const characters = this.#decode(at, end);
      const last = open.at(-1);
      if (last !== undefined) last.text.push(characters);
      else if (characters.trim() !== '') this.#fail(at, 'there is text outside of the root element');
      if (tag < 0) break;
      if (this.#text.startsWith('<![CDATA[', tag)) {
        const close = this.#find(']]>', tag + 9, tag, 'a CDATA section is not closed');
        if (last === undefined) this.#fail(tag, 'there is text outside of the root element');
        last.text.push(this.#text.slice(tag + 9, close));
        at = close + 3;
      } else if (this.#text.startsWith('<!--', tag)) {
        at = this.#find('-->', tag + 4, tag, 'a comment is not closed') + 3;
      } else if (this.#text.startsWith('<?', tag)) {
        at = this.#find('?>', tag + 2, tag, 'a processing instruction is not closed') + 2;
      } else if (this.#text.startsWith('<!', tag)) {
        at = this.#declaration(tag);
      } else if (this.#text.startsWith('</', tag)) {
        const { name, next } = this.#closing(tag);
        const element = open.pop();
        if (element === undefined || element.name !== name) {
          const what = element === undefined ? 'nothing' : `<${element.name}>`;
          this.#fail(tag, `</${name}> closes ${what}`);
        }
        root = this.#close(element, open) ?? root;
        at = next;
      } else {
        if (open.length === 0 && root !== undefined) this.#fail(tag, 'there is a second root element');
        const { element, next, empty } = this.#opening(tag);
        if (open.length >= DEEPEST) this.#fail(tag, 'elements are nested too deep');
        if (empty) root = this.#close(element, open) ?? root;
        else open.push(element);
        at = next;
      }
    }
    const unclosed = open.at(-1);
    if (unclosed !== undefined) {
      const { line, column } = unclosed;
      throw new XmlError({ broken: `<${unclosed.name}> is not closed`, line, column });
    }
    if (root === undefined) throw new XmlError({ broken: 'it has no element', line: 1, column: 1 });
    return root;
  }

  /** @returns the element where it is the root */
  #close(element: OpenElement, open: readonly OpenElement[]): Element | undefined {
    const { name, line, column, attributes, children, text } = element;
    const done: Element = { name, line, column, attributes, children, text: text.join('') };
    const parent = open.at(-1);
    if (parent === undefined) return done;
    parent.children.push(done);
    return undefined;
  }

  #opening(tag: number): { element: OpenElement; next: number; empty: boolean } {
    NAME.lastIndex = tag + 1;
    const name = NAME.exec(this.#text)?.[0];
    if (name === undefined) this.#fail(tag, 'a "<" begins no tag');
    let at = NAME.lastIndex;
    const attributes = new Map<string, string>();
    for (;;) {
      ATTRIBUTE.lastIndex = at;
      const match = ATTRIBUTE.exec(this.#text);
      if (match === null) break;
      const [, key = '', quoted = ''] = match;
      if (!/\s/.test(this.#text[at] ?? '')) this.#fail(at, `a blank is missing before ${key}`);
      if (attributes.has(key)) this.#fail(tag, `<${name}> has ${key} twice`);
      attributes.set(key, quoted.slice(1, -1));
      at = ATTRIBUTE.lastIndex;
    }
    const end = /\s*(\/?)>/y;
    end.lastIndex = at;
    const match = end.exec(this.#text);
    if (match === null) this.#fail(tag, `the tag <${name}> is not well-formed`);
    const element = { name, ...this.#place(tag), attributes, children: [], text: [] };
    return { element, next: end.lastIndex, empty: match[1] === '/' };
  }

  #closing(tag: number): { name: string; next: number } {
    NAME.lastIndex = tag + 2;
    const name = NAME.exec(this.#text)?.[0];
    const end = /\s*>/y;
    end.lastIndex = NAME.lastIndex;
    if (name === undefined || end.exec(this.#text) === null) this.#fail(tag, 'a closing tag is not well-formed');
    return { name, next: end.lastIndex };
  }

  /** A DOCTYPE may hold declarations of its own between brackets. */
  #declaration(tag: number): number {
    const close = this.#find('>', tag, tag, 'a declaration is not closed');
    const bracket = this.#text.indexOf('[', tag);
    if (bracket < 0 || bracket > close) return close + 1;
    const end = this.#find(']', bracket, tag, 'a declaration is not closed');
    return this.#find('>', end, tag, 'a declaration is not closed') + 1;
  }

  #decode(from: number, to: number): string {
    const part = this.#text.slice(from, to);
    if (!part.includes('&')) return part;
    return part.replace(
      /&(?:#(\d{1,7})|#x([0-9a-fA-F]{1,6})|(\w{1,20}))?;?/g,
      (match, decimal, hex, name, offset: number) => {
        const number =
          decimal !== undefined ? Number(decimal) : hex !== undefined ? Number.parseInt(hex, 16) : undefined;
        if (
          !match.endsWith(';') ||
          (number === undefined && ENTITIES[name] === undefined) ||
          (number ?? 0) > 0x10ffff
        ) {
          this.#fail(from + offset, `${match} is no character: write &amp; for an ampersand`);
        }
        return number === undefined ? (ENTITIES[name] ?? '') : String.fromCodePoint(number);
      },
    );
  }

  #find(what: string, from: number, tag: number, why: string): number {
    const found = this.#text.indexOf(what, from);
    if (found < 0) this.#fail(tag, why);
    return found;
  }

  #place(at: number): { line: number; column: number } {
    for (;;) {
      const end = this.#text.indexOf('\n', this.#counted);
      if (end < 0 || end >= at) break;
      this.#line++;
      this.#counted = end + 1;
      this.#lineStart = this.#counted;
    }
    return { line: this.#line, column: at - this.#lineStart + 1 };
  }

  #fail(at: number, why: string): never {
    throw new XmlError({ broken: why, ...this.#place(at) });
  }
}
