import type { QmpPort } from './screen.ts';

/** Bytes QEMU's PS/2 keyboard holds for the guest (hw/input/ps2.c); its USB one holds as many. More is dropped silently. */
export const QUEUE_BYTES = 16;

const STATUS_PORT = '0x64';
const OUTPUT_FULL = 0x01;
const NO_DEVICE = 0xff;
/** Head and tail of the BIOS's own queue of 15 keys, two 16-bit words (BIOS data area, 0040:001A). */
const BIOS_QUEUE = '0x41a';
const BIOS_FIRST = 0x1e;
const BIOS_LAST = 0x3c;

/**
 * Whether a PC's guest has taken the keys it was sent: QEMU's keyboard controller is asked for its status, which a guest
 * may read at any time too, and the BIOS's queue is read from memory. Both by HMP, as QMP has no word for them.
 */
export class KeyboardQueue {
  readonly #qmp: QmpPort;
  #tail: number | undefined;

  private constructor(qmp: QmpPort) {
    this.#qmp = qmp;
  }

  /** Undefined where there is no such controller: other architectures, and PCs without one. */
  static async find(qmp: QmpPort): Promise<KeyboardQueue | undefined> {
    const queue = new KeyboardQueue(qmp);
    const status = await queue.#status().catch(() => undefined);
    return status === undefined || status === NO_DEVICE ? undefined : queue;
  }

  /** To be called before keys are sent. */
  async note(): Promise<void> {
    this.#tail = (await this.#bios())?.tail;
  }

  /** True when nothing that was sent is waiting any more. */
  async taken(): Promise<boolean> {
    // Twice: for a moment in a key's interrupt the controller may have given a byte and not yet shown the next.
    for (let time = 0; time < 2; time++) if (((await this.#status()) & OUTPUT_FULL) !== 0) return false;
    const bios = await this.#bios();
    // A guest that does not use the BIOS leaves its queue as it is, empty or not.
    return bios === undefined || bios.tail === this.#tail || bios.head === bios.tail;
  }

  async #status(): Promise<number> {
    return hex(await this.#hmp(`i /b ${STATUS_PORT}`), /= 0x([0-9a-f]+)/)?.[0] ?? NO_DEVICE;
  }

  async #bios(): Promise<{ head: number; tail: number } | undefined> {
    const found = hex(await this.#hmp(`xp /2hx ${BIOS_QUEUE}`), /: 0x([0-9a-f]+) 0x([0-9a-f]+)/);
    const [head, tail] = found ?? [];
    const within = (at: number | undefined): at is number => at !== undefined && at >= BIOS_FIRST && at <= BIOS_LAST;
    return within(head) && within(tail) ? { head, tail } : undefined;
  }

  async #hmp(line: string): Promise<string> {
    return String(await this.#qmp.command('human-monitor-command', { 'command-line': line }));
  }
}

function hex(text: string, pattern: RegExp): number[] | undefined {
  return pattern
    .exec(text)
    ?.slice(1)
    .map((digits) => Number.parseInt(digits, 16));
}
