/** What the rules for the options of one command are made of. */
import type { Command } from './command.ts';
import type { Release } from './release.ts';

export type Wrong = (rule: string, message: string, hint?: string) => void;

/** Says by `wrong` what the options of a command must not be to one another. */
export type Rule = (command: Command, wrong: Wrong, release: Release | undefined) => void;

export function items({ options }: Command, name: string): string[] {
  return (options.get(name) ?? '').split(',').filter((item) => item !== '');
}

export function onlyOne(command: Command, names: readonly string[], wrong: Wrong): void {
  const given = names.filter((name) => command.options.has(name));
  if (given.length > 1) wrong('conflict', `${command.name} takes only one of ${given.join(', ')}`);
}

export function atLeastOne(command: Command, names: readonly string[], wrong: Wrong): void {
  if (names.some((name) => command.options.has(name))) return;
  wrong('missing-option', `${command.name} needs one of ${names.join(', ')}`);
}

export function exactlyOne(command: Command, names: readonly string[], wrong: Wrong): void {
  onlyOne(command, names, wrong);
  atLeastOne(command, names, wrong);
}

/** Reports that `name` is there, and none of `others` is. */
export function needs(
  { name: command, options }: Command,
  name: string,
  others: readonly string[],
  wrong: Wrong,
): void {
  if (!options.has(name) || others.some((other) => options.has(other))) return;
  wrong('conflict', `${command} ${name} needs ${others.join(' or ')}`);
}

/** Reports a number outside of its bounds; what is no number the table has found. */
export function within(command: Command, name: string, [least, most]: readonly [number, number], wrong: Wrong): void {
  const number = Number(command.options.get(name));
  if (Number.isNaN(number) || (number >= least && number <= most)) return;
  const bounds = most === Infinity ? `at least ${least}` : `${least} to ${most}`;
  wrong('option-value', `${command.name} ${name} is ${bounds}, not ${number}`);
}
