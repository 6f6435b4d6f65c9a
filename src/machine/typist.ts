/**
 * Types into a guest and sees that it arrives. Timed key presses get lost, repeated or cut short on busy hosts, because a
 * PC's keyboard holds 16 bytes and drops the rest without a word. So keys go in groups that fit, each as one
 * `input-send-event` (`send-key` holds a key for a time, and a slow guest repeats it), and the next group waits until this
 * one is seen to have arrived: echoed on the serial line, or drawn on the screen, or taken out of the keyboard's queue.
 */
import { MachineError } from '../errors.ts';
import type { Picture } from '../formats/ppm.ts';
import type { TypingStep } from './key-grammar.ts';
import { inputEvents, type KeyEvent, MODIFIERS } from './keys.ts';
import { type Layout, type LayoutName, layout } from './keys-layouts.ts';
import { differs, type QmpPort, type Screen, Stillness } from './screen.ts';
import { flat, SerialTap, withoutEscapes } from './serial-tap.ts';
import { KeyboardQueue, QUEUE_BYTES } from './typist-queue.ts';
import { checkSteps, nextGroup, residue, strokesOf } from './typist-strokes.ts';
import { until } from './watch.ts';

/** What shows that a key has arrived, the strongest first. */
export type Evidence = 'serial' | 'screen' | 'queue';

export interface TypistOptions {
  readonly qmp: QmpPort;
  readonly signal: AbortSignal;
  /** What the guest says; without it no echo is seen there and no text can be waited for. */
  readonly serial?: SerialTap | undefined;
  /** Its screen; without it no change is seen there. */
  readonly screen?: Screen | undefined;
  /** The layout the guest's keyboard driver has. @default us */
  readonly layout?: LayoutName | undefined;
  /**
   * Evidence every group of characters must give; `auto` finds out for each run of text what its reader offers, and takes
   * the queue alone where nothing is echoed, as for a password. @default auto
   */
  readonly evidence?: 'auto' | Evidence | undefined;
  /** How many times longer than under KVM this guest takes (`Accelerator.timeScale`); stretches every limit. @default 1 */
  readonly timeScale?: number | undefined;
  /** Rejects when the guest has failed (`RunningMachine.failure`). */
  readonly failure?: Promise<never> | undefined;
}

export interface TypingReport {
  readonly characters: number;
  /** Groups of keys, by the evidence that they arrived. */
  readonly groups: Readonly<Record<Evidence, number>>;
  readonly ms: number;
}

/** Limits under KVM, ms; `timeScale` stretches them. */
const ECHO_MS = 10_000;
const LEARN_MS = 1_500;
const REACTION_MS = 300;
const WAIT_MS = 60_000;
const QUIET_MS = 1_000;
/** Between two looks at what tells no events, ms. */
const LOOK_MS = 10;
const SCREEN_LOOK_MS = 100;

export class Typist {
  readonly #options: TypistOptions;
  readonly #layoutName: LayoutName;
  readonly #layout: Layout;
  readonly #serial: SerialTap;
  readonly #groups = { serial: 0, screen: 0, queue: 0 };
  #queue: Promise<KeyboardQueue | undefined> | undefined;
  #residue = 0;
  #characters = 0;
  readonly #held = new Set<string>();
  #failed: { readonly error: unknown } | undefined;
  /** Where the serial line stood, and what the screen showed, before the last key. */
  #position = 0;
  #picture: Picture | undefined;

  /** @throws UsageError `typing.layout` */
  constructor(options: TypistOptions) {
    this.#options = options;
    this.#layoutName = options.layout ?? 'us';
    this.#layout = layout(this.#layoutName);
    this.#serial = options.serial ?? new SerialTap();
    options.failure?.catch((error: unknown) => {
      this.#failed = { error };
      this.#serial.bell.ring();
    });
  }

  /**
   * Does the steps one after the other.
   * @throws UsageError `typing.no-key`, before anything is typed; MachineError `typing.lost`, `typing.no-evidence`,
   * `typing.not-seen`; whatever `failure` rejects with
   */
  async type(steps: readonly TypingStep[]): Promise<TypingReport> {
    const start = performance.now();
    checkSteps(steps, this.#layout, this.#layoutName);
    for (const step of steps) {
      if (step.do === 'text') await this.#lines(step.text);
      else if (step.do === 'key') await this.#key(step.key, step.how);
      else if (step.do === 'hold') {
        const stroke = strokesOf(step.character, this.#layout, this.#layoutName).at(-1)!;
        await this.#key(stroke.key, step.how);
      } else if (step.do === 'settle') await this.#settle(step.limitMs);
      else if (step.do === 'serial') await this.#waitForText(step.text, step.limitMs ?? WAIT_MS);
      else await this.#waitForScreen(step.until, step.limitMs ?? WAIT_MS);
    }
    return { characters: this.#characters, groups: { ...this.#groups }, ms: performance.now() - start };
  }

  /** Return and Tab within a text are keys: a program answers them, it does not echo them. */
  async #lines(text: string): Promise<void> {
    for (const part of text.split(/([\n\t])/)) {
      if (part === '') continue;
      if (part === '\n' || part === '\t') await this.#key(part === '\n' ? 'ret' : 'tab', 'press');
      else if (this.#held.size === 0) await this.#text(part);
      // Under a modifier that is held characters are commands: nobody echoes them.
      else for (const character of part) await this.#command(character);
    }
  }

  async #text(text: string): Promise<void> {
    const characters = [...text];
    const queue = await this.#keyboard();
    let evidence = this.#options.evidence ?? 'auto';
    for (let at = 0; at < characters.length; ) {
      const room = QUEUE_BYTES - (queue === undefined ? this.#residue : 0);
      const group = nextGroup(characters.slice(at, at + QUEUE_BYTES), this.#layout, this.#layoutName, room);
      if (evidence === 'auto' || evidence === 'screen') await this.#takePicture();
      await this.#send(group.events);
      const seen = await this.#arrival(flat(group.text), evidence, text, at);
      if (evidence === 'auto') evidence = seen;
      this.#groups[seen]++;
      at += [...group.text].length;
      this.#characters += [...group.text].length;
    }
  }

  async #command(character: string): Promise<void> {
    const { events } = nextGroup([character], this.#layout, this.#layoutName, QUEUE_BYTES);
    await this.#press(events, false);
    this.#characters++;
  }

  async #key(key: string, how: 'press' | 'down' | 'up'): Promise<void> {
    const down = { key, down: true };
    const up = { key, down: false };
    if (how === 'down') this.#held.add(key);
    else this.#held.delete(key);
    await this.#press(
      how === 'press' ? [down, up] : [how === 'down' ? down : up],
      how !== 'press' || MODIFIERS.has(key),
    );
  }

  /** Presses or moves keys, and unless that is `quiet` looks whether anything comes of it; that nothing does is no failure. */
  async #press(events: readonly KeyEvent[], quiet: boolean): Promise<void> {
    if (!quiet) await this.#takePicture();
    await this.#send(events);
    const queue = await this.#keyboard();
    if (queue !== undefined) await this.#drained(queue);
    this.#groups.queue++;
    if (!quiet) await this.#until(() => this.#reacted(), REACTION_MS, SCREEN_LOOK_MS);
  }

  async #send(events: readonly KeyEvent[]): Promise<void> {
    await (await this.#keyboard())?.note();
    this.#position = this.#serial.end;
    await this.#options.qmp.command('input-send-event', { events: inputEvents(events) });
    this.#residue = residue(events);
  }

  /** Waits until a group has arrived; answers by what that was seen. */
  async #arrival(echo: string, evidence: 'auto' | Evidence, text: string, at: number): Promise<Evidence> {
    const queue = await this.#keyboard();
    if (queue !== undefined) await this.#drained(queue);
    const start = performance.now();
    const echoed = (): boolean => echo !== '' && flat(this.#serial.since(this.#position)).includes(echo);
    let changed = false;
    const look = async (): Promise<Evidence | undefined> => {
      if (evidence !== 'screen' && evidence !== 'queue' && echoed()) return 'serial';
      if (evidence === 'queue' || echo === '') return queue === undefined ? undefined : 'queue';
      if (evidence !== 'serial') changed ||= await this.#screenChanged();
      if (evidence === 'screen') return changed ? 'screen' : undefined;
      if (evidence === 'auto' && performance.now() - start > LEARN_MS * this.#scale) {
        return changed ? 'screen' : queue && 'queue';
      }
      return undefined;
    };
    const seen = await this.#until(look, ECHO_MS, evidence === 'serial' ? ECHO_MS : 2 * LOOK_MS);
    if (seen !== undefined) return seen;
    const typed = text.slice(Math.max(0, at - 40), at) + echo;
    const came = flat(this.#serial.since(this.#position)).slice(-200);
    if (evidence === 'serial' || (evidence === 'auto' && came !== '')) {
      throw new MachineError('typing.lost', `Cannot type: what came back is not what was typed (character ${at + 1})`, {
        hint: 'Wait for the prompt before typing (<wait:text>), and see that the guest has the layout that is typed.',
        evidence: { typed, echoed: came },
      });
    }
    throw new MachineError(
      'typing.no-evidence',
      `Cannot type: nothing shows that the keys arrive (character ${at + 1})`,
      {
        hint: 'The guest echoes nothing on its serial line and its screen does not change; is something reading the keyboard?',
        evidence: { typed },
      },
    );
  }

  async #drained(queue: KeyboardQueue): Promise<void> {
    const taken = await this.#until(async () => ((await queue.taken()) ? true : undefined), WAIT_MS, LOOK_MS);
    if (taken) return;
    throw new MachineError('typing.not-read', 'Cannot type: the guest does not read its keyboard', {
      hint: 'It may be busy, halted, or not yet at its prompt; wait for that first (<wait:text>).',
    });
  }

  async #reacted(): Promise<true | undefined> {
    return this.#serial.end > this.#position || (await this.#screenChanged()) ? true : undefined;
  }

  async #screenChanged(): Promise<boolean> {
    const { screen } = this.#options;
    if (screen === undefined || this.#picture === undefined) return false;
    return differs(this.#picture, await screen.take());
  }

  async #takePicture(): Promise<void> {
    this.#picture = await this.#options.screen?.take();
  }

  /** At most so long, until something came of the last key and then nothing more for a while. */
  async #settle(limitMs: number): Promise<void> {
    const quiet = Math.min(QUIET_MS, limitMs / 2);
    const { screen } = this.#options;
    this.#picture ??= await screen?.take();
    const stillness = new Stillness();
    let said = this.#serial.end;
    let since = performance.now();
    let reacted = this.#serial.end > this.#position;
    const look = async (): Promise<true | undefined> => {
      const now = performance.now();
      if (this.#serial.end !== said) {
        said = this.#serial.end;
        since = now;
        reacted = true;
      }
      if (screen !== undefined) {
        const picture = await screen.take();
        reacted ||= this.#picture !== undefined && differs(this.#picture, picture);
        since = Math.max(since, stillness.add(picture, now));
      }
      return reacted && now - since >= quiet ? true : undefined;
    };
    await this.#until(look, limitMs, SCREEN_LOOK_MS);
    this.#picture = undefined;
    this.#position = this.#serial.end;
  }

  async #waitForText(text: string, limitMs: number): Promise<void> {
    const look = (): true | undefined => {
      const raw = this.#serial.since(this.#position);
      if (!withoutEscapes(raw).includes(text)) return undefined;
      // What follows it is left to the next wait.
      this.#position = this.#serial.end - raw.length + prefixWith(raw, text);
      return true;
    };
    if (await this.#until(look, limitMs, limitMs * this.#scale)) return;
    throw this.#notSeen(`${JSON.stringify(text)} on the serial line`, limitMs);
  }

  async #waitForScreen(what: 'change' | 'still', limitMs: number): Promise<void> {
    const { screen } = this.#options;
    if (screen === undefined) {
      throw new MachineError('screen.none', 'Cannot wait for the screen: the machine has no display adapter', {
        hint: 'Give it one (video: true), or wait for text on its serial line instead.',
      });
    }
    const stillness = new Stillness();
    this.#picture ??= await screen.take();
    const look = async (): Promise<true | undefined> => {
      if (what === 'change') return (await this.#screenChanged()) ? true : undefined;
      const now = performance.now();
      return now - stillness.add(await screen.take(), now) >= QUIET_MS ? true : undefined;
    };
    if ((await this.#until(look, limitMs, SCREEN_LOOK_MS)) === undefined) {
      throw this.#notSeen(what === 'change' ? 'a change on the screen' : 'a screen that stands still', limitMs);
    }
    this.#picture = undefined;
  }

  #notSeen(what: string, limitMs: number): MachineError {
    const seconds = Math.round((limitMs * this.#scale) / 1000);
    return new MachineError('typing.not-seen', `Cannot go on typing: there was no ${what} within ${seconds} s`, {
      hint: 'The screenshots and serial.log in the run folder show what there was instead.',
      evidence: { serial: withoutEscapes(this.#serial.since(0)).split(/\r?\n/).slice(-15) },
    });
  }

  get #scale(): number {
    return this.#options.timeScale ?? 1;
  }

  #keyboard(): Promise<KeyboardQueue | undefined> {
    this.#queue ??= KeyboardQueue.find(this.#options.qmp);
    return this.#queue;
  }

  #until<T>(
    look: () => T | undefined | Promise<T | undefined>,
    limitMs: number,
    everyMs: number,
  ): Promise<T | undefined> {
    const { signal } = this.#options;
    const watched = (): T | undefined | Promise<T | undefined> => {
      if (this.#failed !== undefined) throw this.#failed.error;
      return look();
    };
    return until(watched, { limitMs: limitMs * this.#scale, everyMs, signal, bell: this.#serial.bell });
  }
}

/** Length of the shortest beginning of `raw` that says `text` when its escape sequences are taken out. */
function prefixWith(raw: string, text: string): number {
  let [short, long] = [0, raw.length];
  while (short < long) {
    const middle = (short + long) >> 1;
    if (withoutEscapes(raw.slice(0, middle)).includes(text)) long = middle;
    else short = middle + 1;
  }
  return long;
}
