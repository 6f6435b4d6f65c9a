/** Rooms for blocks that several threads read: a bounded number, each used again once nobody needs what is in it. */
export class BlockRing {
  readonly #blockLength: number;
  readonly #most: number;
  readonly #free: SharedArrayBuffer[] = [];
  /** Bytes of each block in use that some output has yet to write. */
  readonly #owed = new Map<SharedArrayBuffer, number>();
  #made = 0;
  #failure: { readonly error: unknown } | undefined;
  #waiting: { readonly resolve: () => void; readonly reject: (error: unknown) => void } | undefined;

  /** `most` rooms of `blockLength` bytes. */
  constructor(most: number, blockLength: number) {
    this.#most = most;
    this.#blockLength = blockLength;
  }

  /** A room, or undefined when all are in use. Its content is owed `readers` times. */
  take(length: number, readers: number): SharedArrayBuffer | undefined {
    const room = this.#free.pop() ?? (this.#made < this.#most ? this.#make() : undefined);
    if (room !== undefined) this.#owed.set(room, length * readers);
    return room;
  }

  #make(): SharedArrayBuffer {
    this.#made++;
    return new SharedArrayBuffer(this.#blockLength);
  }

  /** `length` bytes of a block were used by one of its readers. */
  pay(room: SharedArrayBuffer, length: number): void {
    const left = (this.#owed.get(room) ?? 0) - length;
    if (left > 0) {
      this.#owed.set(room, left);
      return;
    }
    this.#owed.delete(room);
    this.#free.push(room);
    this.#waiting?.resolve();
  }

  /** Settles when a room becomes free. One caller waits at a time. */
  freed(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure.error);
      this.#waiting = { resolve, reject };
    });
  }

  /** Ends the wait and every later one: what makes rooms free has ended. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#waiting?.reject(error);
  }
}
