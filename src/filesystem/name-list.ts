/** One name in a directory. */
export interface NamedInode {
  readonly name: Uint8Array;
  readonly inode: number;
}

/** Bytes of a page of names; no file system has a name as long. */
const PAGE = 64 * 1024;
const FIRST_PAGE = 512;
const FIRST_ROOM = 16;
/** Bytes of the length before each name. */
const HEAD = 2;

/**
 * The names in a directory. Their bytes lie one after another, without an object for each: a directory may hold a million
 * (mail, caches), which as objects took half a gigabyte. Names are added first, then sorted, then looked at.
 */
export class NameList {
  #length = 0;
  /** All of one length, but the first, which grows up to it. */
  readonly #pages: Uint8Array[] = [new Uint8Array(FIRST_PAGE)];
  /** Bytes used of the last page. */
  #used = 0;
  /** By the order in which they were added: where the name is, and its inode. */
  #places = new Uint32Array(FIRST_ROOM);
  #inodes = new Float64Array(FIRST_ROOM);
  /** The order of their bytes; undefined until they are sorted. */
  #order: Uint32Array | undefined;

  get length(): number {
    return this.#length;
  }

  /** `name` is copied. */
  add(name: Uint8Array, inode: number): void {
    if (this.#length === this.#places.length) {
      const room = 2 * this.#length;
      this.#places = grown(this.#places, new Uint32Array(room));
      this.#inodes = grown(this.#inodes, new Float64Array(room));
    }
    const page = this.#pageFor(HEAD + name.length);
    page[this.#used] = name.length >> 8;
    page[this.#used + 1] = name.length;
    page.set(name, this.#used + HEAD);
    this.#places[this.#length] = (this.#pages.length - 1) * PAGE + this.#used;
    this.#inodes[this.#length] = inode;
    this.#used += HEAD + name.length;
    this.#length++;
  }

  /** Puts them in the order of their bytes. @throws what `twice` makes of a name that is there more than once */
  sort(twice: (name: Uint8Array) => Error): this {
    const order = new Uint32Array(this.#length);
    for (let at = 0; at < order.length; at++) order[at] = at;
    order.sort((a, b) => this.#compare(this.#places[a]!, this.#places[b]!));
    this.#order = order;
    for (let at = 1; at < order.length; at++) {
      if (this.#compare(this.#places[order[at - 1]!]!, this.#places[order[at]!]!) === 0) throw twice(this.at(at).name);
    }
    return this;
  }

  /** The one at place `index` of the order. Its name is a view. */
  at(index: number): NamedInode {
    const added = this.#order![index]!;
    const place = this.#places[added]!;
    const page = this.#pages[Math.floor(place / PAGE)]!;
    const start = (place % PAGE) + HEAD;
    return { name: page.subarray(start, start + lengthAt(page, place % PAGE)), inode: this.#inodes[added]! };
  }

  /** The one with this name. */
  find(name: Uint8Array): NamedInode | undefined {
    let low = 0;
    let high = this.#length - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const found = this.at(middle);
      const order = Buffer.compare(found.name, name);
      if (order === 0) return found;
      if (order < 0) low = middle + 1;
      else high = middle - 1;
    }
    return undefined;
  }

  *[Symbol.iterator](): Generator<NamedInode> {
    for (let at = 0; at < this.#length; at++) yield this.at(at);
  }

  /** A page with room for `length` more bytes, the last one. */
  #pageFor(length: number): Uint8Array {
    const last = this.#pages.at(-1)!;
    const needed = this.#used + length;
    if (needed <= last.length) return last;
    const alone = this.#pages.length === 1 && needed <= PAGE;
    const page = alone
      ? grown(last, new Uint8Array(Math.min(PAGE, Math.max(needed, 2 * last.length))))
      : new Uint8Array(PAGE);
    if (alone) this.#pages.pop();
    else this.#used = 0;
    this.#pages.push(page);
    return page;
  }

  /** Not by views: there would be two for each of twenty comparisons of a name. */
  #compare(a: number, b: number): number {
    const pageA = this.#pages[Math.floor(a / PAGE)]!;
    const pageB = this.#pages[Math.floor(b / PAGE)]!;
    const lengthA = lengthAt(pageA, a % PAGE);
    const lengthB = lengthAt(pageB, b % PAGE);
    const startA = (a % PAGE) + HEAD;
    const startB = (b % PAGE) + HEAD;
    for (let at = 0; at < lengthA && at < lengthB; at++) {
      const order = pageA[startA + at]! - pageB[startB + at]!;
      if (order !== 0) return order;
    }
    return lengthA - lengthB;
  }
}

const lengthAt = (page: Uint8Array, at: number): number => (page[at]! << 8) + page[at + 1]!;

function grown<T extends Uint8Array | Uint32Array | Float64Array>(before: T, after: T): T {
  after.set(before);
  return after;
}
