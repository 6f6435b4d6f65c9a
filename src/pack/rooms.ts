/**
 * Shared memory that one pass leaves for the next. The collector learns late that nobody holds a SharedArrayBuffer: without
 * this the rooms of a pass over the tree are still there while the pass over the disk has its own, 100 MiB and more.
 */
export class Rooms {
  readonly #free = new Map<number, SharedArrayBuffer[]>();

  /** A room of `length` bytes with whatever is in it. */
  take(length: number): SharedArrayBuffer {
    return this.#free.get(length)?.pop() ?? new SharedArrayBuffer(length);
  }

  /** A room that nothing reads or writes any more. */
  give(room: SharedArrayBuffer): void {
    const free = this.#free.get(room.byteLength);
    if (free === undefined) this.#free.set(room.byteLength, [room]);
    else free.push(room);
  }
}
