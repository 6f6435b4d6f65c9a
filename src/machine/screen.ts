import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { MachineError } from '../errors.ts';
import { type Picture, parsePpm } from '../formats/ppm.ts';
import { type TemporaryFolder, temporaryFolder } from '../host/folders.ts';

/** What is needed of a QMP session here; `QmpSession` is one. */
export interface QmpPort {
  command(command: string, args: object, options?: { readonly routine?: boolean }): Promise<unknown>;
}

/** A part of a picture, in pixels. */
export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** A cell of VGA text and of the kernel's smallest console font: a change within one may be a cursor that blinks. */
const CELL = { width: 9, height: 16 };

/** Takes pictures of a guest's screen over QMP, through a file in a folder of its own. */
export class Screen implements AsyncDisposable {
  readonly #qmp: QmpPort;
  readonly #folder: TemporaryFolder;
  readonly #options: { readonly routine?: boolean };
  #count = 0;

  private constructor(qmp: QmpPort, folder: TemporaryFolder, options: { readonly routine?: boolean }) {
    this.#qmp = qmp;
    this.#folder = folder;
    this.#options = options;
  }

  /** With `routine`, pictures are left out of the QMP log, unless one fails: for who takes them again and again. */
  static async open(qmp: QmpPort, options: { readonly routine?: boolean } = {}): Promise<Screen> {
    return new Screen(qmp, await temporaryFolder('compose-screen-'), options);
  }

  /** The screen as it is now. @throws MachineError `screen.none` when the machine has no display adapter */
  async take(): Promise<Picture> {
    // Every picture has a file of its own, so that two takers never read half of one another's.
    const file = join(this.#folder.path, `${this.#count++}.ppm`);
    try {
      await this.#qmp.command('screendump', { filename: file }, this.#options);
      return parsePpm(await readFile(file));
    } catch (error) {
      if (error instanceof MachineError && /no console|console .*not found/i.test(error.message)) {
        throw new MachineError('screen.none', 'Cannot see the screen: the machine has no display adapter', {
          hint: 'Give it one (machine: { video: standard } in the recipe, or --view); its serial line is there without.',
          cause: error,
        });
      }
      throw error;
    } finally {
      await rm(file, { force: true });
    }
  }

  /** `length` bytes of the guest's memory from `address`; devices are not asked (QMP `pmemsave`). */
  async memory(address: number, length: number): Promise<Uint8Array> {
    const file = join(this.#folder.path, `${this.#count++}.bin`);
    try {
      await this.#qmp.command('pmemsave', { val: address, size: length, filename: file }, this.#options);
      return await readFile(file);
    } finally {
      await rm(file, { force: true });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#folder[Symbol.asyncDispose]();
  }
}

/** The smallest part outside of which two pictures are the same; undefined when they are the same everywhere. */
export function changedBox(before: Picture, after: Picture): Box | undefined {
  const { width, height } = after;
  if (before.width !== width || before.height !== height) return { x: 0, y: 0, width, height };
  const a = Buffer.from(before.rgb.buffer, before.rgb.byteOffset, before.rgb.length);
  const b = Buffer.from(after.rgb.buffer, after.rgb.byteOffset, after.rgb.length);
  if (a.equals(b)) return undefined;
  const stride = width * 3;
  let [top, bottom, left, right] = [-1, 0, stride, -1];
  for (let y = 0; y < height; y++) {
    const start = y * stride;
    const end = start + stride;
    if (a.compare(b, start, end, start, end) === 0) continue;
    if (top < 0) top = y;
    bottom = y;
    let first = 0;
    while (first < left && a[start + first] === b[start + first]) first++;
    let last = stride - 1;
    while (last > right && a[start + last] === b[start + last]) last--;
    left = Math.min(left, first);
    right = Math.max(right, last);
  }
  const x = Math.floor(left / 3);
  return { x, y: top, width: Math.floor(right / 3) - x + 1, height: bottom - top + 1 };
}

/** True when the pictures differ by more than a cursor that blinks. */
export function differs(before: Picture, after: Picture): boolean {
  const box = changedBox(before, after);
  return box !== undefined && (box.width > CELL.width || box.height > CELL.height);
}

/** Tells when a screen has come to rest; fed with pictures as they are taken. */
export class Stillness {
  #reference: Picture | undefined;
  #since = 0;

  /** Since when, in the time of `now`, the screen has shown what it shows; a cursor may blink meanwhile. */
  add(picture: Picture, now: number): number {
    if (this.#reference === undefined || differs(this.#reference, picture)) {
      this.#reference = picture;
      this.#since = now;
    }
    return this.#since;
  }
}
