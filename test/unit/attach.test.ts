import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { random } from '../../fixtures/fuzz.ts';
import { plainSerial } from '../../src/cli/attach-view.ts';
import { readTerminal, strokeEvents } from '../../src/cli/terminal-keys.ts';
import { followFile } from '../../src/machine/attach.ts';
import { layout } from '../../src/machine/keys-layouts.ts';
import { findRunning, recordRunning, runningRuns } from '../../src/machine/running.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-attach-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const us = layout('us');
const said = (input: string): string[] =>
  readTerminal(input, us).strokes.map((stroke) => [...stroke.with, stroke.key].join('+'));

describe('a terminal in raw mode', () => {
  test.each([
    ['letters and shift', 'aB', ['a', 'shift+b']],
    ['return, tab, backspace', '\r\t\x7f', ['ret', 'tab', 'backspace']],
    ['control characters', '\x03\x15', ['ctrl+c', 'ctrl+u']],
    ['escape alone', '\x1b', ['esc']],
    ['escape twice', '\x1b\x1b', ['esc', 'esc']],
    ['alt', '\x1bx', ['alt+x']],
    ['arrows, both ways', '\x1b[A\x1bOB', ['up', 'down']],
    ['function keys of three kinds', '\x1bOP\x1b[15~\x1b[[C', ['f1', 'f5', 'f3']],
    ['keys with modifiers', '\x1b[1;5C\x1b[3;2~', ['ctrl+right', 'shift+delete']],
    ['f12 of xterm', '\x1b[24~', ['f12']],
    ['what no key types', '漢a', ['a']],
  ])('%s', (_, input, keys) => expect(said(input)).toEqual(keys));

  test('Ctrl-] leaves, and what stands before it is typed', () => {
    expect(readTerminal('a\x1db', us)).toMatchObject({ leave: true, strokes: [{ key: 'a' }] });
  });

  test('whatever comes, keys go down and up in pairs', () => {
    const next = random(5);
    for (let round = 0; round < 2000; round++) {
      const input = Array.from({ length: next() % 12 }, () =>
        next() % 3 === 0 ? '\x1b[' : String.fromCodePoint(next() % 0x250),
      ).join('');
      const events = strokeEvents(readTerminal(input, us).strokes);
      expect(events.filter((event) => event.down)).toHaveLength(events.length / 2);
    }
  });
});

describe('running machines are found', () => {
  const env = (): NodeJS.ProcessEnv => ({ COMPOSE_STATE: folder });
  const run = async (name: string, recipe: string, over: object = {}): Promise<AsyncDisposable> => {
    const runDir = join(folder, 'runs', name);
    await mkdir(runDir, { recursive: true });
    const started = `2026-01-01T00:00:0${name.length % 10}Z`;
    return recordRunning(runDir, {
      name: recipe,
      pid: process.pid,
      started,
      attachSocket: '/nowhere',
      serialLog: '/nowhere',
      ...over,
    });
  };

  test('by folder, name, beginning, or because it is the only one', async () => {
    await expect(findRunning(undefined, env())).rejects.toMatchObject({ code: 'attach.none' });
    const one = await run('1-debian', 'debian-12');
    expect((await findRunning(undefined, env())).name).toBe('debian-12');
    await run('22-rocky', 'rocky-9');
    await expect(findRunning(undefined, env())).rejects.toMatchObject({ code: 'attach.which' });
    for (const which of ['debian-12', '1-debian', '1-', 'deb', join(folder, 'runs/1-debian')]) {
      expect((await findRunning(which, env())).name).toBe('debian-12');
    }
    await expect(findRunning('debain-12', env())).rejects.toMatchObject({
      code: 'attach.unknown',
      hint: expect.stringContaining('debian-12'),
    });
    await one[Symbol.asyncDispose]();
    await expect(findRunning(join(folder, 'runs/1-debian'), env())).rejects.toMatchObject({ code: 'attach.ended' });
  });

  test('the machines of an installer and of a debug session by the name and the folder of their run', async () => {
    for (const part of ['install', 'debug/2026-01-01T00:00:00abc']) {
      const own = await run(`1-rocky/${part}`, part === 'install' ? 'rocky-9-installer' : 'rocky-9');
      const runDir = join(folder, 'runs/1-rocky', part);
      for (const which of [undefined, '1-rocky', '1-', 'rocky-9', join(folder, 'runs/1-rocky'), runDir]) {
        expect(await findRunning(which, env()), `${part} by ${which}`).toMatchObject({ runDir });
      }
      await own[Symbol.asyncDispose]();
    }
  });

  test('records of dead machines and damaged ones are passed over', async () => {
    await run('dead', 'x', { pid: 2 ** 22 + 1 });
    await run('group', 'x', { pid: -1 });
    await mkdir(join(folder, 'runs/damaged'));
    await writeFile(join(folder, 'runs/damaged/machine.json'), '{"version":1,');
    expect(await runningRuns(env())).toEqual([]);
  });
});

test('a growing file is told as it grows, cut characters and all, until it has ended', async () => {
  const path = join(folder, 'serial.log');
  await writeFile(path, 'old beginning|');
  const controller = new AbortController();
  let text = '';
  let ended = false;
  const following = followFile(path, {
    back: 4,
    signal: controller.signal,
    ended: () => ended,
    onText: (more) => {
      text += more;
      if (text.endsWith('é')) ended = true;
    },
  });
  // Where it begins is told by the length that the file has when it is opened.
  await expect.poll(() => text).toBe('ing|');
  await writeFile(path, Buffer.from([0xc3]), { flag: 'a' });
  await writeFile(path, Buffer.from([0xa9]), { flag: 'a' });
  await following;
  expect(text).toBe('ing|é');
});

test("a guest's serial line cannot move the operator's cursor", () => {
  expect(plainSerial('a\u001b[2J\u001b]0;title\u0007b\r\nc\n\rd\u0008')).toBe('ab\nc\nd');
});
