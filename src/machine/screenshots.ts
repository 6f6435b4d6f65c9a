import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { isComposeError } from '../errors.ts';
import { encodePng } from '../formats/png.ts';
import type { Picture } from '../formats/ppm.ts';
import { makeFolder } from '../host/make-folder.ts';
import { differs, type QmpPort, Screen } from './screen.ts';
import { Bell } from './watch.ts';

export interface ScreenshotOptions {
  /** Where the files go; made when the first is written. */
  readonly folder: string;
  /** Looks are at least so far apart, ms. @default 5000 */
  readonly everyMs?: number | undefined;
  /** Most files kept; the first and the newest are always among them. @default 60 */
  readonly keep?: number | undefined;
}

const EVERY_MS = 5000;
const KEEP = 60;
/** A look may take at most a fiftieth of the time, however slow the host is. */
const SHARE = 50;
/** After so many failures in a row the machine is taken to have no screen. */
const PATIENCE = 3;
/** How long the last look may hold up the end, ms. */
const LAST_MS = 1000;

/**
 * Keeps pictures of a guest's screen as PNG files in a run's folder: one whenever it shows something else, blinking cursors
 * aside. It is evidence and nothing more: whatever goes wrong with it, the build goes on.
 */
export class Screenshots implements AsyncDisposable {
  readonly #options: { readonly folder: string; readonly everyMs: number; readonly keep: number };
  readonly #screen: Screen;
  readonly #bell = new Bell();
  readonly #start = performance.now();
  readonly #done: Promise<void>;
  #files: string[] = [];
  #count = 0;
  #last: Picture | undefined;
  #looking: Promise<void> = Promise.resolve();
  #stopped = false;
  /** Looks taken and what they cost, ms. */
  readonly cost = { looks: 0, ms: 0 };

  private constructor(screen: Screen, options: ScreenshotOptions) {
    this.#screen = screen;
    this.#options = {
      folder: options.folder,
      everyMs: options.everyMs ?? EVERY_MS,
      keep: Math.max(2, options.keep ?? KEEP),
    };
    this.#done = this.#watch();
  }

  static async start(qmp: QmpPort, options: ScreenshotOptions): Promise<Screenshots> {
    return new Screenshots(await Screen.open(qmp, { routine: true }), options);
  }

  /** The files there are now, oldest first. */
  get files(): readonly string[] {
    return this.#files;
  }

  /** Looks now, for a moment that matters: a failure, a breakpoint. */
  async now(): Promise<void> {
    await this.#look().catch(() => {});
  }

  async #watch(): Promise<void> {
    let failures = 0;
    while (!this.#stopped && failures < PATIENCE) {
      const { rung } = this.#bell;
      const start = performance.now();
      try {
        await this.#look();
        failures = 0;
      } catch (error) {
        failures = isComposeError(error) && error.code === 'screen.none' ? PATIENCE : failures + 1;
      }
      const took = performance.now() - start;
      this.cost.looks++;
      this.cost.ms += took;
      if (!this.#stopped) await this.#bell.next(Math.max(this.#options.everyMs, took * SHARE), rung);
    }
  }

  /** One look after another: two at once would compare with the same picture, and keep the same one twice. */
  #look(): Promise<void> {
    const look = this.#looking.then(() => this.#compare());
    this.#looking = look.catch(() => {});
    return look;
  }

  async #compare(): Promise<void> {
    const picture = await this.#screen.take();
    if (this.#last !== undefined && !differs(this.#last, picture)) return;
    this.#last = picture;
    await this.#keep(picture);
  }

  async #keep(picture: Picture): Promise<void> {
    const { folder, keep } = this.#options;
    const seconds = ((performance.now() - this.#start) / 1000).toFixed(1).padStart(7, '0');
    const file = join(folder, `${String(++this.#count).padStart(4, '0')}-${seconds}s.png`);
    await makeFolder(folder, { mode: 0o700 });
    await writeFile(
      file,
      encodePng(picture, (bytes) => deflateSync(bytes, { level: 3 })),
      { mode: 0o600 },
    );
    const files = [...this.#files, file];
    this.#files = files;
    if (files.length <= keep) return;
    // The first shows how the machine came up; of the others the oldest goes.
    const [oldest] = files.splice(1, 1);
    await rm(oldest!, { force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#bell.ring();
    // A machine that hangs answers no more; its last picture is not worth waiting for.
    const patience = new Bell();
    await Promise.race([this.#done.then(() => this.now()), patience.next(LAST_MS, patience.rung)]);
    patience.ring();
    await this.#screen[Symbol.asyncDispose]();
  }
}
