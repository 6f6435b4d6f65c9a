/** What is wrong with an answer file, and how the checkers collect it. */
import { nearest } from '../formats/suggest.ts';

/** What an answer file is written in; `cloud-config` is cloud-init's user data. */
export const CHECKED_LANGUAGES = ['kickstart', 'preseed', 'autoinstall', 'cloud-config', 'autoyast', 'agama'] as const;
export type CheckedLanguage = (typeof CHECKED_LANGUAGES)[number];

/** The installer that will read the file. */
export interface AnswerTarget {
  /** As in a recipe: el, fedora, openeuler, debian, ubuntu, sles, opensuse. */
  readonly family: string;
  /** Release of the family: `9`, `42`, `24.03`. */
  readonly version: string;
  /** As in a recipe: amd64, arm64. */
  readonly arch?: string | undefined;
}

export interface AnswerProblem {
  /** From 1; a thing that is missing from the whole file has line 1. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column?: number;
  /** An error stops the installer, makes it ask, or is skipped by it without a word; a warning does none of these yet. */
  readonly severity: 'error' | 'warning';
  /** `<language>.<rule>`, never changes its meaning. */
  readonly code: string;
  /** What is wrong, without the place. */
  readonly message: string;
  /** What to do about it. */
  readonly hint?: string;
}

/** Place in a text. */
export interface Place {
  readonly line: number;
  readonly column?: number;
}

/** More would tell nobody anything, and suggestions for each would take minutes in a file of a megabyte. */
const MOST_PROBLEMS = 100;

/** Takes the problems of one file; the first hundred are kept. */
export class Report {
  readonly #language: CheckedLanguage;
  readonly #problems: AnswerProblem[] = [];

  constructor(language: CheckedLanguage) {
    this.#language = language;
  }

  /** Whether no more are kept: a checker may stop. */
  get full(): boolean {
    return this.#problems.length >= MOST_PROBLEMS;
  }

  get problems(): readonly AnswerProblem[] {
    return [...this.#problems].sort((a, b) => a.line - b.line || (a.column ?? 0) - (b.column ?? 0));
  }

  error(at: Place, rule: string, message: string, hint?: string): void {
    this.#add('error', at, rule, message, hint);
  }

  warn(at: Place, rule: string, message: string, hint?: string): void {
    this.#add('warning', at, rule, message, hint);
  }

  #add(severity: 'error' | 'warning', { line, column }: Place, rule: string, message: string, hint?: string): void {
    if (this.full) return;
    this.#problems.push({
      line,
      ...(column !== undefined && { column }),
      severity,
      code: `${this.#language}.${rule}`,
      message,
      ...(hint !== undefined && { hint }),
    });
  }
}

const LONGEST_MISTAKE = 40;

/** `Did you mean …?`, or undefined where nothing known is near. */
export function meant(word: string, known: Iterable<string>): string | undefined {
  const near = word.length > LONGEST_MISTAKE ? undefined : nearest(word, known);
  return near === undefined ? undefined : `Did you mean ${near}?`;
}

/** A piece of the file in a message: quoted, on one line, and not longer than a person reads. */
export function shown(text: string): string {
  const short = text.length > 60 ? `${text.slice(0, 57)}…` : text;
  return JSON.stringify(short);
}
