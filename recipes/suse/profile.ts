/** Profiles of AutoYaST as values, and as the XML that stands for them. */
import { RecipeError } from '../../src/errors.ts';

/** A word that YaST compares with its own; a text of the same letters is another thing to it. */
export class YastSymbol {
  readonly word: string;
  constructor(word: string) {
    this.word = word;
  }
}

/** A text, a number, true or false, a word of YaST's, a list, or elements by their names. */
export type Value =
  | string
  | number
  | boolean
  | YastSymbol
  | readonly Value[]
  | { readonly [name: string]: Value | undefined };
export type Profile = { readonly [section: string]: Value | undefined };

const NAMESPACES = 'xmlns="http://www.suse.com/1.0/yast2ns" xmlns:config="http://www.suse.com/1.0/configns"';

/** What an item of a list is called (AutoYaST guide: the section of each list); of all others `listentry`. */
const ITEMS: Readonly<Record<string, string>> = {
  'chroot-scripts': 'script',
  interfaces: 'interface',
  packages: 'package',
  partitioning: 'drive',
  partitions: 'partition',
  patterns: 'pattern',
  'post-scripts': 'script',
  'pre-scripts': 'script',
  products: 'product',
  'remove-packages': 'package',
  users: 'user',
};

/** Texts that are programs: as they are, so that a person can read them. */
const PROGRAMS = new Set(['source']);

/** What XML 1.0 has no way to hold, not even as a number. */
const NOT_XML = /[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/u;

/**
 * The file.
 * @param title first line, in a comment
 * @throws RecipeError `autoyast.value` for a text that XML cannot hold
 */
export function profileXml(title: string, profile: Profile): string {
  const lines = ['<?xml version="1.0"?>', '<!DOCTYPE profile>', `<!-- ${title.replaceAll('--', '- -')} -->`];
  return [...lines, `<profile ${NAMESPACES}>`, ...children(profile, 1), '</profile>', ''].join('\n');
}

function children(values: Profile, depth: number): string[] {
  return Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : element(name, value, depth)));
}

function element(name: string, value: Value, depth: number): string[] {
  const indent = '  '.repeat(depth);
  if (value instanceof YastSymbol)
    return [`${indent}<${name} config:type="symbol">${text(name, value.word)}</${name}>`];
  if (typeof value === 'object') {
    const list = Array.isArray(value);
    const inner = list
      ? (value as readonly Value[]).flatMap((item) => element(ITEMS[name] ?? 'listentry', item, depth + 1))
      : children(value as Profile, depth + 1);
    const type = list ? ' config:type="list"' : '';
    return [`${indent}<${name}${type}>`, ...inner, `${indent}</${name}>`];
  }
  if (typeof value === 'boolean') return [`${indent}<${name} config:type="boolean">${value}</${name}>`];
  if (typeof value === 'number') return [`${indent}<${name} config:type="integer">${value}</${name}>`];
  return [`${indent}<${name}>${text(name, value)}</${name}>`];
}

function text(name: string, value: string): string {
  if (NOT_XML.test(value)) {
    throw new RecipeError('autoyast.value', `Cannot write ${JSON.stringify(value)} into a profile: XML cannot hold it`);
  }
  if (PROGRAMS.has(name)) return `<![CDATA[${value.replaceAll(']]>', ']]]]><![CDATA[>')}]]>`;
  return value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
