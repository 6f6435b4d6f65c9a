import { UsageError } from '../errors.ts';
import type { TypingStep } from './key-grammar.ts';
import { type KeyEvent, queueBytes } from './keys.ts';
import type { Layout, Stroke } from './keys-layouts.ts';

/** Keys sent at once, and the characters they type. */
export interface KeyGroup {
  readonly events: readonly KeyEvent[];
  readonly text: string;
}

/** The keys for `character`. @throws UsageError `typing.no-key` */
export function strokesOf(character: string, layout: Layout, name: string): readonly Stroke[] {
  const strokes = layout.get(character);
  if (strokes !== undefined) return strokes;
  const code = `U+${character.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0')}`;
  throw new UsageError(
    'typing.no-key',
    `Cannot type: the layout ${name} has no key for ${JSON.stringify(character)} (${code})`,
    {
      hint: 'Nothing was typed. Choose the layout the guest uses, or leave the character out.',
    },
  );
}

/** Looks at everything before anything is typed. @throws UsageError `typing.no-key` */
export function checkSteps(steps: readonly TypingStep[], layout: Layout, name: string): void {
  for (const step of steps) {
    if (step.do === 'text') for (const character of step.text) strokesOf(character, layout, name);
    if (step.do === 'hold') strokesOf(step.character, layout, name);
  }
}

/**
 * Cuts off the front of `characters` what fits into `room` bytes of a keyboard's queue: one character at least. A modifier
 * stays down between neighbours that both need it.
 */
export function nextGroup(characters: readonly string[], layout: Layout, name: string, room: number): KeyGroup {
  const events: KeyEvent[] = [];
  let bytes = 0;
  let held: readonly string[] = [];
  let text = '';
  const cost = (list: readonly KeyEvent[]): number => list.reduce((sum, event) => sum + queueBytes(event), 0);
  for (const character of characters) {
    const add: KeyEvent[] = [];
    let holding = held;
    for (const stroke of strokesOf(character, layout, name)) {
      add.push(...change(holding, stroke.with), { key: stroke.key, down: true }, { key: stroke.key, down: false });
      holding = stroke.with;
    }
    if (text !== '' && bytes + cost(add) + cost(change(holding, [])) > room) break;
    events.push(...add);
    bytes += cost(add);
    held = holding;
    text += character;
  }
  events.push(...change(held, []));
  return { events, text };
}

/** Lets go of what is held and not wanted, then presses what is wanted and not held. */
function change(held: readonly string[], wanted: readonly string[]): KeyEvent[] {
  const up = held.filter((key) => !wanted.includes(key)).reverse();
  const down = wanted.filter((key) => !held.includes(key));
  return [...up.map((key) => ({ key, down: false })), ...down.map((key) => ({ key, down: true }))];
}

/** Bytes that may still lie in the queue when the last key that shows anything has been read: the releases after it. */
export function residue(events: readonly KeyEvent[]): number {
  const last = events.findLastIndex((event) => event.down);
  return events.slice(last + 1).reduce((sum, event) => sum + queueBytes(event), 0);
}
