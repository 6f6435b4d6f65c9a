/** Holds a document against a shape. */
import { meant, type Report, shown } from '../problem.ts';
import type { ParsedText } from './document.ts';
import type { Shape, Shapes } from './shape.ts';

export interface ShapeOptions {
  readonly shapes: Shapes;
  readonly report: Report;
  /** The release that reads it, to compare with a key's `>=`. */
  readonly release: string;
  /** The release in messages: `Ubuntu 22.04`. */
  readonly releaseName: string;
}

/** Aliases of aliases unfold without end. */
const MOST_NODES = 200_000;
const DEEPEST = 60;

export class ShapeChecker {
  readonly #text: ParsedText;
  readonly #options: ShapeOptions;
  #nodes = 0;

  constructor(text: ParsedText, options: ShapeOptions) {
    this.#text = text;
    this.#options = options;
  }

  /** @param path of the node, for messages: `identity.password` */
  check(node: unknown, shape: Shape, path: string, depth = 0): void {
    const { report } = this.#options;
    if (report.full) return;
    if (++this.#nodes > MOST_NODES || depth > DEEPEST) {
      if (this.#nodes <= MOST_NODES + 1)
        report.error(this.#text.place(node), 'depth', 'it is nested too deep, or repeats too much');
      this.#nodes = MOST_NODES;
      return;
    }
    const candidates = this.#flatten(shape, 0);
    const fitting = candidates.filter((one) => this.#isKind(node, one));
    const [best] = fitting;
    if (best === undefined) {
      report.error(
        this.#text.place(node),
        'type',
        `${path} ${this.#wanted(candidates)}, not ${this.#kindOf(node)}`,
        this.#near(node, candidates),
      );
      return;
    }
    if (best.is === 'list') {
      for (const [index, item] of (this.#text.items(node) ?? []).entries()) {
        this.check(item, joined(fitting, 'list'), `${path}[${index}]`, depth + 1);
      }
    } else if (best.is === 'table') {
      this.#duplicates(node, path);
      for (const { key, value } of this.#text.entries(node) ?? [])
        this.check(value, best.of, `${path}.${key}`, depth + 1);
    } else if (best.is === 'record') this.#record(node, fitting, path, depth);
  }

  #record(node: unknown, fitting: readonly Shape[], path: string, depth: number): void {
    const records = fitting.filter((one) => one.is === 'record');
    const entries = this.#text.entries(node) ?? [];
    const given = new Set(entries.map(({ key }) => key));
    // Of several forms the one is meant that has what it requires, else the one that knows most of the keys.
    const complete = records.find(({ fields }) =>
      [...fields].every(([key, { required }]) => !required || given.has(key)),
    );
    const knows = ({ fields }: { readonly fields: ReadonlyMap<string, unknown> }): number =>
      [...given].filter((key) => fields.has(key)).length;
    const record = complete ?? [...records].sort((a, b) => knows(b) - knows(a))[0];
    if (record === undefined) return;
    const { report, release, releaseName } = this.#options;
    this.#duplicates(node, path);
    for (const { key, keyNode, value } of entries) {
      if (report.full) return;
      const at = this.#text.place(keyNode);
      const field = record.fields.get(key);
      const name = path === '' ? key : `${path}.${key}`;
      if (field === undefined) {
        if (record.open) continue;
        const hint = meant(key, record.fields.keys());
        const message = `unknown key ${shown(key)}${path === '' ? '' : ` in ${path}`}`;
        report.error(at, 'unknown-key', message, hint);
        continue;
      }
      if (field.since !== undefined && isBefore(release, field.since)) {
        report.error(at, 'later-key', `${name} is read since ${field.since}, not by ${releaseName}`);
      }
      if (field.instead !== undefined) {
        const hint = field.instead === '' ? undefined : `Write ${field.instead}.`;
        report.warn(at, 'deprecated-key', `${name} is deprecated`, hint);
      }
      this.check(value, field.shape, name, depth + 1);
    }
    for (const [key, { required }] of record.fields) {
      if (!required || given.has(key)) continue;
      const where = path === '' ? 'it' : path;
      report.error(this.#text.place(node), 'missing-key', `${where} has no ${shown(key)}`);
    }
  }

  #duplicates(node: unknown, path: string): void {
    const seen = new Set<string>();
    for (const { key, keyNode } of this.#text.entries(node) ?? []) {
      if (seen.has(key)) {
        const where = path === '' ? '' : ` in ${path}`;
        this.#options.report.error(this.#text.place(keyNode), 'duplicate-key', `${shown(key)} is there twice${where}`);
      }
      seen.add(key);
    }
  }

  #flatten(shape: Shape, depth: number): readonly Shape[] {
    if (shape.is === 'one-of') return shape.shapes.flatMap((one) => this.#flatten(one, depth));
    if (shape.is !== 'named') return [shape];
    const found = this.#options.shapes.get(shape.name);
    if (found === undefined || depth > DEEPEST) throw new TypeError(`shapes: there is no ${shape.name}`);
    return this.#flatten(found, depth + 1);
  }

  #isKind(node: unknown, shape: Shape): boolean {
    const scalar = this.#text.scalar(node);
    switch (shape.is) {
      case 'any':
        return true;
      case 'null':
        return scalar === null;
      case 'text':
        return typeof scalar === 'string';
      case 'integer':
        return typeof scalar === 'bigint' || Number.isInteger(scalar);
      case 'number':
        return typeof scalar === 'number' || typeof scalar === 'bigint';
      case 'boolean':
        return typeof scalar === 'boolean';
      case 'word':
        return scalar === shape.word;
      case 'list':
        return this.#text.items(node) !== undefined;
      default:
        return this.#text.entries(node) !== undefined;
    }
  }

  #wanted(shapes: readonly Shape[]): string {
    const words = shapes.flatMap((shape) => (shape.is === 'word' ? [shown(shape.word)] : []));
    const kinds = shapes.flatMap((shape) => (shape.is === 'word' ? [] : [KIND_NAMES[shape.is] ?? shape.is]));
    return `must be ${[...new Set([...kinds, ...words])].join(' or ')}`;
  }

  #kindOf(node: unknown): string {
    if (this.#text.items(node) !== undefined) return 'a list';
    if (this.#text.entries(node) !== undefined) return 'a mapping';
    const scalar = this.#text.scalar(node);
    if (scalar === null) return 'empty';
    return typeof scalar === 'string' ? shown(scalar) : `the ${typeof scalar} ${String(scalar)}`;
  }

  #near(node: unknown, shapes: readonly Shape[]): string | undefined {
    const scalar = this.#text.scalar(node);
    const words = shapes.flatMap((shape) => (shape.is === 'word' ? [shape.word] : []));
    if (typeof scalar === 'string') return meant(scalar, words);
    const text = shapes.some(({ is }) => is === 'text') && scalar !== undefined && scalar !== null;
    return text ? 'Put it in quotes.' : undefined;
  }
}

const KIND_NAMES: Readonly<Record<string, string>> = {
  text: 'text',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  null: 'null',
  list: 'a list',
  table: 'a mapping',
  record: 'a mapping',
};

/** What any of the lists among `shapes` holds. */
function joined(shapes: readonly Shape[], is: 'list'): Shape {
  const of = shapes.flatMap((shape) => (shape.is === is ? [shape.of] : []));
  const [first] = of;
  return of.length === 1 && first !== undefined ? first : { is: 'one-of', shapes: of };
}

/** Whether release `a` came before `b`: `22.04` before `24.04`. */
function isBefore(a: string, b: string): boolean {
  const [left = [], right = []] = [a, b].map((text) => text.split('.').map(Number));
  for (let at = 0; at < right.length; at++) {
    const steps = (left[at] ?? 0) - (right[at] ?? 0);
    if (steps !== 0) return steps < 0;
  }
  return false;
}
