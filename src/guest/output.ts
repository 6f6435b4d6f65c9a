/** What is kept of the text a command writes. */

/** Characters kept of each stream. */
const KEPT = 1024 * 1024;

/** The end of a text, bounded; it knows how much it has forgotten. */
export class Tail {
  dropped = 0;
  #parts: string[] = [];
  #length = 0;

  add(more: string): void {
    this.#parts.push(more);
    this.#length += more.length;
    // Joined now and then, not for each piece: a joined text of 1 MiB is copied whole.
    if (this.#length > 2 * KEPT) this.#trim();
  }

  get text(): string {
    this.#trim();
    return this.#parts[0] ?? '';
  }

  #trim(): void {
    const whole = this.#parts.join('');
    const kept = whole.slice(-KEPT);
    this.dropped += whole.length - kept.length;
    this.#parts = [kept];
    this.#length = kept.length;
  }
}
