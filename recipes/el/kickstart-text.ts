/** Kickstart as text: words that are quoted, lines, sections, and an operator's own file laid over ours. */
import { RecipeError } from '../../src/errors.ts';

/** One command; what it says is quoted where it has to be. */
export interface KickstartLine {
  readonly command: string;
  readonly text: string;
}

/** `--name=value`, or `--name` alone where the value is true; a value that is undefined or false leaves the option out. */
export type Option = readonly [name: string, value: string | number | boolean | undefined];

/** What the shell-like reader of kickstart takes as it is (pykickstart: parser.py, shlex with comments). */
const PLAIN = /^[A-Za-z0-9_./:=,@%+^~-]+$/;

/**
 * A word of a command.
 * @throws RecipeError `kickstart.value` for what no line can hold
 */
export function word(value: string): string {
  if (/[\p{Cc}\u2028\u2029]/u.test(value)) {
    throw new RecipeError(
      'kickstart.value',
      `Cannot write ${JSON.stringify(value)} into a kickstart: it is not one line`,
    );
  }
  return PLAIN.test(value) ? value : `"${value.replace(/["\\]/g, '\\$&')}"`;
}

export function line(command: string, options: readonly Option[] = [], ...operands: readonly string[]): KickstartLine {
  const said = options.flatMap(([name, value]) => {
    if (value === undefined || value === false) return [];
    return value === true ? [`--${name}`] : [`--${name}=${word(String(value))}`];
  });
  return { command, text: [command, ...said, ...operands.map(word)].join(' ') };
}

/** A section of scripts or packages, between its head and `%end`. */
export function section(head: string, body: readonly string[]): string {
  return `${head}\n${body.join('\n')}\n%end\n`;
}

/** Commands that may stand in a file more than once, each for another thing (pykickstart: dataList). */
const MANY = new Set([
  ...['repo', 'user', 'group', 'network', 'sshkey', 'sshpw', 'module', 'timesource', 'device', 'driverdisk', 'updates'],
  ...['fcoe', 'zfcp', 'iscsi', 'nvdimm', 'snapshot', 'rhsm'],
]);

/** Commands that stand for one another: an operator's takes the place of all of ours of its group. */
const GROUPS: readonly (readonly string[])[] = [
  ['text', 'cmdline', 'graphical', 'vnc', 'rdp'],
  ['url', 'cdrom', 'harddrive', 'nfs', 'hmc', 'liveimg', 'ostreesetup', 'ostreecontainer', 'bootc'],
  ['poweroff', 'reboot', 'shutdown', 'halt'],
  ['part', 'partition', 'logvol', 'volgroup', 'raid', 'btrfs', 'autopart', 'reqpart', 'mount'],
  ['auth', 'authconfig', 'authselect'],
];

const SECTION = /^%(?!include\b|ksappend\b|end\b)/;

interface Custom {
  /** As they are, comments with them. */
  readonly commands: readonly string[];
  readonly names: ReadonlySet<string>;
  readonly sections: readonly string[];
}

/** Cuts a file into its commands and its sections; nothing of it is read otherwise. */
function readCustom(text: string): Custom {
  const commands: string[] = [];
  const names = new Set<string>();
  const sections: string[] = [];
  let open: string[] | undefined;
  for (const raw of text.replace(/\r\n?/g, '\n').split('\n')) {
    if (open !== undefined) {
      open.push(raw);
      if (!/^%end\b/.test(raw)) continue;
      sections.push(`${open.join('\n')}\n`);
      open = undefined;
    } else if (SECTION.test(raw)) open = [raw];
    else {
      commands.push(raw);
      const name = /^\s*([a-z]\S*)/.exec(raw)?.[1];
      if (name !== undefined) names.add(name);
    }
  }
  // A section without an end stays one: the check of the whole says so, with its line.
  if (open !== undefined) sections.push(`${open.join('\n')}\n`);
  return { commands, names, sections };
}

function groupOf(command: string): readonly string[] {
  return GROUPS.find((group) => group.includes(command)) ?? [command];
}

export interface Kickstart {
  /** First line of the file, without the mark of a comment. */
  readonly title: string;
  readonly commands: readonly KickstartLine[];
  readonly sections: readonly string[];
}

/**
 * The whole file. Of an operator's own, `custom`, commands take the place of ours of the same name or kind, except those of
 * which there may be many, which are added; sections are added behind ours, scripts and packages alike.
 */
export function kickstartText({ title, commands, sections }: Kickstart, custom?: string): string {
  const own = custom === undefined ? undefined : readCustom(custom);
  const replaced = new Set([...(own?.names ?? [])].filter((name) => !MANY.has(name)).flatMap(groupOf));
  const kept = commands.filter(({ command }) => !replaced.has(command)).map(({ text }) => text);
  const added = own === undefined ? [] : trimmed(own.commands);
  return [
    [`# ${title}`, ...kept, ''].join('\n'),
    ...(added.length === 0 ? [] : [`${added.join('\n')}\n`]),
    ...sections,
    ...(own?.sections ?? []),
  ].join('\n');
}

function trimmed(lines: readonly string[]): string[] {
  const from = lines.findIndex((one) => one.trim() !== '');
  if (from < 0) return [];
  return lines.slice(from, lines.findLastIndex((one) => one.trim() !== '') + 1);
}
