import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { useRunningTime } from '../../fixtures/clock.ts';
import { random } from '../../fixtures/fuzz.ts';
import { pictureLines, textScreenLines } from '../../src/cli/render/guest-screen.ts';
import { MachineError } from '../../src/errors.ts';
import type { Picture } from '../../src/formats/ppm.ts';
import { changedBox, differs, Screen, Stillness } from '../../src/machine/screen.ts';
import { agree, CP437, cellLooks, readTextScreen, textLines } from '../../src/machine/screen-text.ts';
import { Screenshots } from '../../src/machine/screenshots.ts';

useRunningTime();

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-screens-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const blank = (width: number, height: number): Picture => ({ width, height, rgb: new Uint8Array(width * height * 3) });

function drawn(picture: Picture, x: number, y: number, width: number, height: number, color = 0xff): Picture {
  const rgb = Uint8Array.from(picture.rgb);
  for (let row = y; row < y + height; row++) {
    rgb.fill(color, (row * picture.width + x) * 3, (row * picture.width + x + width) * 3);
  }
  return { ...picture, rgb };
}

/** QMP of a machine whose screen the test draws; `undefined` is one without a display adapter. */
class FakeScreen {
  picture: Picture | undefined;
  memory = new Uint8Array(32 * 1024);
  looks = 0;
  /** What was asked for that goes into the QMP log. */
  logged: string[] = [];

  constructor(picture: Picture | undefined) {
    this.picture = picture;
  }

  async command(command: string, args: object, options: { readonly routine?: boolean } = {}): Promise<unknown> {
    if (!options.routine) this.logged.push(command);
    const { filename } = args as { filename: string };
    if (command === 'pmemsave') return writeFile(filename, this.memory);
    this.looks++;
    const { picture } = this;
    if (picture === undefined) throw new MachineError('qmp.refused', 'There is no console to take a screendump from');
    const head = Buffer.from(`P6\n${picture.width} ${picture.height}\n255\n`);
    return writeFile(filename, Buffer.concat([head, picture.rgb]));
  }
}

describe('pictures are compared', () => {
  const base = blank(720, 400);
  test('the changed part is found to the pixel', () => {
    expect(changedBox(base, base)).toBeUndefined();
    expect(changedBox(base, drawn(base, 9, 32, 4, 2))).toEqual({ x: 9, y: 32, width: 4, height: 2 });
    expect(changedBox(base, drawn(drawn(base, 0, 0, 1, 1), 719, 399, 1, 1))).toEqual({
      x: 0,
      y: 0,
      width: 720,
      height: 400,
    });
    expect(changedBox(base, blank(640, 400))).toMatchObject({ width: 640 });
  });

  test('random changes have the box a slow search finds', () => {
    const next = random(11);
    for (let round = 0; round < 300; round++) {
      const before = blank(1 + (next() % 30), 1 + (next() % 20));
      const rgb = Uint8Array.from(before.rgb);
      for (let n = next() % 4; n > 0; n--) rgb[next() % rgb.length] = 1;
      const places = [...rgb.entries()].filter(([, value]) => value !== 0).map(([at]) => Math.floor(at / 3));
      const [xs, ys] = [places.map((at) => at % before.width), places.map((at) => Math.floor(at / before.width))];
      const [x, y] = [Math.min(...xs), Math.min(...ys)];
      const box = { x, y, width: Math.max(...xs) - x + 1, height: Math.max(...ys) - y + 1 };
      expect(changedBox(before, { ...before, rgb })).toEqual(places.length === 0 ? undefined : box);
    }
  });

  test('a cursor that blinks is no change, a character and its cursor are', () => {
    expect(differs(base, drawn(base, 9, 30, 9, 2))).toBe(false);
    expect(differs(base, drawn(drawn(base, 9, 18, 7, 9), 18, 30, 9, 2))).toBe(true);
  });

  test('a screen is still since it last differed by more than a cursor', () => {
    const still = new Stillness();
    expect([still.add(base, 0), still.add(drawn(base, 0, 14, 9, 2), 5), still.add(base, 9)]).toEqual([0, 0, 0]);
    expect([still.add(drawn(base, 0, 0, 90, 16), 12), still.add(drawn(base, 0, 0, 90, 16), 20)]).toEqual([12, 12]);
  });
});

describe('screenshots', () => {
  test('only changes are kept, the first and the newest always', async () => {
    const machine = new FakeScreen(blank(80, 40));
    const shots = await Screenshots.start(machine, { folder: join(folder, 'shots'), everyMs: 60_000, keep: 4 });
    for (let i = 0; i < 10; i++) {
      await shots.now();
      await shots.now();
      machine.picture = drawn(blank(80, 40), 0, 0, 20 + i, 20);
    }
    await shots[Symbol.asyncDispose]();
    const files = (await readdir(join(folder, 'shots'))).sort();
    expect(files.map((name) => name.slice(0, 4))).toEqual(['0001', '0009', '0010', '0011']);
    expect(shots.files.map((file) => file.slice(-files[0]!.length))).toEqual(files);
  });

  test('what is taken again and again stays out of the QMP log, and one picture for a purpose does not', async () => {
    const machine = new FakeScreen(blank(80, 40));
    const shots = await Screenshots.start(machine, { folder: join(folder, 'shots'), everyMs: 60_000 });
    await shots.now();
    await shots[Symbol.asyncDispose]();
    expect(machine.looks).toBeGreaterThan(1);
    expect(machine.logged).toEqual([]);
    await using screen = await Screen.open(machine);
    await screen.take();
    expect(machine.logged).toEqual(['screendump']);
  });

  test('a machine without a screen, or one that answers never, harms nothing', async () => {
    const none = new FakeScreen(undefined);
    const shots = await Screenshots.start(none, { folder, everyMs: 1 });
    await shots.now();
    await shots[Symbol.asyncDispose]();
    expect(none.looks).toBeLessThan(5);
    expect(await readdir(folder)).toEqual([]);
    const hung = await Screenshots.start({ command: () => new Promise(() => {}) }, { folder, everyMs: 1 });
    const start = performance.now();
    await hung[Symbol.asyncDispose]();
    expect(performance.now() - start).toBeLessThan(3000);
  });

  test('a folder that cannot be written is no failure either', async () => {
    await writeFile(join(folder, 'file'), '');
    const shots = await Screenshots.start(new FakeScreen(blank(8, 8)), { folder: join(folder, 'file/x') });
    await shots.now();
    await shots[Symbol.asyncDispose]();
    expect(shots.files).toEqual([]);
  });
});

/** Draws text as a PC would, with a font of its own: a cell's bits are those of its character and colours. */
function textPicture(cells: Uint8Array): Picture {
  const picture = blank(720, 400);
  for (let cell = 0; cell < 2000; cell++) {
    const content = (cells[2 * cell]! << 8) | cells[2 * cell + 1]!;
    const [x, y] = [(cell % 80) * 9, Math.floor(cell / 80) * 16];
    for (let bit = 0; bit < 16; bit++) {
      if ((content >> bit) & 1) picture.rgb.fill(0xaa, ((y + bit) * 720 + x) * 3, ((y + bit) * 720 + x + 4) * 3);
    }
  }
  return picture;
}

describe('text screens', () => {
  const memory = new Uint8Array(32 * 1024);
  for (let at = 0; at < memory.length; at += 2) memory.set([0x20, 0x07], at);
  const write = (row: number, text: string): void => {
    for (const [i, character] of [...text].entries()) memory[row * 160 + 2 * i] = CP437.indexOf(character);
  };
  write(50, 'grub> ls (hd0)');
  write(74, 'last line ─┐');
  const shown = memory.slice(50 * 160, 75 * 160);

  test('characters are read where they agree with the picture, wherever the screen begins', async () => {
    const machine = new FakeScreen(textPicture(shown));
    machine.memory = memory;
    await using screen = await Screen.open(machine);
    const text = await readTextScreen(screen, await screen.take());
    const lines = textLines(text!);
    expect([lines[0], lines[24], lines[1]]).toEqual(['grub> ls (hd0)', 'last line ─┐', '']);
  });

  test('a picture that says something else, or a graphics mode, is no text', async () => {
    const machine = new FakeScreen(drawn(blank(720, 400), 0, 0, 300, 300));
    machine.memory = memory;
    await using screen = await Screen.open(machine);
    expect(await readTextScreen(screen, await screen.take())).toBeUndefined();
    machine.picture = blank(1280, 800);
    expect(await readTextScreen(screen, await screen.take())).toBeUndefined();
    expect(agree(shown, cellLooks(blank(720, 400)))).toBe(false);
  });

  test('a terminal that is lower shows the last rows written', () => {
    const text = { columns: 80, rows: 25, cells: shown };
    expect(textScreenLines(text, { columns: 80, rows: 3, colors: 'none' }).map((line) => line.trimEnd())).toEqual([
      '',
      '',
      'last line ─┐',
    ]);
    const [line] = textScreenLines(text, { columns: 20, rows: 25, colors: 'true' });
    expect(line).toBe('\u001b[38;2;170;170;170m\u001b[48;2;0;0;0mgrub> ls (hd0)      \u001b[0m');
  });
});

describe('pictures in a terminal', () => {
  const half = drawn(blank(160, 80), 0, 0, 160, 40);
  test('keep their proportions and fit', () => {
    const lines = pictureLines(half, { columns: 40, rows: 24, colors: 'none' });
    expect(lines).toHaveLength(10);
    expect(lines.map((line) => line[0]).join('')).toBe('@@@@@     ');
    expect(pictureLines(blank(1, 1), { columns: 80, rows: 24, colors: 'none' })).toEqual([' ']);
    expect(pictureLines(blank(4000, 10), { columns: 80, rows: 24, colors: 'none' })[0]).toHaveLength(80);
  });

  test('tell a colour only where it changes', () => {
    const [first] = pictureLines(half, { columns: 4, rows: 4, colors: 'true' });
    expect(first).toBe('\u001b[38;2;255;255;255m\u001b[48;2;0;0;0m▀▀▀▀\u001b[0m');
    expect(pictureLines(half, { columns: 4, rows: 4, colors: '256' })[0]).toBe(
      '\u001b[38;5;231m\u001b[48;5;16m▀▀▀▀\u001b[0m',
    );
  });
});
