import type { Rooms } from './rooms.ts';

/** Rooms for blocks that several threads read: a bounded number, each used again once nobody needs what is in it. */
export class BlockRing {
  readonly #rooms: Rooms;
  readonly #blockLength: number;
  readonly #most: number;
  /** Bytes of each block in use that some output has yet to write. */
  readonly #owed = new Map<SharedArrayBuffer, number>();
  #failure: { readonly error: unknown } | undefined;
  #waiting: { readonly resolve: () => void; readonly reject: (error: unknown) => void } | undefined;

  /** At most `most` rooms of `blockLength` bytes. */
  constructor(rooms: Rooms, most: number, blockLength: number) {
    this.#rooms = rooms;
    this.#most = most;
    this.#blockLength = blockLength;
  }

  /** A room, or undefined when all are in use. Its content is owed `readers` times. */
  take(length: number, readers: number): SharedArrayBuffer | undefined {
    if (this.#owed.size === this.#most) return undefined;
    const room = this.#rooms.take(this.#blockLength);
    this.#owed.set(room, length * readers);
    return room;
  }

  /** `length` bytes of a block were used by one of its readers. */
  pay(room: SharedArrayBuffer, length: number): void {
    const left = (this.#owed.get(room) ?? 0) - length;
    if (left > 0) {
      this.#owed.set(room, left);
      return;
    }
    this.#owed.delete(room);
    this.#rooms.give(room);
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
