import { UsageError } from '../errors.ts';
import { parseSize } from '../formats/human.ts';
import type { Recipe } from './schema.ts';

/** What the operator gives the guest of a build in place of what the recipe says; nothing of it is in the image. */
export interface GivenMachine {
  /** Processors. */
  readonly cpus?: number | undefined;
  /** Memory, bytes or a text as `4G`; an installer gets as much too, unless it asks for more. */
  readonly memory?: number | string | undefined;
}

/**
 * The recipe with the machine it is given.
 * @throws UsageError `machine.cpus` and `machine.memory` for what is no number of processors and no size
 */
export function giveMachine(recipe: Recipe, { cpus, memory }: GivenMachine): Recipe {
  if (cpus !== undefined && !(Number.isInteger(cpus) && cpus >= 1)) {
    throw new UsageError('machine.cpus', `Cannot make a machine with ${cpus} processors`, {
      hint: 'Write a whole number, as in --cpus 4.',
    });
  }
  const bytes = memory === undefined ? undefined : parseSize(memory);
  if (memory !== undefined && bytes === undefined) {
    throw new UsageError('machine.memory', `Cannot make a machine with the memory ${memory}`, {
      hint: 'Write a size, as in --memory 4G.',
    });
  }
  const { machine, sources } = recipe;
  const given = {
    ...recipe,
    machine: { ...machine, ...(cpus !== undefined && { cpus }), ...(bytes !== undefined && { memory: bytes }) },
  };
  const own = sources.installer?.memory;
  if (sources.installer === undefined || own === undefined || bytes === undefined) return given;
  const more = Math.max(bytes, parseSize(own) ?? 0);
  return { ...given, sources: { ...sources, installer: { ...sources.installer, memory: more } } };
}
