import type { Entry } from '../filesystem/file-tree.ts';

/** Bytes of a page of records; a longer record has a page of its own. */
const PAGE = 64 * 1024;
/** Records begin at multiples of this, so that 32 bits tell 32 GiB of places. */
const UNIT = 8;
const UNITS = PAGE / UNIT;
/** Before the name of a record: the inode, where its directory is, and the name's length. */
const HEAD = 8 + 4 + 4;
const SMALLEST_TABLE = 1024;
const SLASH = 0x2f;
const NONE = new Uint8Array(0);

/**
 * The first path of each inode that has several names. Everything lies in buffers, one record after another, in which a
 * directory is once for all names that follow each other in it: a tree may consist of such inodes (OSTree, backups), of half a
 * million of which maps and views took more memory than all else of a packing.
 */
export class FirstNames {
  readonly #pages: DataView<ArrayBuffer>[] = [];
  /** Bytes used of the last page. */
  #used = PAGE;
  /** Places of records by their inodes, each 1 more than it is; open addressing, at most half full. */
  #table = new Uint32Array(SMALLEST_TABLE);
  #count = 0;
  /** Place of the directory that was recorded last. */
  #directory = this.#append(0, 0, NONE);

  /** The path that was told first for the inode of `entry`; remembers that of an entry which is the first. */
  of({ inode, kind, links, path }: Pick<Entry, 'inode' | 'kind' | 'links' | 'path'>): Uint8Array | undefined {
    if (links < 2 || kind === 'directory') return undefined;
    const slot = this.#slot(inode);
    const place = this.#table[slot]!;
    if (place !== 0) return this.#path(place - 1);
    const slash = path.lastIndexOf(SLASH);
    const directory = path.subarray(0, slash + 1);
    // Root has no name: only its files have an empty directory.
    if (Buffer.compare(directory, this.#name(this.#directory)) !== 0) this.#directory = this.#append(0, 0, directory);
    this.#table[slot] = this.#append(inode, this.#directory, path.subarray(slash + 1)) + 1;
    if (++this.#count * 2 > this.#table.length) this.#grow();
    return undefined;
  }

  /** Where the place of `inode` is in the table, or would be. */
  #slot(inode: number): number {
    const mask = this.#table.length - 1;
    let slot = mixed((inode >>> 0) ^ mixed(Math.floor(inode / 2 ** 32))) & mask;
    for (let place = this.#table[slot]!; place !== 0; place = this.#table[slot]!) {
      if (this.#inode(place - 1) === inode) break;
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  #grow(): void {
    const before = this.#table;
    this.#table = new Uint32Array(before.length * 2);
    for (const place of before) if (place !== 0) this.#table[this.#slot(this.#inode(place - 1))] = place;
  }

  #append(inode: number, directory: number, name: Uint8Array): number {
    const length = Math.ceil((HEAD + name.length) / UNIT) * UNIT;
    if (this.#used + length > PAGE) {
      this.#pages.push(new DataView(new ArrayBuffer(Math.max(PAGE, length))));
      this.#used = 0;
    }
    const page = this.#pages.at(-1)!;
    page.setFloat64(this.#used, inode);
    page.setUint32(this.#used + 8, directory);
    page.setUint32(this.#used + 12, name.length);
    new Uint8Array(page.buffer, this.#used + HEAD).set(name);
    const place = (this.#pages.length - 1) * UNITS + this.#used / UNIT;
    this.#used += length;
    return place;
  }

  #inode(place: number): number {
    return this.#pages[Math.floor(place / UNITS)]!.getFloat64((place % UNITS) * UNIT);
  }

  #name(place: number): Uint8Array {
    const page = this.#pages[Math.floor(place / UNITS)]!;
    const at = (place % UNITS) * UNIT;
    return new Uint8Array(page.buffer, at + HEAD, page.getUint32(at + 12));
  }

  #path(place: number): Uint8Array {
    const page = this.#pages[Math.floor(place / UNITS)]!;
    const directory = this.#name(page.getUint32((place % UNITS) * UNIT + 8));
    return Buffer.concat([directory, this.#name(place)]);
  }
}

/** The 32 bits so mixed that each has a part in all (the finalizer of MurmurHash3). */
function mixed(bits: number): number {
  const one = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  const two = Math.imul(one ^ (one >>> 13), 0xc2b2ae35);
  return two ^ (two >>> 16);
}
