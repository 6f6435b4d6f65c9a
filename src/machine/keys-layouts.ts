/** What to press for a character: the layouts the guest's keyboard driver may have, over the positions of a PC keyboard. */
import { UsageError } from '../errors.ts';
import { nearest } from '../formats/suggest.ts';

/** Keys pressed together, modifiers first. */
export interface Stroke {
  readonly key: string;
  readonly with: readonly string[];
}

export type Layout = ReadonlyMap<string, readonly Stroke[]>;

/** QEMU's names of the keys that type, a row of the keyboard each; `less` stands left of Z on keyboards with 102 keys. */
const ROWS = [
  'grave_accent 1 2 3 4 5 6 7 8 9 0 minus equal',
  'q w e r t y u i o p bracket_left bracket_right',
  'a s d f g h j k l semicolon apostrophe backslash',
  'less z x c v b n m comma dot slash',
].map((row) => row.split(' '));

interface Table {
  /** A row each: the characters of its keys alone. A space is a key that types nothing here. */
  readonly plain: readonly string[];
  readonly shift: readonly string[];
  /** AltGr with the named key. */
  readonly altgr: Readonly<Record<string, string>>;
  /** Characters whose key waits for the next letter to put an accent on; Space after it types the accent itself. */
  readonly dead: string;
}

const TABLES = {
  us: {
    plain: ['`1234567890-=', 'qwertyuiop[]', "asdfghjkl;'\\", ' zxcvbnm,./'],
    shift: ['~!@#$%^&*()_+', 'QWERTYUIOP{}', 'ASDFGHJKL:"|', ' ZXCVBNM<>?'],
    altgr: {},
    dead: '',
  },
  gb: {
    plain: ['`1234567890-=', 'qwertyuiop[]', "asdfghjkl;'#", '\\zxcvbnm,./'],
    shift: ['¬!"£$%^&*()_+', 'QWERTYUIOP{}', 'ASDFGHJKL:@~', '|ZXCVBNM<>?'],
    altgr: { '4': '€' },
    dead: '',
  },
  de: {
    plain: ['^1234567890ß´', 'qwertzuiopü+', 'asdfghjklöä#', '<yxcvbnm,.-'],
    shift: ['°!"§$%&/()=?`', 'QWERTZUIOPÜ*', "ASDFGHJKLÖÄ'", '>YXCVBNM;:_'],
    altgr: {
      '2': '²',
      '3': '³',
      '7': '{',
      '8': '[',
      '9': ']',
      '0': '}',
      minus: '\\',
      q: '@',
      e: '€',
      bracket_right: '~',
      less: '|',
      m: 'µ',
    },
    dead: '^´`',
  },
  fr: {
    plain: ['²&é"\'(-è_çà)=', 'azertyuiop $', 'qsdfghjklmù*', '<wxcvbn,;:!'],
    shift: [' 1234567890°+', 'AZERTYUIOP £', 'QSDFGHJKLM%µ', '>WXCVBN?./§'],
    altgr: {
      '2': '~',
      '3': '#',
      '4': '{',
      '5': '[',
      '6': '|',
      '7': '`',
      '8': '\\',
      '9': '^',
      '0': '@',
      minus: ']',
      equal: '}',
      e: '€',
      bracket_right: '¤',
    },
    dead: '',
  },
} satisfies Record<string, Table>;

export type LayoutName = keyof typeof TABLES;
export const LAYOUTS = Object.keys(TABLES) as readonly LayoutName[];

const made = new Map<string, Layout>();

/** The strokes for every character of a layout. @throws UsageError `typing.layout` */
export function layout(name: string): Layout {
  const known = made.get(name);
  if (known !== undefined) return known;
  if (!Object.hasOwn(TABLES, name)) {
    const near = nearest(name, LAYOUTS);
    throw new UsageError('typing.layout', `Cannot type: there is no keyboard layout of that name (${name})`, {
      hint: `${near === undefined ? '' : `Did you mean ${near}? `}Layouts: ${LAYOUTS.join(', ')}.`,
    });
  }
  const fresh = strokes(TABLES[name as LayoutName]);
  made.set(name, fresh);
  return fresh;
}

function strokes(table: Table): Layout {
  const space: Stroke = { key: 'spc', with: [] };
  const out = new Map<string, readonly Stroke[]>([
    [' ', [space]],
    ['\t', [{ key: 'tab', with: [] }]],
    ['\n', [{ key: 'ret', with: [] }]],
  ]);
  const put = (character: string, stroke: Stroke): void => {
    if (character === ' ' || out.has(character)) return;
    out.set(character, table.dead.includes(character) ? [stroke, space] : [stroke]);
  };
  for (const [row, keys] of ROWS.entries()) {
    for (const [at, character] of [...table.plain[row]!].entries()) put(character, { key: keys[at]!, with: [] });
    for (const [at, character] of [...table.shift[row]!].entries()) put(character, { key: keys[at]!, with: ['shift'] });
  }
  for (const [key, character] of Object.entries(table.altgr)) put(character, { key, with: ['alt_r'] });
  return out;
}
