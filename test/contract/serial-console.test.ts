import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { ComposeEvent } from '../../src/events.ts';
import { Milestones } from '../../src/machine/milestones.ts';
import { SerialConsole } from '../../src/machine/serial.ts';

/** A console that says `text` byte by byte, as QEMU's serial port does, and then ends; what it told, piece by piece. */
async function piecesOf(text: string, over: { readonly index?: string } = {}): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'compose-serial-'));
  const speak = (socket: Socket, at = 0): void => {
    if (at === text.length) socket.end();
    else socket.write(text.charAt(at), () => setImmediate(speak, socket, at + 1));
  };
  const server = createServer((socket) => speak(socket.setNoDelay(true)));
  try {
    const path = join(folder, 'serial');
    await new Promise<void>((resolve) => server.listen(path, resolve));
    const pieces: string[] = [];
    const emit = (event: ComposeEvent): void => {
      if (event.type === 'output') pieces.push(event.text);
    };
    const options = { name: 'guest', emit, milestones: new Milestones(emit), onFailure: () => {}, ...over };
    await using console = await SerialConsole.connect(path, options);
    await console.ended;
    expect(console.tail(1)).toEqual(['the last word']);
    return pieces;
  } finally {
    server.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

test('a console that comes byte by byte is looked at in larger pieces, and nothing of it is lost', async () => {
  const text = `${'a line of the kernel\r\n'.repeat(100)}the last word`;
  const pieces = await piecesOf(text);
  expect(pieces.join('')).toBe(text);
  expect(pieces.length).toBeLessThan(text.length / 4);
});

test('the index tells at which byte of the console what came at each moment begins', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'compose-serial-'));
  // Characters of several bytes, and one that is cut: offsets are those of the bytes.
  const pieces = ['first: ', 'grüße\r\n', '\u001b[0m€', 'x'.repeat(5_000), 'last\n'].map((text) => Buffer.from(text));
  const halves = pieces.flatMap((bytes) => [bytes.subarray(0, bytes.length - 3), bytes.subarray(bytes.length - 3)]);
  let come = (_: Socket): void => {};
  const connected = new Promise<Socket>((resolve) => {
    come = resolve;
  });
  const server = createServer((socket) => come(socket));
  try {
    const path = join(folder, 'serial');
    const index = join(folder, 'serial.index');
    await new Promise<void>((resolve) => server.listen(path, resolve));
    let text = '';
    const emit = (event: ComposeEvent): void => {
      if (event.type === 'output') text += event.text;
    };
    const console = await SerialConsole.connect(path, {
      ...{ name: 'guest', emit, milestones: new Milestones(emit) },
      ...{ onFailure: () => {}, index },
    });
    const entriesNow = (): number[][] => {
      const [head = '', ...lines] = readFileSync(index, 'utf8').trimEnd().split('\n');
      expect(head).toMatch(/^# since 2\d{3}-\S+Z: seconds, offset in serial\.log$/);
      return lines.map((line) => line.trim().split(/ +/).map(Number));
    };
    const peer = await connected;
    for (const [at, half] of halves.entries()) {
      peer.write(half);
      await expect.poll(() => existsSync(index) && entriesNow().length, { interval: 5 }).toBe(at + 1);
      // Entries are a tenth of a second apart at least.
      await new Promise((resolve) => setTimeout(resolve, 120));
    }
    peer.end();
    await console.ended;
    await console[Symbol.asyncDispose]();
    expect(text).toBe(Buffer.concat(halves).toString());
    const starts = halves.map((_, at) => halves.slice(0, at).reduce((sum, { length }) => sum + length, 0));
    const entries = entriesNow();
    expect(entries.map(([, offset]) => offset)).toEqual(starts);
    for (const [at, [seconds = 0]] of entries.entries()) {
      if (at > 0) expect(seconds - (entries[at - 1]?.[0] ?? 0)).toBeGreaterThanOrEqual(0.099);
    }
  } finally {
    server.close();
    rmSync(folder, { recursive: true, force: true });
  }
});

test('an index that cannot be written does the console no harm', async () => {
  const index = join(tmpdir(), 'no-such-folder', 'serial.index');
  expect((await piecesOf('the last word', { index })).join('')).toBe('the last word');
});
