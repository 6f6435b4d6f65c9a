/**
 * Command lines that every login shell takes alike. sshd hands a command to the account's own shell, which may be csh or
 * fish, and whose start-up file may print: the command runs in `sh`, and says on both streams where its output begins.
 */

/** `text` as one word of a POSIX shell. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Characters that mean themselves within single quotes in sh, csh (`!` does not) and fish (a backslash does not). */
const PLAIN = /^[\x20-\x7e]*$/;
const SPECIAL = /['\\!]/;
/** Characters that also mean themselves within double quotes, and to printf. */
const LITERAL = /[A-Za-z0-9 _./:=,@+;()[\]{}<>|&~^#*?-]/;

/** `script` as one line that runs it in `sh`, whatever shell reads the line. */
export function universal(script: string): string {
  if (PLAIN.test(script) && !SPECIAL.test(script)) return `exec sh -c '${script}'`;
  return `exec sh -c 'eval "$(printf "${octal(script)}")"'`;
}

/** As printf's format: octal escapes are the same to printf everywhere, and no shell looks inside them. */
function octal(script: string): string {
  let out = '';
  for (const byte of new TextEncoder().encode(script)) {
    const character = String.fromCharCode(byte);
    out += LITERAL.test(character) ? character : `\\${byte.toString(8).padStart(3, '0')}`;
  }
  // What begins with a dash would be an option to printf.
  return out.startsWith('-') ? `\\055${out.slice(1)}` : out;
}

export interface Frame {
  /** Printed on both streams before the command begins, on standard output with its process id; may be empty. */
  readonly mark: string;
  /** The account that logged in. */
  readonly username: string;
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Runs as this account instead of root. */
  readonly user?: string | undefined;
  /** Runs as the account that logged in. */
  readonly plain?: boolean | undefined;
}

export interface Framed {
  /** What the server is asked to run. */
  readonly line: string;
  /** What goes before the command's own input. */
  readonly head: string;
}

/**
 * `command` as root, with its variables. sshd's AcceptEnv leaves out what a client sets, so variables are set by the
 * shell; under sudo they come by the input, because sudo logs its command line and the variables it is told to keep. dd
 * takes exactly its count from a pipe, where head may read ahead.
 */
export function frame(command: string, { mark, username, env = {}, user, plain }: Frame): Framed {
  const settings = Object.entries(env)
    .map(([key, value]) => `export ${key}=${quote(value)}; `)
    .join('');
  const marks = mark === '' ? '' : `echo ${mark} $$; echo ${mark} >&2; `;
  const run =
    user === undefined || user === 'root' ? command : `exec su -s /bin/sh -c ${quote(command)} ${quote(user)}`;
  if (username === 'root' || plain) return { line: universal(`${marks}${settings}${run}`), head: '' };
  const take =
    settings === '' ? '' : `eval "$(dd bs=1 count=${new TextEncoder().encode(settings).length} 2>/dev/null)"; `;
  const elevate = [
    `c=${quote(`${marks}${take}${run}`)}`,
    'if [ "$(id -u)" = 0 ]; then exec sh -c "$c"; fi',
    'for s in sudo doas; do if command -v $s >/dev/null 2>&1; then exec $s -n sh -c "$c"; fi; done',
    'echo "compose: neither sudo nor doas" >&2; exit 126',
  ];
  return { line: universal(elevate.join('\n')), head: settings };
}

/** Names of environment variables that a shell can export. */
export const VARIABLE_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
