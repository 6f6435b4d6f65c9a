import { expect, test } from 'vitest';
import { useRunningTime } from '../../fixtures/clock.ts';
import type { KeyEvent } from '../../src/machine/keys.ts';
import { queueBytes } from '../../src/machine/keys.ts';
import { layout } from '../../src/machine/keys-layouts.ts';
import { flat, SerialTap } from '../../src/machine/serial-tap.ts';
import { Typist } from '../../src/machine/typist.ts';
import { nextGroup } from '../../src/machine/typist-strokes.ts';

useRunningTime();

/** A PC's keyboard of 16 bytes and a guest that reads one key at each look at the controller, and echoes it. */
class FakeGuest {
  readonly tap = new SerialTap();
  readonly #queue: KeyEvent[] = [];
  readonly echo: boolean;
  readonly drop: ReadonlySet<number>;
  dropped = 0;
  got = '';
  #shift = false;
  #count = 0;

  constructor(options: { echo: boolean; drop?: readonly number[] }) {
    this.echo = options.echo;
    this.drop = new Set(options.drop);
  }

  async command(command: string, args: object): Promise<unknown> {
    if (command === 'input-send-event') {
      const { events } = args as { events: { data: { down: boolean; key: { data: string } } }[] };
      for (const { data } of events) {
        const event = { key: data.key.data, down: data.down };
        const bytes = this.#queue.reduce((sum, waiting) => sum + queueBytes(waiting), 0);
        if (bytes + queueBytes(event) > 16) this.dropped++;
        else this.#queue.push(event);
      }
      return {};
    }
    const line = (args as { 'command-line': string })['command-line'];
    if (line.startsWith('xp')) return '000000000000041a: 0x0000 0x0000\r\n';
    const full = this.#queue.length > 0;
    this.#read();
    return `portb[0x0064] = ${full ? '0x1d' : '0x1c'}\r\n`;
  }

  #read(): void {
    const event = this.#queue.shift();
    if (event === undefined) return;
    if (event.key === 'shift') this.#shift = event.down;
    else if (event.down) {
      const plain = this.#shift ? event.key.toUpperCase() : event.key;
      const character = event.key === 'spc' ? ' ' : plain;
      if (this.drop.has(this.#count++)) return;
      this.got += character;
      if (this.echo) this.tap.push(`\u001b[1m${character}\u001b[K`);
    }
  }
}

const signal = new AbortController().signal;
const TEXT = 'The quick brown FOX jumps over THE lazy DOG '.repeat(2);

test('a slow reader gets every character, and the queue never overflows', async () => {
  const guest = new FakeGuest({ echo: true });
  const report = await new Typist({ qmp: guest, serial: guest.tap, signal }).type([{ do: 'text', text: TEXT }]);
  expect(guest.got).toBe(TEXT);
  expect(guest.dropped).toBe(0);
  expect(report).toMatchObject({ characters: TEXT.length, groups: { screen: 0 } });
});

test('without an echo the empty queue is evidence, found out once', async () => {
  const guest = new FakeGuest({ echo: false });
  const start = performance.now();
  const typist = new Typist({ qmp: guest, serial: guest.tap, signal, timeScale: 0.1 });
  const report = await typist.type([{ do: 'text', text: 'pass word' }]);
  expect(guest.got).toBe('pass word');
  expect(report.groups.serial).toBe(0);
  expect(performance.now() - start).toBeLessThan(1000);
});

test('a character that does not come back is an error that quotes what did', async () => {
  const guest = new FakeGuest({ echo: true, drop: [6] });
  const typist = new Typist({ qmp: guest, serial: guest.tap, signal, evidence: 'serial', timeScale: 0.02 });
  await expect(typist.type([{ do: 'text', text: 'abcdefghijkl' }])).rejects.toMatchObject({
    code: 'typing.lost',
    message: expect.stringContaining('character 6'),
    evidence: { typed: 'abcdefghij', echoed: 'fhij' },
  });
});

test('a guest that fails, or an abort, ends the typing at once', async () => {
  const guest = new FakeGuest({ echo: false });
  const failure = Promise.reject(new Error('panicked'));
  await expect(
    new Typist({ qmp: guest, serial: guest.tap, signal, failure }).type([{ do: 'serial', text: 'x', limitMs: 60_000 }]),
  ).rejects.toThrow('panicked');
  const controller = new AbortController();
  const typist = new Typist({ qmp: guest, serial: guest.tap, signal: controller.signal });
  const typing = typist.type([{ do: 'serial', text: 'x', limitMs: 60_000 }]);
  controller.abort(new Error('stopped'));
  await expect(typing).rejects.toThrow('stopped');
});

test('text is waited for from the last key on, and what follows it is left to the next wait', async () => {
  const guest = new FakeGuest({ echo: false });
  const typist = new Typist({ qmp: guest, serial: guest.tap, signal });
  guest.tap.push('one \u001b[1mtw\u001b[0mo three');
  await typist.type(['one', 'two', 'three'].map((text) => ({ do: 'serial', text, limitMs: 1000 })));
  await expect(typist.type([{ do: 'serial', text: 'two', limitMs: 10 }])).rejects.toMatchObject({
    code: 'typing.not-seen',
  });
});

test('a modifier stays down between neighbours, and a group never exceeds its room', () => {
  const us = layout('us');
  const group = nextGroup([...'ABCDEFGH'], us, 'us', 16);
  expect(group.text).toBe('ABCD');
  expect(group.events.filter((event) => event.key === 'shift')).toHaveLength(2);
  for (const text of ['aBcDeF', 'aaaaaaa', 'AAAAAAA', '{}|~']) {
    const { events } = nextGroup([...text], us, 'us', 16);
    expect(events.reduce((sum, event) => sum + queueBytes(event), 0)).toBeLessThanOrEqual(16);
  }
  expect(nextGroup([...'^x'], layout('de'), 'de', 16).text).toBe('^x');
});

test('a line that a terminal wraps is one line again', () => {
  expect(flat('ab\n\rcd \r\u001b[9;3Hef')).toBe('abcdef');
});

test('the tap keeps positions when it forgets the beginning', () => {
  const tap = new SerialTap();
  for (let i = 0; i < 2000; i++) tap.push(`${'x'.repeat(999)}\n`);
  expect(tap.end).toBe(2_000_000);
  tap.push('tail');
  expect(tap.since(2_000_000)).toBe('tail');
  expect(tap.since(2_000_002)).toBe('il');
  expect(tap.since(0).length).toBeLessThan(300_000);
});
