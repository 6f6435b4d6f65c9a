import type { KeyEvent } from '../machine/keys.ts';
import type { Layout, Stroke } from '../machine/keys-layouts.ts';

/** Leaves `compose attach`, as it leaves telnet. */
export const LEAVE = 0x1d;

/** Final letters of `CSI … letter` and `SS3 letter` (xterm's ctlseqs). */
const LETTERS: Readonly<Record<string, string>> = {
  A: 'up',
  B: 'down',
  C: 'right',
  D: 'left',
  F: 'end',
  H: 'home',
  P: 'f1',
  Q: 'f2',
  R: 'f3',
  S: 'f4',
};
/** Numbers of `CSI number ~`. */
const NUMBERS: Readonly<Record<string, string>> = {
  '1': 'home',
  '2': 'insert',
  '3': 'delete',
  '4': 'end',
  '5': 'pgup',
  '6': 'pgdn',
  '7': 'home',
  '8': 'end',
  ...Object.fromEntries([11, 12, 13, 14, 15, 17, 18, 19, 20, 21, 23, 24].map((code, i) => [String(code), `f${i + 1}`])),
};
const SEQUENCE = /^\u001b(?:\[(?:\[([A-E])|(\d*)(?:;(\d+))?([A-HP-S~]))|O([A-HP-S]))/;
/** The parameter of a modified key is one more than these bits. */
const MODIFIER_BITS = ['shift', 'alt', 'ctrl'] as const;

/** What is typed at a terminal: keys for the guest, and whether the person wants to leave. */
export interface Typed {
  readonly strokes: readonly Stroke[];
  readonly leave: boolean;
}

/** Reads what a terminal sends in raw mode. What no key of the guest's layout types is left out. */
export function readTerminal(input: string, layout: Layout): Typed {
  const strokes: Stroke[] = [];
  for (let at = 0; at < input.length; ) {
    const code = input.codePointAt(at) ?? 0;
    if (code === LEAVE) return { strokes, leave: true };
    const sequence = SEQUENCE.exec(input.slice(at, at + 16));
    if (sequence !== null) {
      const stroke = sequenceStroke(sequence);
      if (stroke !== undefined) strokes.push(stroke);
      at += sequence[0].length;
      continue;
    }
    const next = input.codePointAt(at + 1);
    if (code === 0x1b && next !== undefined && next !== 0x1b && next !== LEAVE) {
      strokes.push(...character(next, layout).map((stroke) => ({ ...stroke, with: ['alt', ...stroke.with] })));
      at += 1 + String.fromCodePoint(next).length;
      continue;
    }
    strokes.push(...character(code, layout));
    at += String.fromCodePoint(code).length;
  }
  return { strokes, leave: false };
}

function sequenceStroke([, linux, number, modifier, final, ss3]: RegExpExecArray): Stroke | undefined {
  const key =
    linux !== undefined
      ? `f${linux.charCodeAt(0) - 0x40}`
      : final === '~'
        ? NUMBERS[number ?? '']
        : LETTERS[final ?? ss3 ?? ''];
  if (key === undefined) return undefined;
  const bits = modifier === undefined ? 0 : Number(modifier) - 1;
  return { key, with: MODIFIER_BITS.filter((_, bit) => ((bits >> bit) & 1) === 1) };
}

function character(code: number, layout: Layout): readonly Stroke[] {
  if (code === 0x0d || code === 0x0a) return [{ key: 'ret', with: [] }];
  if (code === 0x09) return [{ key: 'tab', with: [] }];
  if (code === 0x7f || code === 0x08) return [{ key: 'backspace', with: [] }];
  if (code === 0x1b) return [{ key: 'esc', with: [] }];
  if (code < 0x20) {
    // Control and a letter, or one of @ [ \ ] ^ _ after them.
    const letter = String.fromCharCode(code + 0x40).toLowerCase();
    return (layout.get(letter) ?? []).slice(0, 1).map((stroke) => ({ ...stroke, with: ['ctrl', ...stroke.with] }));
  }
  return layout.get(String.fromCodePoint(code)) ?? [];
}

/** The movements of keys for strokes, one after the other. */
export function strokeEvents(strokes: readonly Stroke[]): KeyEvent[] {
  return strokes.flatMap(({ key, with: modifiers }) => [
    ...modifiers.map((modifier) => ({ key: modifier, down: true })),
    { key, down: true },
    { key, down: false },
    ...[...modifiers].reverse().map((modifier) => ({ key: modifier, down: false })),
  ]);
}
