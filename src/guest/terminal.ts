/** A shell in the guest on the operator's own terminal. */
import type { ReadStream, WriteStream } from 'node:tty';
import type { GuestSession } from './session.ts';

export interface OperatorTerminal {
  readonly input: ReadStream;
  readonly output: WriteStream;
}

/** Leaves the alternate screen, shows the cursor, ends bracketed paste, mouse reports and colours. */
const RESET = '\u001b[?1049l\u001b[?25h\u001b[?2004l\u001b[?1000l\u001b[?1006l\u001b[0m';

/**
 * Opens a root shell and gives it the terminal until it ends: keys go through as they are, the window's size follows, and
 * the terminal is as it was however the shell ends.
 * @throws ProvisionError `ssh.lost` when the connection broke under it; the reason of `signal`
 */
export async function openTerminal(
  session: GuestSession,
  { input, output }: OperatorTerminal,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  const size = (): { rows: number; cols: number } => ({ rows: output.rows ?? 24, cols: output.columns ?? 80 });
  const channel = await session.terminal({ ...size(), term: process.env.TERM ?? 'xterm' });
  const wasRaw = input.isRaw;
  const restore = (): void => {
    if (input.isTTY) input.setRawMode(wasRaw);
  };
  const onKeys = (data: Buffer): void => void channel.write(data);
  const onResize = (): void => {
    const { rows, cols } = size();
    channel.setWindow(rows, cols, 0, 0);
  };
  const onOutput = (data: Buffer): void => {
    if (output.write(data)) return;
    channel.pause();
    output.once('drain', () => channel.resume());
  };
  let onAbort = (): void => {};
  let clean = false;
  // A process that exits in between leaves no finally to run.
  process.once('exit', restore);
  try {
    input.setRawMode(true);
    input.on('data', onKeys).resume();
    output.on('resize', onResize);
    channel.on('data', onOutput);
    channel.stderr.on('data', onOutput);
    const closed = new Promise<'closed'>((resolve) => channel.once('close', () => resolve('closed')));
    const aborted = new Promise<never>((_, reject) => {
      onAbort = () => reject(signal.reason);
      signal.addEventListener('abort', onAbort, { once: true });
    });
    clean = (await Promise.race([closed, session.ended(), aborted])) === 'closed';
  } finally {
    process.off('exit', restore);
    signal.removeEventListener('abort', onAbort);
    input.off('data', onKeys).pause();
    output.off('resize', onResize);
    restore();
    if (!clean) output.write(RESET);
    output.write('\r\n');
    channel.destroy();
  }
}
