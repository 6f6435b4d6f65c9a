/**
 * The text LVM2 keeps its metadata in (lvm.conf(5), section SYNTAX; `vgcfgbackup` writes the same): named sections in
 * braces, settings with an equals sign, numbers, strings, arrays, and comments from `#` to the end of the line.
 */

import { FormatError } from '../errors.ts';

export type LvmValue = number | string | readonly LvmValue[];

/** A section: its settings and the sections in it, in the order of the text. */
export class LvmSection {
  readonly name: string;
  readonly values = new Map<string, LvmValue>();
  readonly sections = new Map<string, LvmSection>();

  constructor(name: string) {
    this.name = name;
  }

  /** @throws FormatError `lvm.damaged` when it is not there */
  section(name: string): LvmSection {
    const section = this.sections.get(name);
    if (section === undefined) throw this.#problem(`it has no section ${name}`);
    return section;
  }

  /** @throws FormatError `lvm.damaged` when it is not there or no text */
  text(name: string): string {
    const value = this.values.get(name);
    if (typeof value !== 'string') throw this.#problem(`its setting ${name} is not a string`);
    return value;
  }

  /** A whole number from 0 to 2^53 - 1. @throws FormatError `lvm.damaged` when it is not there or no such number */
  count(name: string): number {
    const value = this.values.get(name);
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
    throw this.#problem(`its setting ${name} is not a whole number`);
  }

  /** The elements of an array; one value alone counts as an array of one, and a setting that is not there as none. */
  list(name: string): readonly LvmValue[] {
    const value = this.values.get(name);
    if (value === undefined) return [];
    return typeof value === 'object' ? value : [value];
  }

  #problem(why: string): FormatError {
    return damagedText(`section ${this.name || '(top)'} is not complete: ${why}`);
  }
}

/** Sections in sections; LVM's own nest four deep. */
const MAX_DEPTH = 32;
const MAX_ARRAY_DEPTH = 8;

const MARKS = '{}[]=,';
const WORD = /[A-Za-z0-9_.+/!@-]/;
const NUMBER = /^[+-]?(?:\d+|\d*\.\d+|\d+\.\d*)$/;

interface Token {
  readonly kind: 'mark' | 'string' | 'word' | 'end';
  readonly text: string;
  readonly position: number;
}

/**
 * The sections and settings of `text`. Of a setting or section given twice the last one counts.
 * @throws FormatError `lvm.damaged`
 */
export function parseLvmText(text: string): LvmSection {
  const parser = new Parser(text);
  const top = new LvmSection('');
  parser.fill(top, 0);
  return top;
}

class Parser {
  readonly #text: string;
  #position = 0;
  #token: Token;

  constructor(text: string) {
    this.#text = text;
    this.#token = this.#scan();
  }

  fill(section: LvmSection, depth: number): void {
    if (depth > MAX_DEPTH) throw this.#unexpected(`sections nest deeper than ${MAX_DEPTH}`);
    for (;;) {
      const name = this.#take();
      if (name.kind === 'end' && depth === 0) return;
      if (name.kind === 'mark' && name.text === '}' && depth > 0) return;
      if (name.kind !== 'word' && name.kind !== 'string') throw this.#unexpected('a name is missing', name);
      const after = this.#take();
      if (after.kind !== 'mark') throw this.#unexpected(`after ${name.text} there is neither { nor =`, after);
      if (after.text === '{') {
        const inner = new LvmSection(name.text);
        this.fill(inner, depth + 1);
        section.sections.set(name.text, inner);
      } else if (after.text === '=') {
        section.values.set(name.text, this.#value(0));
      } else {
        throw this.#unexpected(`after ${name.text} there is neither { nor =`, after);
      }
    }
  }

  #value(depth: number): LvmValue {
    const token = this.#take();
    if (token.kind === 'string') return token.text;
    if (token.kind === 'word') return NUMBER.test(token.text) ? Number(token.text) : token.text;
    if (token.kind !== 'mark' || token.text !== '[') throw this.#unexpected('a value is missing', token);
    if (depth > MAX_ARRAY_DEPTH) throw this.#unexpected(`arrays nest deeper than ${MAX_ARRAY_DEPTH}`, token);
    const values: LvmValue[] = [];
    while (!this.#at(']')) {
      values.push(this.#value(depth + 1));
      if (this.#at(',')) this.#take();
      else if (!this.#at(']')) throw this.#unexpected('an array has no comma between two values');
    }
    this.#take();
    return values;
  }

  #at(mark: string): boolean {
    return this.#token.kind === 'mark' && this.#token.text === mark;
  }

  #take(): Token {
    const token = this.#token;
    this.#token = this.#scan();
    return token;
  }

  #scan(): Token {
    const text = this.#text;
    // By hand: a regular expression keeps a way back for every character of a long string or comment.
    let at = this.#blanks(this.#position);
    const position = at;
    const first = text[at];
    if (first === undefined) {
      this.#position = at;
      return { kind: 'end', text: '', position };
    }
    if (MARKS.includes(first)) {
      this.#position = at + 1;
      return { kind: 'mark', text: first, position };
    }
    if (first === '"') {
      for (at++; at < text.length && text[at] !== '"'; at++) if (text[at] === '\\') at++;
      if (at >= text.length) throw damagedText(`the string at character ${position} has no end`);
      this.#position = at + 1;
      return { kind: 'string', text: text.slice(position + 1, at).replace(/\\(.)/gs, '$1'), position };
    }
    while (at < text.length && WORD.test(text[at]!)) at++;
    if (at === position) throw damagedText(`${JSON.stringify(first)} at character ${position} belongs to no token`);
    this.#position = at;
    return { kind: 'word', text: text.slice(position, at), position };
  }

  /** Where the blanks and comments from `start` on end. LVM ends its text with a NUL. */
  #blanks(start: number): number {
    const text = this.#text;
    for (let at = start; ; at++) {
      const char = text[at];
      if (char === '#') {
        const end = text.indexOf('\n', at);
        if (end < 0) return text.length;
        at = end;
      } else if (char !== ' ' && char !== '\n' && char !== '\t' && char !== '\r' && char !== '\0') {
        return Math.min(at, text.length);
      }
    }
  }

  #unexpected(why: string, token: Token = this.#token): FormatError {
    const found = token.kind === 'end' ? 'the end' : JSON.stringify(token.text.slice(0, 40));
    return damagedText(`${why}, but at character ${token.position} there is ${found}`);
  }
}

function damagedText(why: string): FormatError {
  return new FormatError('lvm.damaged', `Cannot read the metadata of the LVM volume group: ${why}`, {
    hint: 'Restore the metadata with vgcfgrestore on a copy of the disk; `pvck --dump metadata DEVICE` shows it.',
  });
}
