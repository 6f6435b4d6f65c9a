/** What an answer file is generated from: decided before anything runs, so that a plan holds its text. */
import type { Arch } from '../machine/arch.ts';
import type { FileType } from '../pack/filetypes.ts';
import type { Values } from './values.ts';

/** Languages of installers' answers; each has a flag `--custom-LANGUAGE` and rules that answers are checked by. */
export const ANSWER_LANGUAGES = ['kickstart', 'preseed', 'autoinstall', 'autoyast', 'agama'] as const;
export type AnswerLanguage = (typeof ANSWER_LANGUAGES)[number];

export interface AnswerInputs {
  /** Name of the recipe. */
  readonly recipe: string;
  readonly arch: Arch;
  readonly firmware: 'uefi' | 'bios';
  /** Variables as texts; `listOf` splits those of type list. */
  readonly values: Values;
  /** All that the recipe asks for, which the installer installs where it can. */
  readonly packages: readonly string[];
  /** What will be packed: an image of a disk wants another partitioning than a tree. */
  readonly outputs: readonly FileType[];
  /** The chosen layout; undefined for a recipe without layouts. */
  readonly layout: string | undefined;
  /** Text of the operator's additions (`--custom-kickstart` and the like), in the recipe's language. */
  readonly custom: string | undefined;
  /** HTTP proxy the installer must use, as the guest sees it. */
  readonly proxy: string | undefined;
}

/** Makes an answer file. Pure: the same inputs are the same text. */
export type AnswerFunction = (inputs: AnswerInputs) => string;

/** The flag that takes additions in `language`. */
export function customFlag(language: AnswerLanguage): string {
  return `--custom-${language}`;
}
