/** One of an ISO's two directory hierarchies: its identifiers, its orders, its directories and its path tables. */
import { concat } from '../concat.ts';
import { both16, both32, FLAG_DIRECTORY, RECORD_HEAD, recordDate, SECTOR } from './layout.ts';
import { isoIdentifiers, jolietNames, ucs2 } from './names.ts';
import type { IsoNode } from './tree.ts';

export interface Extent {
  sector: number;
  size: number;
}

const DOT = Uint8Array.of(0);
const DOT_DOT = Uint8Array.of(1);
const encoder = new TextEncoder();

export class Hierarchy {
  /** In the order of a path table (ECMA-119 6.9.1): by level, then parent, then identifier. */
  readonly directories: readonly IsoNode[];
  /** Where each directory's records lie; filled in as places are given. */
  readonly places = new Map<IsoNode, Extent>();
  readonly #identifiers = new Map<IsoNode, string>();
  readonly #children = new Map<IsoNode, readonly IsoNode[]>();
  readonly #numbers = new Map<IsoNode, number>();
  readonly joliet: boolean;

  constructor(root: IsoNode, joliet: boolean) {
    this.joliet = joliet;
    const directories = [root];
    for (const directory of directories) {
      this.#numbers.set(directory, this.#numbers.size + 1);
      // Identifiers are given in the order of the names, so that they do not depend on the order files came in.
      const children = [...directory.children.values()].sort((a, b) => order(a.name, b.name));
      const names = children.map(({ name, kind }) => ({ name, directory: kind === 'directory' }));
      const identifiers = joliet ? jolietNames(names.map(({ name }) => name)) : isoIdentifiers(names);
      children.forEach((child, at) => {
        this.#identifiers.set(child, identifiers[at] ?? '');
      });
      // UTF-16 units compare as the bytes of UCS-2 do.
      children.sort((a, b) => order(this.#identifiers.get(a) ?? '', this.#identifiers.get(b) ?? ''));
      this.#children.set(directory, children);
      directories.push(...children.filter((child) => child.kind === 'directory'));
    }
    this.directories = directories;
  }

  children(directory: IsoNode): readonly IsoNode[] {
    return this.#children.get(directory) ?? [];
  }

  identifier(node: IsoNode): Uint8Array {
    const text = this.#identifiers.get(node) ?? '';
    return this.joliet ? ucs2(text) : encoder.encode(text);
  }

  /** Records of a directory in whole sectors; no record crosses a sector (ECMA-119 6.8.1.1). */
  directoryBytes(directory: IsoNode, seconds: number, use: RecordUse, files: ReadonlyMap<IsoNode, Extent>): Uint8Array {
    const record = (node: IsoNode, identifier: Uint8Array, role: RecordRole): Uint8Array => {
      const extent = (node.kind === 'directory' ? this.places : files).get(node);
      return directoryRecord(identifier, extent, node.kind === 'directory', seconds, use(node, role));
    };
    const records = [
      record(directory, DOT, '.'),
      record(directory.parent ?? directory, DOT_DOT, '..'),
      ...this.children(directory).map((child) => record(child, this.identifier(child), 'child')),
    ];
    let length = 0;
    const starts = records.map((bytes) => {
      if ((length % SECTOR) + bytes.length > SECTOR) length += SECTOR - (length % SECTOR);
      length += bytes.length;
      return length - bytes.length;
    });
    const out = new Uint8Array(Math.ceil(length / SECTOR) * SECTOR);
    records.forEach((bytes, at) => {
      out.set(bytes, starts[at]);
    });
    return out;
  }

  /** Path table of type L (`little`) or M. */
  pathTable(little: boolean): Uint8Array {
    const rows = this.directories.map((node) => {
      const name = node.parent === undefined ? DOT : this.identifier(node);
      const row = new Uint8Array(8 + name.length + (name.length % 2));
      const view = new DataView(row.buffer);
      view.setUint8(0, name.length);
      view.setUint32(2, this.places.get(node)?.sector ?? 0, little);
      view.setUint16(6, this.#numbers.get(node.parent ?? node) ?? 0, little);
      row.set(name, 8);
      return row;
    });
    return concat(rows);
  }
}

export type RecordRole = '.' | '..' | 'child';
/** The system use field of a record. */
export type RecordUse = (node: IsoNode, role: RecordRole) => Uint8Array;

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** A directory record (ECMA-119 9.1). */
export function directoryRecord(
  identifier: Uint8Array,
  extent: Extent | undefined,
  directory: boolean,
  seconds: number,
  use: Uint8Array,
): Uint8Array {
  const useAt = even(RECORD_HEAD + identifier.length);
  const record = new Uint8Array(even(useAt + use.length));
  const view = new DataView(record.buffer);
  view.setUint8(0, record.length);
  both32(view, 2, extent?.sector ?? 0);
  both32(view, 10, extent?.size ?? 0);
  record.set(recordDate(seconds), 18);
  view.setUint8(25, directory ? FLAG_DIRECTORY : 0);
  both16(view, 28, 1);
  view.setUint8(32, identifier.length);
  record.set(identifier, RECORD_HEAD);
  record.set(use, useAt);
  return record;
}

export function even(length: number): number {
  return length + (length % 2);
}
