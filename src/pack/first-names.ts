/** Bytes of a page of names; a longer name has one of its own. */
const PAGE = 64 * 1024;
/** Bytes of the length before each name. */
const HEAD = 4;

/**
 * The first name of each inode that has several. Their bytes lie one after another, and the collector sees none of them: a tree
 * may consist of such inodes (OSTree, backups), and a view for each of half a million had it let 200 MiB of garbage wait.
 */
export class FirstNames {
  readonly #places = new Map<number, number>();
  readonly #pages: DataView<ArrayBuffer>[] = [];
  /** Bytes used of the last page. */
  #used = PAGE;

  /** A view of what was set. */
  get(inode: number): Uint8Array | undefined {
    const place = this.#places.get(inode);
    if (place === undefined) return undefined;
    const page = this.#pages[Math.floor(place / PAGE)]!;
    const at = place % PAGE;
    return new Uint8Array(page.buffer, at + HEAD, page.getUint32(at));
  }

  /** `name` is copied. */
  set(inode: number, name: Uint8Array): void {
    const length = HEAD + name.length;
    if (this.#used + length > PAGE) {
      this.#pages.push(new DataView(new ArrayBuffer(Math.max(PAGE, length))));
      this.#used = 0;
    }
    const page = this.#pages.at(-1)!;
    page.setUint32(this.#used, name.length);
    new Uint8Array(page.buffer, this.#used + HEAD).set(name);
    this.#places.set(inode, (this.#pages.length - 1) * PAGE + this.#used);
    this.#used += length;
  }
}
