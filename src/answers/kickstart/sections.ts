/** Sections of a kickstart: which there are, what their first lines take, and the lines of %packages. */
import { meant, type Report, shown } from '../problem.ts';
import { ArgumentReader } from './command.ts';
import type { Release } from './release.ts';
import { type CommandSpec, readTable } from './table.ts';
import type { Word } from './words.ts';

/** Form: `readTable`, with names that have lost their percent sign. */
const SECTIONS: ReadonlyMap<string, CommandSpec> = readTable(`
addon ...
anaconda 7-9,f ~9,f -> a configuration file of Anaconda on the medium
certificate 10,f42+
  --filename=S! --dir=S
onerror 7+
  --erroronfail --interpreter=S --log/logfile=S
packages
  --excludedocs --ignoremissing --default
  6-9 --instLangs=S
  ~f --instLangs=S --excludeWeakdeps
  6 --nobase
  ~7 --nobase
  7+ --multilib --nocore --timeout=N --retries=N
  8-9 --excludeWeakdeps
  9+ --inst-langs=S --exclude-weakdeps
  f --ignorebroken
post
  --erroronfail --interpreter=S --log/logfile=S --nochroot
pre
  --erroronfail --interpreter=S --log/logfile=S
pre-install 7+
  --erroronfail --interpreter=S --log/logfile=S
traceback ~9+ -> %onerror
  --erroronfail --interpreter=S --log/logfile=S
`);

/** Whether a word begins a section of any release. */
export function isSection(word: string): boolean {
  return word.startsWith('%') && SECTIONS.has(word.slice(1));
}

/** Checks the first line of a section. @returns its name without the sign */
export function openSection(
  words: readonly Word[],
  line: number,
  release: Release | undefined,
  report: Report,
): string {
  const [first, ...rest] = words;
  const name = first?.text.slice(1) ?? '';
  const at = { line, column: first?.column ?? 1 };
  const spec = SECTIONS.get(name);
  if (spec === undefined) {
    const hint = meant(`%${name}`, ['%end', '%include', ...[...SECTIONS.keys()].map((known) => `%${known}`)]);
    report.error(at, 'unknown-section', `${shown(`%${name}`)} begins no section`, hint);
    return name;
  }
  if (release !== undefined && !spec.releases.has(release)) {
    report.error(at, 'removed-section', `%${name} is no section of ${release.name}: ${spec.releases} has it`);
    return name;
  }
  if (release !== undefined && spec.deprecated?.has(release)) {
    report.warn(at, 'deprecated-section', `%${name} is deprecated in ${release.name}`, `Use instead: ${spec.instead}.`);
  }
  if (spec.positional === 'free') return name;
  const { options, words: others } = new ArgumentReader(`%${name}`, spec.options, line, release, report).read(rest);
  const [surplus] = others;
  if (surplus !== undefined) {
    report.error({ line, column: surplus.column }, 'surplus-argument', `%${name} does not take ${shown(surplus.text)}`);
  }
  for (const { names, required } of spec.options) {
    const option = names[0] ?? '';
    if (required && !options.has(option)) report.error(at, 'missing-option', `%${name} needs ${option}`);
  }
  if (options.has('--default') && (options.has('--nocore') || options.has('--nobase'))) {
    report.error(at, 'conflict', '%packages takes --default or --nocore, not both');
  }
  return name;
}

/** Remembers what a %packages section names, to find what it names twice. */
export class PackageLines {
  readonly #seen = new Map<string, { excluded: boolean; line: number }>();
  #environment: { name: string; line: number } | undefined;
  readonly #report: Report;

  constructor(report: Report) {
    this.#report = report;
  }

  read(text: string, line: number): void {
    const item = text.replace(/\s#.*$/, '').trim();
    const column = text.length - text.trimStart().length + 1;
    const at = { line, column };
    const excluded = item.startsWith('-');
    const name = excluded ? item.slice(1).trim() : item;
    if (name.startsWith('@')) {
      this.#group(name.slice(1).trim(), excluded, at);
    } else if (item.startsWith('--')) {
      this.#report.error(at, 'packages-line', `${shown(item)} is no package`, 'Options stand behind %packages.');
    } else if (/\s/.test(name)) {
      this.#report.error(at, 'packages-line', `${shown(item)} is more than one name`, 'One package or group a line.');
    } else if (!/^[A-Za-z0-9*?[_/.][\w.+*?[\]:~^/@!()-]*$/.test(name)) {
      this.#report.error(at, 'packages-line', `${shown(item)} is no name of a package`);
    } else {
      this.#note(name, excluded, at);
    }
  }

  #group(text: string, excluded: boolean, at: { line: number; column: number }): void {
    const [name = '', ...options] = text.split(/\s--/).map((part) => part.trim());
    for (const option of options) {
      if (option === 'optional' || option === 'nodefaults') continue;
      this.#report.error(
        at,
        'packages-line',
        `a group has no option ${shown(`--${option}`)}`,
        'It has --nodefaults and --optional.',
      );
    }
    if (options.includes('optional') && options.includes('nodefaults')) {
      this.#report.error(at, 'packages-line', 'a group takes only one of --nodefaults, --optional');
    }
    if (name === '' || name === '^') {
      this.#report.error(at, 'packages-line', 'a group has no name');
      return;
    }
    if (name.startsWith('^') && !excluded) {
      const before = this.#environment;
      this.#environment = { name, line: at.line };
      if (before !== undefined && before.name !== name) {
        this.#report.error(
          at,
          'packages-line',
          `@${name} is a second environment beside @${before.name} of line ${before.line}`,
        );
        return;
      }
    }
    this.#note(`@${name}`, excluded, at);
  }

  #note(name: string, excluded: boolean, at: { line: number; column: number }): void {
    const before = this.#seen.get(name);
    this.#seen.set(name, { excluded, line: at.line });
    if (before === undefined) return;
    if (before.excluded !== excluded) {
      // What the installer makes of it depends on the order, which may be meant.
      this.#report.warn(at, 'packages-conflict', `${shown(name)} is both wanted and left out (line ${before.line})`);
    } else if (name.startsWith('@')) {
      this.#report.error(at, 'duplicate-group', `${shown(name)} is named in line ${before.line} already`);
    }
  }
}
