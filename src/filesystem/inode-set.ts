const PAGE_BITS = 8192;

/** Which inodes were met: one bit each, and only for stretches that hold any. */
export class InodeSet {
  readonly #pages = new Map<number, Uint8Array>();

  /** True when `inode` was not in the set before. */
  add(inode: number): boolean {
    const index = Math.floor(inode / PAGE_BITS);
    let page = this.#pages.get(index);
    if (page === undefined) {
      page = new Uint8Array(PAGE_BITS / 8);
      this.#pages.set(index, page);
    }
    const bit = inode % PAGE_BITS;
    const mask = 1 << (bit & 7);
    const before = page[bit >>> 3]!;
    page[bit >>> 3] = before | mask;
    return (before & mask) === 0;
  }

  has(inode: number): boolean {
    const page = this.#pages.get(Math.floor(inode / PAGE_BITS));
    const bit = inode % PAGE_BITS;
    return page !== undefined && (page[bit >>> 3]! & (1 << (bit & 7))) !== 0;
  }
}
