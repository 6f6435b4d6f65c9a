/** Lays the Rock Ridge entries of every record out: inside it as far as they fit, the rest in continuation areas. */
import { concat } from '../concat.ts';
import { even, type Hierarchy, type RecordRole } from './hierarchy.ts';
import { RECORD_HEAD, RECORD_MAX, SECTOR } from './layout.ts';
import { CE_LENGTH, ce, er, nm, px, sl, sp, tf } from './rock-ridge.ts';
import type { IsoNode } from './tree.ts';

const TYPE = { directory: 0o040000, file: 0o100000, symlink: 0o120000 } as const;
const encoder = new TextEncoder();

interface Area {
  readonly entries: readonly Uint8Array[];
  readonly length: number;
  sector: number;
  offset: number;
}

interface Parts {
  readonly inside: readonly Uint8Array[];
  readonly areas: readonly Area[];
}

export class SystemUse {
  readonly #parts = new Map<IsoNode, Parts>();
  readonly #root: Parts;
  readonly #serials = new Map<IsoNode, number>();
  readonly #links = new Map<IsoNode, number>();
  readonly #hierarchy: Hierarchy;
  readonly #seconds: number;

  constructor(hierarchy: Hierarchy, seconds: number) {
    this.#hierarchy = hierarchy;
    this.#seconds = seconds;
    const [root] = hierarchy.directories as [IsoNode];
    const children = hierarchy.directories.flatMap((directory) => hierarchy.children(directory));
    for (const node of [root, ...children]) {
      this.#serials.set(node, this.#serials.size + 1);
      const below = hierarchy.children(node).filter((child) => child.kind === 'directory').length;
      this.#links.set(node, node.kind === 'directory' ? 2 + below : 1);
    }
    this.#root = { inside: [sp(), ...this.#attributes(root)], areas: [area([er()], false)] };
    for (const node of children) {
      const link = node.kind === 'symlink' ? sl(node.target) : [];
      const room = RECORD_MAX - 1 - even(RECORD_HEAD + hierarchy.identifier(node).length);
      this.#parts.set(node, split([...this.#attributes(node), ...nm(encoder.encode(node.name)), ...link], room));
    }
  }

  /** Places the continuation areas of a directory's records from `sector` on; answers how many bytes they take. */
  place(directory: IsoNode, sector: number): number {
    let at = 0;
    for (const { areas } of this.#of(directory)) {
      for (const area of areas) {
        // A continuation lies within one sector (SUSP 5.1).
        if ((at % SECTOR) + area.length > SECTOR) at += SECTOR - (at % SECTOR);
        area.sector = sector + Math.floor(at / SECTOR);
        area.offset = at % SECTOR;
        at += area.length;
      }
    }
    return at;
  }

  record(node: IsoNode, role: RecordRole): Uint8Array {
    if (role === '.' && node.parent === undefined) return withNext(this.#root.inside, this.#root.areas[0]);
    if (role !== 'child') return concat(this.#attributes(node));
    const parts = this.#parts.get(node);
    return withNext(parts?.inside ?? [], parts?.areas[0]);
  }

  *areas(directory: IsoNode): Generator<{ readonly at: number; readonly bytes: Uint8Array }> {
    for (const { areas } of this.#of(directory)) {
      for (const [index, { sector, offset, entries }] of areas.entries()) {
        yield { at: sector * SECTOR + offset, bytes: withNext(entries, areas[index + 1]) };
      }
    }
  }

  #of(directory: IsoNode): readonly Parts[] {
    const children = this.#hierarchy.children(directory).flatMap((child) => this.#parts.get(child) ?? []);
    return directory.parent === undefined ? [this.#root, ...children] : children;
  }

  #attributes(node: IsoNode): Uint8Array[] {
    const links = this.#links.get(node) ?? 1;
    return [px(TYPE[node.kind] | node.mode, links, this.#serials.get(node) ?? 0), tf(this.#seconds)];
  }
}

function withNext(entries: readonly Uint8Array[], next: Area | undefined): Uint8Array {
  return concat(next === undefined ? entries : [...entries, ce(next.sector, next.offset, next.length)]);
}

function area(entries: readonly Uint8Array[], goesOn: boolean): Area {
  const length = entries.reduce((sum, entry) => sum + entry.length, goesOn ? CE_LENGTH : 0);
  return { entries, length, sector: 0, offset: 0 };
}

/** Entries in groups: the first of at most `room` bytes, the others of a sector, each with room for its CE. */
function split(entries: readonly Uint8Array[], room: number): Parts {
  const groups: Uint8Array[][] = [];
  let rest = entries;
  for (let space = room; rest.length > 0 || groups.length === 0; space = SECTOR) {
    const length = rest.reduce((sum, entry) => sum + entry.length, 0);
    let count = 0;
    let used = length <= space ? 0 : CE_LENGTH;
    for (const entry of rest) {
      if (used + entry.length > space) break;
      used += entry.length;
      count++;
    }
    groups.push(rest.slice(0, count));
    rest = rest.slice(count);
  }
  const [inside = [], ...others] = groups;
  return { inside, areas: others.map((group, at) => area(group, at < others.length - 1)) };
}
