/** The releases whose kickstarts are known, and ranges of them as the tables write them. */
import type { AnswerTarget } from '../problem.ts';

/** A column of the tables. openEuler 24.03 has the Anaconda and pykickstart of Fedora 40. */
export interface Release {
  readonly line: 'el' | 'fedora';
  readonly number: number;
  /** As people call it. */
  readonly name: string;
}

const OLDEST = { el: 6, fedora: 40 };
const NEWEST = { el: 10, fedora: 43 };
const EL_FAMILIES = ['el', 'rhel', 'centos', 'almalinux', 'rocky', 'ol'];

/** The column for `target`, or why there is none. A release past the newest is read as the newest. */
export function releaseOf({ family, version }: AnswerTarget): Release | { readonly unknown: string } {
  const number = Number.parseInt(version, 10);
  if (family === 'openeuler') {
    return number === 24
      ? { line: 'fedora', number: 40, name: `openEuler ${version}` }
      : { unknown: `openEuler ${version}` };
  }
  const line = EL_FAMILIES.includes(family) ? 'el' : family === 'fedora' ? 'fedora' : undefined;
  const name = `${line === 'el' ? 'EL' : line === 'fedora' ? 'Fedora' : family} ${line === 'el' ? number : version}`;
  if (line === undefined || !(number >= OLDEST[line])) return { unknown: name };
  return { line, number: Math.min(number, NEWEST[line]), name };
}

/**
 * A set of releases in the tables' form, parts separated by commas: `7+` is EL 7 and later and every Fedora; `6-8` is EL 6 to
 * EL 8; `9` is EL 9 alone; `f` is every Fedora, `f41+` Fedora 41 and later. Empty is everything.
 */
export class ReleaseRange {
  readonly #parts: readonly string[];

  constructor(text: string) {
    this.#parts = text === '' ? [] : text.split(',');
  }

  has({ line, number }: Release): boolean {
    if (this.#parts.length === 0) return true;
    return this.#parts.some((part) => {
      const fedora = part.startsWith('f');
      const [from = '', to] = (fedora ? part.slice(1) : part).replace('+', '').split('-');
      const open = part.endsWith('+');
      if (fedora !== (line === 'fedora')) return !fedora && open;
      return from === '' || (number >= Number(from) && (open || number <= Number(to ?? from)));
    });
  }

  /** For messages: `EL 7 and later`. */
  toString(): string {
    const texts = this.#parts.map((part) => {
      const name = part.startsWith('f') ? 'Fedora' : 'EL';
      const numbers = part.replace(/[f+]/g, '');
      const words = [name, numbers.replace('-', ' to ')].join(' ').trim();
      return part.endsWith('+') ? `${words} and later` : words;
    });
    return texts.length === 0 ? 'every release' : texts.join(', ');
  }
}
