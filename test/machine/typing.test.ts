import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { setPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { random } from '../../fixtures/fuzz.ts';
import { burners, grubConfig, grubGuest, NO_GRUB_ISO } from '../../fixtures/grub-iso.ts';
import { quietContext } from '../../src/events.ts';
import { parseKeys } from '../../src/machine/key-grammar.ts';
import { KEY_NAMES } from '../../src/machine/keys.ts';
import { LAYOUTS, layout } from '../../src/machine/keys-layouts.ts';
import { type QmpPort, Screen } from '../../src/machine/screen.ts';
import { flat, type SerialTap, tapSerial } from '../../src/machine/serial-tap.ts';
import { type RunningMachine, startMachine } from '../../src/machine/start.ts';
import { Typist, type TypistOptions } from '../../src/machine/typist.ts';

const TIMES = 20;
const CHARACTERS = 300;
const why = NO_GRUB_ISO === undefined ? '' : ` (skipped: ${NO_GRUB_ISO})`;

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-typing-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Any printable ASCII that may stand between single quotes. */
function line(seed: number, length: number): string {
  const next = random(seed);
  const ascii = Array.from({ length: 95 }, (_, i) => String.fromCharCode(0x20 + i)).filter((c) => c !== "'");
  return Array.from({ length }, () => ascii[next() % ascii.length]).join('');
}

const COMMAND = { before: "set got='", after: "'" };
const LINES = Array.from({ length: TIMES }, (_, i) =>
  line(i + 1, CHARACTERS - COMMAND.before.length - COMMAND.after.length),
);
/** GRUB itself compares what it was given with what it read from its medium. */
const CHECKS = LINES.map(
  (text, i) => `function c${i} {\nif [ "$got" = '${text}' ]; then echo same-${i}-yes; else echo other-${i}-no; fi\n}`,
).join('\n');

interface Grub extends AsyncDisposable {
  readonly machine: RunningMachine;
  readonly tap: SerialTap;
  readonly screen: Screen;
  typist(over?: Partial<TypistOptions>): Typist;
}

async function grub(config: string): Promise<Grub> {
  const { context, tap } = tapSerial(quietContext());
  const machine = await startMachine(await grubGuest(folder, config), { runDir: folder, policy: 'tcg' }, context);
  const screen = await Screen.open(machine.qmp);
  const { qmp, failure, accelerator } = machine;
  const options = { qmp, failure, screen, serial: tap, signal: context.signal, timeScale: accelerator.timeScale };
  return {
    machine,
    tap,
    screen,
    typist: (over) => new Typist({ ...options, ...over }),
    [Symbol.asyncDispose]: async () => {
      await screen[Symbol.asyncDispose]();
      await machine[Symbol.asyncDispose]();
    },
  };
}

test.skipIf(NO_GRUB_ISO)(
  `${CHARACTERS} characters reach GRUB's shell unchanged, ${TIMES} times of ${TIMES}, on a host that is busy${why}`,
  async () => {
    await using guest = await grub(grubConfig({ serial: true, more: CHECKS }));
    using _busy = burners(2);
    setPriority(guest.machine.pid, 19);
    const typist = guest.typist({ evidence: 'serial', timeScale: 2 });
    await typist.type(parseKeys('<wait:"grub> ">'));
    for (const [i, text] of LINES.entries()) {
      const sent = `${COMMAND.before}${text}${COMMAND.after}`;
      expect(sent).toHaveLength(CHARACTERS);
      const before = guest.tap.end;
      await typist.type([{ do: 'text', text: sent }]);
      expect(flat(guest.tap.since(before))).toContain(sent);
      await typist.type(parseKeys(`<enter><wait:"grub> ">c${i}<enter><wait:"-${i}-"><wait:"grub> ">`));
      expect(guest.tap.since(before)).toContain(`same-${i}-yes`);
      // What is typed and not wanted is taken back, and leaves nothing behind for the next line.
      await typist.type(parseKeys('never run<leftCtrlOn>u<leftCtrlOff>'));
    }
    const report = await typist.type([]);
    expect(report.characters).toBeGreaterThan(TIMES * CHARACTERS);
    console.log(`typed ${report.characters} characters in ${JSON.stringify(report.groups)} groups`);
  },
  300_000,
);

test.skipIf(NO_GRUB_ISO)(
  `without an echo on the serial line the screen shows that ${CHARACTERS} characters arrived${why}`,
  async () => {
    await using guest = await grub(
      grubConfig({ serial: false, more: `${CHECKS}\nterminal_output serial\necho ready` }),
    );
    using _busy = burners(2);
    setPriority(guest.machine.pid, 19);
    const ask = guest.typist();
    await ask.type(parseKeys('<wait:ready><wait:"grub> ">terminal_output console<enter><waitStill>'));
    const report = await guest
      .typist({ evidence: 'screen' })
      .type(parseKeys(`set got='${LINES[0]}'`.replaceAll('<', '<lt>')));
    expect(report.groups.serial).toBe(0);
    expect(report.groups.screen).toBeGreaterThan(50);
    await ask.type(parseKeys('<enter>terminal_output serial<enter><wait:"grub> ">c0<enter><wait:-0-><wait:"grub> ">'));
    expect(guest.tap.since(0)).toContain('same-0-yes');
    // A password is neither echoed nor drawn: the keyboard's own queue has to do.
    await ask.type(parseKeys('terminal_output console<enter><waitStill>'));
    const blind = await guest
      .typist({ evidence: 'queue' })
      .type(parseKeys(`set got='${LINES[1]}'`.replaceAll('<', '<lt>')));
    expect(blind.groups.queue).toBeGreaterThan(50);
    await ask.type(parseKeys('<enter>terminal_output serial<enter><wait:"grub> ">c1<enter><wait:-1-><wait:"grub> ">'));
    expect(guest.tap.since(0)).toContain('same-1-yes');
  },
  300_000,
);

test.skipIf(NO_GRUB_ISO)(
  `what cannot be typed or is never seen is told${why}`,
  async () => {
    await using guest = await grub(grubConfig({ serial: true }));
    const typist = guest.typist({ timeScale: 1 });
    await typist.type(parseKeys('<wait:"grub> ">'));
    await expect(typist.type(parseKeys('ok €'))).rejects.toMatchObject({ code: 'typing.no-key' });
    await expect(typist.type(parseKeys('<wait1:nobody says this>'))).rejects.toMatchObject({ code: 'typing.not-seen' });
    // A wrong layout types something else, and that is noticed.
    const german = guest.typist({ layout: 'de', evidence: 'serial', timeScale: 0.5 });
    await expect(german.type(parseKeys('zy'))).rejects.toMatchObject({
      code: 'typing.lost',
      evidence: { echoed: 'yz' },
    });
    // QEMU itself says which keys it knows.
    const port: QmpPort = guest.machine.qmp;
    const schema = (await port.command('query-qmp-schema', {})) as { 'meta-type': string; values?: string[] }[];
    const known = schema.find((type) => type['meta-type'] === 'enum' && type.values?.includes('bracket_left'))?.values;
    const used = LAYOUTS.flatMap((name) => [...layout(name).values()].flat().flatMap((s) => [s.key, ...s.with]));
    for (const key of [...Object.values(KEY_NAMES), ...used]) expect(known).toContain(key);
    await guest.machine.qmp.command('stop', {});
    await expect(typist.type(parseKeys('x'))).rejects.toMatchObject({ code: 'qmp.refused' });
  },
  300_000,
);

test('no file of the typist sleeps: timers only limit and space looks, in watch.ts', () => {
  const root = join(import.meta.dirname, '../../src/machine');
  const files = readdirSync(root).filter((name) => /^(key|typist|screen|serial-tap)/.test(name));
  expect(files).toEqual(expect.arrayContaining(['typist.ts', 'keys.ts', 'screen.ts']));
  for (const name of files) {
    expect(readFileSync(join(root, name), 'utf8'), name).not.toMatch(
      /setTimeout|setInterval|timers\/promises|\bsleep\(/,
    );
  }
});
