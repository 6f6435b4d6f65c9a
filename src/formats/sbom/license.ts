/** License expressions (SPDX 2.3, annex D), out of what packages say of their license. */

import { LICENSE_EXCEPTION_IDS, LICENSE_IDS } from './license-ids.ts';

/** More is no expression a person wrote. */
const MAX_LENGTH = 8192;
const MAX_DEPTH = 32;
const LICENSE_REF = /^LicenseRef-[A-Za-z0-9.-]+$/;

/** An expression in its proper form, and the `LicenseRef-…` names in it, which a document must explain. */
export interface LicenseExpression {
  readonly text: string;
  readonly refs: readonly string[];
}

/** What a package says of its license; undefined where that is nothing, or nothing but control characters. */
export function saidLicense(text: string | undefined): string | undefined {
  return text === undefined || /^[\s\p{Cc}]*$/u.test(text) ? undefined : text.trim();
}

/**
 * `text` as an expression of names of the SPDX License List, operators and names in their proper case; undefined when it
 * is not one, as with the short names distributions had before ("GPLv2+ and BSD").
 */
export function parseLicense(text: string): LicenseExpression | undefined {
  if (text.length > MAX_LENGTH) return undefined;
  const tokens = text.match(/[()]|[^\s()]+/g) ?? [];
  const refs = new Set<string>();
  let at = 0;
  const word = (): string | undefined => tokens[at]?.toUpperCase();

  const single = (depth: number): string | undefined => {
    const token = tokens[at++];
    if (token === undefined || depth > MAX_DEPTH) return undefined;
    if (token === '(') {
      const inner = compound(depth + 1);
      return inner === undefined || tokens[at++] !== ')' ? undefined : `(${inner})`;
    }
    if (LICENSE_REF.test(token)) {
      refs.add(token);
      return token;
    }
    const id = licenseId(token);
    if (id === undefined || word() !== 'WITH') return id;
    at++;
    const exception = LICENSE_EXCEPTION_IDS.get(tokens[at++]?.toLowerCase() ?? '');
    return exception === undefined ? undefined : `${id} WITH ${exception}`;
  };
  const compound = (depth: number): string | undefined => {
    let out = single(depth);
    for (let operator = word(); out !== undefined && (operator === 'AND' || operator === 'OR'); operator = word()) {
      at++;
      const next = single(depth);
      out = next === undefined ? undefined : `${out} ${operator} ${next}`;
    }
    return out;
  };

  const whole = compound(0);
  return whole === undefined || at < tokens.length ? undefined : { text: whole, refs: [...refs] };
}

/** A name of the list; "+" behind one stands for "or any later version". Some names of the list end in "+" themselves. */
function licenseId(token: string): string | undefined {
  const listed = LICENSE_IDS.get(token.toLowerCase());
  if (listed !== undefined || !token.endsWith('+')) return listed;
  const base = LICENSE_IDS.get(token.slice(0, -1).toLowerCase());
  return base === undefined ? undefined : `${base}+`;
}

/** The licenses of one document that are not on the list, each with a name of its own. */
export class ExtractedLicenses {
  readonly #names = new Map<string, string>();
  readonly #taken = new Map<string, string>();

  /** The expression for what a package says; `NOASSERTION` when it says nothing. */
  expression(text: string | undefined): string {
    const said = saidLicense(text);
    if (said === undefined) return 'NOASSERTION';
    const parsed = parseLicense(said);
    if (parsed === undefined) return this.#nameOf(said);
    for (const ref of parsed.refs) this.#taken.set(ref, this.#taken.get(ref) ?? ref);
    return parsed.text;
  }

  /** Name and text of each, sorted by name. */
  get all(): readonly (readonly [name: string, text: string])[] {
    return [...this.#taken].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  #nameOf(text: string): string {
    const known = this.#names.get(text);
    if (known !== undefined) return known;
    const words = text.replace(/[^A-Za-z0-9.]+/g, '-').replace(/^-+|-+$/g, '');
    // The prefix keeps them apart from the references packages make themselves.
    const base = `LicenseRef-compose-${words.slice(0, 64) || 'text'}`;
    let name = base;
    for (let number = 2; this.#taken.has(name); number++) name = `${base}-${number}`;
    this.#names.set(text, name);
    this.#taken.set(name, text);
    return name;
  }
}
