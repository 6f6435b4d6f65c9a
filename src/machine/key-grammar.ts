/** The boot-command language of Packer, read whole, with compose's own conditions (docs/typing.md). */
import { UsageError } from '../errors.ts';
import { nearest } from '../formats/suggest.ts';
import { KEY_NAMES } from './keys.ts';

/** One step of typing. A wait is a condition with an upper limit, never a sleep. */
export type TypingStep =
  /** Characters, each by whatever keys the layout has for it. */
  | { readonly do: 'text'; readonly text: string }
  /** A key that has a name: pressed and let go, or only one of both. `key` is QEMU's name of it. */
  | { readonly do: 'key'; readonly key: string; readonly how: 'press' | 'down' | 'up' }
  /** The same for a key that a character names. */
  | { readonly do: 'hold'; readonly character: string; readonly how: 'down' | 'up' }
  /** Until what the last key caused has come to rest on the serial line and the screen, at most so long. */
  | { readonly do: 'settle'; readonly limitMs: number }
  /** Until the serial line says `text`; it is a failure when it does not in time. */
  | { readonly do: 'serial'; readonly text: string; readonly limitMs: number | undefined }
  /** Until the screen has changed, or shows the same for a while; a failure when it does not in time. */
  | { readonly do: 'screen'; readonly until: 'change' | 'still'; readonly limitMs: number | undefined };

/** The values of Packer's template variables, by name: HTTPIP, HTTPPort, Name, SSHPublicKey. */
export type TypingVariables = Readonly<Record<string, string | number>>;

/** Longest text taken; what is typed is short, and a mistaken file is not. */
const MAX_LENGTH = 64 * 1024;
const DEFAULT_SETTLE_MS = 1000;
const TAG = /<([a-z][a-z0-9.]{0,40})>/iy;
const TOGGLE = /<(.)(on|off)>/isuy;
/** The text is quoted as in JSON, or runs to the first `>`. */
const WAIT_TEXT = /<wait([0-9a-z.]{0,20}):(?:"((?:[^"\\]|\\.){0,1000})"|([^">][^>]{0,1000}))>/isy;
const VARIABLE = /\{\{\s*\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}/y;

/**
 * The steps a boot command asks for. An array is read as one text, as Packer does.
 * @throws UsageError `typing.syntax` (a tag nobody knows, a wait without a length), `typing.variable`
 */
export function parseKeys(source: string | readonly string[], variables: TypingVariables = {}): TypingStep[] {
  const text = typeof source === 'string' ? source : source.join('');
  if (text.length > MAX_LENGTH) {
    throw new UsageError('typing.syntax', `Cannot type: the text is too long (${text.length} characters)`);
  }
  const steps: TypingStep[] = [];
  let literal = '';
  const flush = (): void => {
    if (literal !== '') steps.push({ do: 'text', text: literal });
    literal = '';
  };
  let at = 0;
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    return pattern.exec(text);
  };
  while (at < text.length) {
    const character = String.fromCodePoint(text.codePointAt(at) ?? 0);
    let length = character.length;
    if (character === '{' && text.startsWith('{{', at)) {
      const found = match(VARIABLE);
      if (found === null) throw badVariable(text, at);
      literal += variableValue(found[1]!, variables, text, at);
      length = found[0].length;
    } else if (character === '<') {
      const found = match(TOGGLE) ?? match(WAIT_TEXT) ?? match(TAG);
      if (found === null) {
        literal += character;
      } else {
        const step = stepOf(found, text, at);
        length = found[0].length;
        if (typeof step === 'string') literal += step;
        else {
          flush();
          steps.push(step);
        }
      }
    } else {
      literal += character;
    }
    at += length;
  }
  flush();
  return steps;
}

/** What a tag stands for; a string is a character that would begin or end one. */
function stepOf(found: RegExpExecArray, text: string, at: number): TypingStep | string {
  if (found[0].includes(':')) {
    const [, span = '', quoted, bare] = found;
    const limitMs = span === '' ? undefined : duration(span, text, at);
    return { do: 'serial', text: quoted === undefined ? bare! : unquoted(quoted, text, at), limitMs };
  }
  if (found[2] !== undefined) {
    return { do: 'hold', character: found[1]!, how: found[2].toLowerCase() === 'on' ? 'down' : 'up' };
  }
  const name = found[1]!.toLowerCase();
  if (name === 'lt') return '<';
  if (name === 'gt') return '>';
  if (Object.hasOwn(KEY_NAMES, name)) return { do: 'key', key: KEY_NAMES[name]!, how: 'press' };
  const toggle = /^(.+?)(on|off)$/.exec(name);
  if (toggle !== null && Object.hasOwn(KEY_NAMES, toggle[1]!)) {
    return { do: 'key', key: KEY_NAMES[toggle[1]!]!, how: toggle[2] === 'on' ? 'down' : 'up' };
  }
  const screen = /^wait(change|still)(\d.*)?$/.exec(name);
  if (screen !== null) {
    const limitMs = screen[2] === undefined ? undefined : duration(screen[2], text, at);
    return { do: 'screen', until: screen[1] as 'change' | 'still', limitMs };
  }
  if (name === 'wait') return { do: 'settle', limitMs: DEFAULT_SETTLE_MS };
  if (/^wait\d/.test(name)) return { do: 'settle', limitMs: duration(name.slice('wait'.length), text, at) };
  throw unknownTag(found[0], name, text, at);
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
/** A wait of a day is a mistake. */
const MAX_WAIT_MS = 24 * 3_600_000;

/** Milliseconds of `90`, `5s`, `1m30s` or `1.5h`, as Go writes durations; a number alone is seconds. */
function duration(span: string, text: string, at: number): number {
  const lower = span.toLowerCase();
  const parts = [...lower.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
  const ms = /^\d+$/.test(lower)
    ? Number(lower) * 1000
    : parts.reduce((sum, [, value, unit]) => sum + Number(value) * UNITS[unit!]!, 0);
  const whole = /^\d+$/.test(lower) || (parts.length > 0 && parts.map(([part]) => part).join('') === lower);
  if (whole && ms <= MAX_WAIT_MS) return ms;
  throw new UsageError(
    'typing.syntax',
    `Cannot read a wait: it has no length that makes sense (${span}) ${place(text, at)}`,
    {
      hint: 'A length is seconds (<wait5>) or a duration (<wait1m30s>), at most a day.',
    },
  );
}

function unquoted(quoted: string, text: string, at: number): string {
  try {
    return JSON.parse(`"${quoted}"`) as string;
  } catch (cause) {
    throw new UsageError(
      'typing.syntax',
      `Cannot read a wait: its text is not quoted as in JSON (${quoted}) ${place(text, at)}`,
      {
        cause,
      },
    );
  }
}

function variableValue(name: string, variables: TypingVariables, text: string, at: number): string {
  if (Object.hasOwn(variables, name)) return String(variables[name]);
  const names = Object.keys(variables);
  const near = nearest(name, names);
  const known = names.length === 0 ? 'Here no variable has a value.' : `Variables: ${names.join(', ')}.`;
  throw new UsageError('typing.variable', `Cannot type: the variable has no value (${name}) ${place(text, at)}`, {
    hint: `${near === undefined ? '' : `Did you mean ${near}? `}${known}`,
  });
}

function badVariable(text: string, at: number): UsageError {
  const shown = text.slice(at, at + 30).split('\n', 1)[0];
  return new UsageError('typing.variable', `Cannot type: this is no variable (${shown}) ${place(text, at)}`, {
    hint: 'Write {{ .HTTPIP }} or {{ .HTTPPort }}; functions of templates are not taken.',
  });
}

function unknownTag(tag: string, name: string, text: string, at: number): UsageError {
  const names = [...Object.keys(KEY_NAMES), 'wait', 'waitchange', 'waitstill'];
  const near = nearest(name, [...names, ...names.flatMap((known) => [`${known}on`, `${known}off`])]);
  const meant = near === undefined ? '' : `Did you mean <${near}>? `;
  return new UsageError('typing.syntax', `Cannot type: there is no key of that name (${tag}) ${place(text, at)}`, {
    hint: `${meant}To type the character itself, write <lt>.`,
  });
}

/** Where a mistake stands, for a person: line and column, counted from 1. */
function place(text: string, at: number): string {
  const before = text.slice(0, at).split('\n');
  return `at line ${before.length}, column ${[...before.at(-1)!].length + 1}`;
}
