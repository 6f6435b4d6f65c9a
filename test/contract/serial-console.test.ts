import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { ComposeEvent } from '../../src/events.ts';
import { Milestones } from '../../src/machine/milestones.ts';
import { SerialConsole } from '../../src/machine/serial.ts';

/** A console that says `text` byte by byte, as QEMU's serial port does, and then ends; what it told, piece by piece. */
async function piecesOf(text: string): Promise<string[]> {
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
    const options = { name: 'guest', emit, milestones: new Milestones(emit), onFailure: () => {} };
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
