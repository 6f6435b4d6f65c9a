/** What `compose attach` does at a machine. */
import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { deflateSync } from 'node:zlib';
import { isComposeError, UsageError } from '../errors.ts';
import type { Context } from '../events.ts';
import { encodePng } from '../formats/png.ts';
import { type Attached, attach, followFile } from '../machine/attach.ts';
import { parseKeys } from '../machine/key-grammar.ts';
import { type LayoutName, layout } from '../machine/keys-layouts.ts';
import { findRunning, type RunningRun } from '../machine/running.ts';
import { SerialTap } from '../machine/serial-tap.ts';
import { Typist } from '../machine/typist.ts';
import { frame, plainSerial, viewGuest } from './attach-view.ts';
import type { Answer, GlobalOptions } from './command.ts';

export interface AttachFlags {
  readonly run: string | undefined;
  readonly screenshot: string | undefined;
  readonly serial: boolean;
  readonly keys: string | undefined;
  readonly layout: LayoutName;
}

const WITHOUT_TERMINAL = { columns: 80, rows: 25, colors: 'none' } as const;
const SERIAL_BACK = 16 * 1024;
/** What a guest under emulation needs; one that is quicker is not held up. */
const TIME_SCALE = 5;

/** Types, takes a picture, follows the console or shows the screen, as the flags say. @throws the errors of each */
export async function attachAs(flags: AttachFlags & GlobalOptions, context: Context): Promise<Answer> {
  // A mistake in the keys is told before anything is looked for.
  const steps = flags.keys === undefined ? undefined : parseKeys(flags.keys);
  if (flags.serial && (flags.json || flags.keys !== undefined || flags.screenshot !== undefined)) {
    throw new UsageError(
      'usage',
      'Cannot run this command: --serial goes with neither --keys, --screenshot nor --json',
    );
  }
  const run = await findRunning(flags.run);
  if (flags.serial) return followSerial(run, context.signal);
  await using attached = await attach(run, context.signal);
  const data: Record<string, unknown> = { run: run.runDir, name: run.name, pid: run.pid };
  const text: string[] = [];
  if (steps !== undefined) {
    const report = await type(attached, steps, flags.layout, context.signal);
    data.typed = report;
    text.push(`typed ${report.characters} characters`);
  }
  if (flags.screenshot !== undefined) {
    data.screenshot = resolve(flags.screenshot);
    text.push(await screenshot(attached, flags.screenshot));
  }
  if (text.length > 0) return { data, text: text.join('\n') };
  const { stdin: input, stdout: output } = process;
  if (!flags.json && input.isTTY && output.isTTY) {
    const end = await viewGuest(attached, layout(flags.layout), { input, output }, context.signal);
    return { data: { ...data, end }, text: end === 'left' ? '' : `the machine of ${run.name} has ended` };
  }
  const { lines, what } = await frame(attached, WITHOUT_TERMINAL);
  return { data: { ...data, screen: what, lines }, text: lines.join('\n').trimEnd() };
}

async function screenshot(attached: Attached, file: string): Promise<string> {
  const picture = await attached.screen.take();
  await writeFile(
    file,
    encodePng(picture, (bytes) => deflateSync(bytes)),
  ).catch((cause: unknown) => {
    throw new UsageError('attach.screenshot', `Cannot write the screenshot: ${(cause as Error).message}`, { cause });
  });
  return `${file}  ${picture.width}x${picture.height}`;
}

async function type(
  attached: Attached,
  steps: Parameters<Typist['type']>[0],
  name: LayoutName,
  signal: AbortSignal,
): ReturnType<Typist['type']> {
  const serial = new SerialTap();
  const ending = new AbortController();
  const following = followFile(attached.run.serialLog, {
    back: SERIAL_BACK,
    signal: ending.signal,
    onText: (text) => serial.push(text),
  }).catch(() => {});
  try {
    const { qmp } = attached;
    const screen = (await hasScreen(attached)) ? attached.screen : undefined;
    return await new Typist({ qmp, screen, serial, layout: name, signal, timeScale: TIME_SCALE }).type(steps);
  } finally {
    ending.abort();
    await following;
  }
}

/** A machine without a display adapter has a keyboard all the same. */
async function hasScreen({ screen }: Attached): Promise<boolean> {
  try {
    await screen.take();
    return true;
  } catch (error) {
    if (isComposeError(error) && error.code === 'screen.none') return false;
    throw error;
  }
}

/** Until the machine ends or Ctrl-C; the only thing here that prints as it goes, for it may never end. */
async function followSerial(run: RunningRun, signal: AbortSignal): Promise<Answer> {
  const onText = (text: string): void => void process.stdout.write(plainSerial(text));
  await followFile(run.serialLog, { back: SERIAL_BACK, signal, onText, ended: () => !lives(run.pid) });
  return {
    data: { run: run.runDir, name: run.name },
    text: signal.aborted ? '' : `\nthe machine of ${run.name} has ended`,
  };
}

function lives(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
