/** Checks a kickstart: its sections, each command for its release, and whether anything is left to ask. */
import { type AnswerProblem, type AnswerTarget, Report, shown } from '../problem.ts';
import { type Command, readCommand } from './command.ts';
import { type Release, releaseOf } from './release.ts';
import { checkRequired } from './required.ts';
import { checkRules } from './rules.ts';
import { isSection, openSection, PackageLines } from './sections.ts';
import { splitWords, type Word } from './words.ts';

/** Ways to make partitions of which only one may be used. */
const AUTOMATIC = ['autopart', 'mount'];
const BY_HAND = ['part', 'partition', 'raid', 'volgroup', 'logvol', 'btrfs'];
/** Commands that may stand only once; the last would win without a word. */
const ONCE = new Set([
  'autopart',
  'bootloader',
  'clearpart',
  'firstboot',
  'keyboard',
  'lang',
  'rootpw',
  'selinux',
  'timezone',
  'url',
  'cdrom',
  'harddrive',
  'nfs',
  'zerombr',
  'eula',
]);

/** @param fragment an operator's addition to a kickstart: nothing has to be in it */
export function checkKickstartText(text: string, target: AnswerTarget, fragment = false): readonly AnswerProblem[] {
  const report = new Report('kickstart');
  const release = releaseOf(target);
  const reader = new KickstartReader('unknown' in release ? undefined : release, report);
  if ('unknown' in release) {
    report.warn(
      { line: 1 },
      'unknown-release',
      `the commands of ${release.unknown} are not known: only the form is checked`,
    );
  }
  reader.read(text);
  if (!('unknown' in release) && !fragment && !report.full) {
    const { commands, included, packages } = reader;
    checkRequired(commands, { release, included, packages, report });
  }
  return report.problems;
}

/** Goes through the lines once. */
class KickstartReader {
  readonly commands: Command[] = [];
  included = false;
  packages = false;
  readonly #release: Release | undefined;
  readonly #report: Report;
  readonly #packages: PackageLines;
  #section: { name: string; line: number } | undefined;

  constructor(release: Release | undefined, report: Report) {
    this.#release = release;
    this.#report = report;
    this.#packages = new PackageLines(report);
  }

  read(text: string): void {
    for (const [index, line] of text.split('\n').entries()) {
      if (this.#report.full) return;
      this.#line(line.endsWith('\r') ? line.slice(0, -1) : line, index + 1);
    }
    this.#unended();
    this.#manners();
  }

  #line(text: string, line: number): void {
    const trimmed = text.trimStart();
    const first = /^\S*/.exec(trimmed)?.[0] ?? '';
    const section = this.#section;
    if (section !== undefined) {
      if (first === '%end') this.#section = undefined;
      else if (isSection(first)) {
        this.#unended();
        this.#open(text, line);
      } else if (first === '%include' || first === '%ksappend') this.#include(text, line);
      else if (section.name === 'packages' && trimmed !== '' && !trimmed.startsWith('#'))
        this.#packages.read(text, line);
      return;
    }
    if (trimmed === '' || trimmed.startsWith('#')) return;
    if (first === '%end') {
      this.#report.error({ line, column: text.length - trimmed.length + 1 }, 'stray-end', '%end ends no section');
    } else if (first === '%include' || first === '%ksappend') this.#include(text, line);
    else if (first.startsWith('%')) this.#open(text, line);
    else this.#command(text, line);
  }

  #command(text: string, line: number): void {
    const words = this.#words(text, line);
    if (words === undefined) return;
    const command = readCommand(words, line, this.#release, this.#report);
    if (command === undefined) return;
    checkRules(command, this.#release, this.#report);
    this.commands.push(command);
  }

  #open(text: string, line: number): void {
    const words = this.#words(text, line) ?? [{ text: text.trim().split(/\s/, 1)[0] ?? '', column: 1 }];
    const name = openSection(words, line, this.#release, this.#report);
    this.#section = { name, line };
    if (name === 'packages') this.packages = true;
  }

  #include(text: string, line: number): void {
    const words = this.#words(text, line);
    if (words === undefined) return;
    if (words.length !== 2) {
      const at = { line, column: words[0]?.column ?? 1 };
      this.#report.error(
        at,
        'include',
        `${words[0]?.text} names ${words.length < 2 ? 'no file' : 'more than one file'}`,
      );
    }
    this.included = true;
  }

  #words(text: string, line: number): readonly Word[] | undefined {
    const { words, broken } = splitWords(text);
    if (broken === undefined) return words;
    this.#report.error({ line, column: broken.column }, 'quoting', broken.why);
    return undefined;
  }

  #unended(): void {
    if (this.#section === undefined) return;
    const { name, line } = this.#section;
    this.#report.error({ line, column: 1 }, 'unended-section', `%${name} has no %end`);
    this.#section = undefined;
  }

  /** What commands must be to one another. */
  #manners(): void {
    const seen = new Map<string, Command>();
    for (const command of this.commands) {
      const before = seen.get(command.name);
      if (before !== undefined && ONCE.has(command.name)) {
        this.#report.warn(
          command,
          'repeated-command',
          `${command.name} is in line ${before.line} already: the last one counts`,
        );
      }
      seen.set(command.name, command);
    }
    const automatic = AUTOMATIC.map((name) => seen.get(name)).filter((found) => found !== undefined);
    const byHand = BY_HAND.map((name) => seen.get(name)).find((found) => found !== undefined);
    const [first, second = byHand] = automatic;
    if (first === undefined || second === undefined) return;
    const later = first.line > second.line ? first : second;
    const earlier = later === first ? second : first;
    this.#report.error(
      later,
      'conflict',
      `${shown(later.name)} cannot go with ${earlier.name} of line ${earlier.line}: partitions are made in one way`,
    );
  }
}
