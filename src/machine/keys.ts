/** Keys by the names QEMU gives them (QKeyCode in qapi/ui.json), and what they cost in a keyboard's queue. */

/** Names of Packer's boot command, lower case, for the keys of a PC keyboard. */
export const KEY_NAMES: Readonly<Record<string, string>> = {
  enter: 'ret',
  return: 'ret',
  esc: 'esc',
  tab: 'tab',
  spacebar: 'spc',
  bs: 'backspace',
  del: 'delete',
  insert: 'insert',
  home: 'home',
  end: 'end',
  pageup: 'pgup',
  pagedown: 'pgdn',
  up: 'up',
  down: 'down',
  left: 'left',
  right: 'right',
  ...Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`f${i + 1}`, `f${i + 1}`])),
  // `menu` is another key to QEMU (Linux KEY_MENU); the one beside the right Ctrl is `compose` (KEY_COMPOSE, E0 5D).
  menu: 'compose',
  leftalt: 'alt',
  rightalt: 'alt_r',
  leftctrl: 'ctrl',
  rightctrl: 'ctrl_r',
  leftshift: 'shift',
  rightshift: 'shift_r',
  leftsuper: 'meta_l',
  rightsuper: 'meta_r',
};

/** Keys that change what others do; a press of one shows nothing by itself. */
export const MODIFIERS: ReadonlySet<string> = new Set([
  'shift',
  'shift_r',
  'ctrl',
  'ctrl_r',
  'alt',
  'alt_r',
  'meta_l',
  'meta_r',
]);

/** Keys whose scan codes carry the prefix E0 (PS/2 scan code set 2). */
const EXTENDED: ReadonlySet<string> = new Set(
  'insert delete home end pgup pgdn up down left right ctrl_r alt_r meta_l meta_r compose'.split(' '),
);

/** One movement of a key. */
export interface KeyEvent {
  readonly key: string;
  readonly down: boolean;
}

/** Bytes of a movement in scan code set 2, the longest form: [E0] code down, [E0] F0 code up. */
export function queueBytes({ key, down }: KeyEvent): number {
  return (EXTENDED.has(key) ? 2 : 1) + (down ? 0 : 1);
}

/** The events of `input-send-event` for movements. */
export function inputEvents(events: readonly KeyEvent[]): object[] {
  return events.map(({ key, down }) => ({ type: 'key', data: { down, key: { type: 'qcode', data: key } } }));
}
