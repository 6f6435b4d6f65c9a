import { watch } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { StringDecoder } from 'node:string_decoder';
import { isComposeError, MachineError } from '../errors.ts';
import { inputEvents, type KeyEvent, queueBytes } from './keys.ts';
import { QmpSession } from './qmp.ts';
import type { RunningRun } from './running.ts';
import { type QmpPort, Screen } from './screen.ts';
import { KeyboardQueue, QUEUE_BYTES } from './typist-queue.ts';
import { Bell, until } from './watch.ts';

/** A running machine, seen from another process. */
export interface Attached extends AsyncDisposable {
  readonly run: RunningRun;
  readonly qmp: QmpSession;
  readonly screen: Screen;
  /** Moves keys, no faster than the guest takes them; a guest that takes none gets them late or not at all. */
  press(events: readonly KeyEvent[]): Promise<void>;
}

/** QEMU greets at once; a socket that stays silent has another client. */
const GREETING_MS = 3000;
const TAKE_MS = 1000;
const LOOK_MS = 5;

/** @throws MachineError `attach.ended`, `attach.busy` */
export async function attach(run: RunningRun, signal: AbortSignal): Promise<Attached> {
  const qmp = await QmpSession.connect(run.attachSocket, { signal, greetingMs: GREETING_MS }).catch(
    (error: unknown) => {
      if (signal.aborted) throw error;
      if (isComposeError(error) && error.code === 'qmp.no-greeting') {
        throw new MachineError('attach.busy', `Cannot attach to ${run.name}: somebody else is attached already`, {
          hint: 'QEMU talks to one at a time; end the other compose attach.',
        });
      }
      throw new MachineError('attach.ended', `Cannot attach to ${run.name}: its machine has ended`, { cause: error });
    },
  );
  const port: QmpPort = qmp;
  const screen = await Screen.open(port);
  const queue = await KeyboardQueue.find(port);
  const press = async (events: readonly KeyEvent[]): Promise<void> => {
    for (const group of fitting(events)) {
      await queue?.note();
      await port.command('input-send-event', { events: inputEvents(group) });
      if (queue === undefined) continue;
      await until(async () => ((await queue.taken()) ? true : undefined), {
        limitMs: TAKE_MS,
        everyMs: LOOK_MS,
        signal,
      });
    }
  };
  return {
    run,
    qmp,
    screen,
    press,
    [Symbol.asyncDispose]: async () => {
      await screen[Symbol.asyncDispose]();
      await qmp[Symbol.asyncDispose]();
    },
  };
}

/** Groups that fit into a keyboard's queue. */
function fitting(events: readonly KeyEvent[]): KeyEvent[][] {
  const groups: KeyEvent[][] = [];
  let room = 0;
  for (const event of events) {
    const bytes = queueBytes(event);
    if (groups.length === 0 || bytes > room) {
      groups.push([]);
      room = QUEUE_BYTES;
    }
    groups.at(-1)!.push(event);
    room -= bytes;
  }
  return groups;
}

const CHUNK = 64 * 1024;

/**
 * Tells the last `back` bytes of a file that grows, and then what is added to it, until it has ended or `signal` aborts. A
 * file that became shorter is read from its beginning.
 */
export async function followFile(
  path: string,
  options: {
    readonly back: number;
    readonly signal: AbortSignal;
    readonly onText: (text: string) => void;
    /** True when nobody writes any more. @default never */
    readonly ended?: () => boolean;
  },
): Promise<void> {
  const { signal } = options;
  const file = await open(path, 'r');
  const bell = new Bell();
  const watcher = watch(path, () => bell.ring());
  watcher.on('error', () => {});
  const decoder = new StringDecoder('utf8');
  let position = Math.max(0, (await file.stat()).size - options.back);
  try {
    const look = async (): Promise<true | undefined> => {
      // Asked first, so that what was written last is read.
      const ended = options.ended?.() === true;
      position = await readOn(file, position, (bytes) => options.onText(decoder.write(bytes)));
      return ended ? true : undefined;
    };
    // Some file systems tell nothing of a change; a look a second costs nothing.
    await until(look, { limitMs: Number.POSITIVE_INFINITY, everyMs: 1000, signal, bell });
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    watcher.close();
    await file.close();
  }
}

async function readOn(file: FileHandle, from: number, onBytes: (bytes: Buffer) => void): Promise<number> {
  const { size } = await file.stat();
  let position = size < from ? 0 : from;
  const buffer = Buffer.alloc(CHUNK);
  while (position < size) {
    const { bytesRead } = await file.read(buffer, 0, CHUNK, position);
    if (bytesRead === 0) break;
    position += bytesRead;
    onBytes(buffer.subarray(0, bytesRead));
  }
  return position;
}
