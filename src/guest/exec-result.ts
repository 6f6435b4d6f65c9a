/** How a command in the guest ended. */
import { ProvisionError } from '../errors.ts';
import { lastLines } from './scrub.ts';

interface Output {
  /** The last MiB of each. */
  readonly stdout: string;
  readonly stderr: string;
  /** Characters of each that came before what was kept. */
  readonly dropped: { readonly stdout: number; readonly stderr: number };
  readonly ms: number;
}

export interface ExecExited extends Output {
  readonly how: 'exited';
  readonly exitCode: number;
  readonly signal: undefined;
}

export interface ExecSignalled extends Output {
  readonly how: 'signalled';
  readonly exitCode: -1;
  /** With its prefix: SIGKILL. */
  readonly signal: string;
}

/** The connection broke before the command's end was known. */
export interface ExecLost {
  readonly how: 'lost';
  readonly error: unknown;
}

export type ExecResult = ExecExited | ExecSignalled;

/** `status 3`, `signal SIGKILL`. */
export function describeEnd(result: ExecResult): string {
  return result.how === 'exited' ? `status ${result.exitCode}` : `signal ${result.signal}`;
}

/** What a command wrote last, for an error's evidence; says so when there was more. */
export function evidenceOf(result: ExecResult): { readonly stderr: string[]; readonly output?: string[] } {
  const told = (text: string, dropped: number): string[] =>
    dropped === 0 ? lastLines(text) : [`(${dropped} characters before these are in ssh.log alone)`, ...lastLines(text)];
  const stderr = told(result.stderr, result.dropped.stderr);
  return result.stdout.trim() === '' ? { stderr } : { stderr, output: told(result.stdout, result.dropped.stdout) };
}

/** What sudo and doas say when they do not let a command through, and what to do about it. */
const REFUSALS: readonly (readonly [says: RegExp, code: string, why: string, hint: string])[] = [
  [
    /must have a tty|no tty present|a terminal is required/i,
    'sudo.needs-tty',
    'sudo wants a terminal',
    'Remove "Defaults requiretty" for the account; a terminal would mix standard output and standard error.',
  ],
  [
    /password is required|authentication (is )?required|incorrect password/i,
    'sudo.password',
    'sudo asks for a password',
    'Give the account "NOPASSWD: ALL" in /etc/sudoers.d, or "permit nopass" in doas.conf.',
  ],
  [
    /compose: neither sudo nor doas/,
    'sudo.missing',
    'the guest has neither sudo nor doas',
    'Log in as root, or install sudo in the image.',
  ],
  [
    /^(sudo|doas):|not in the sudoers|not allowed|operation not permitted/im,
    'sudo.refused',
    'sudo or doas refuses it',
    'Let the account run every command as root without a password.',
  ],
];

/** Why a command was never begun, of an account that is not root. */
export function neverBegan(username: string, result: ExecExited): ProvisionError {
  const evidence = { account: username, status: result.exitCode, ...evidenceOf(result) };
  for (const [says, code, why, hint] of REFUSALS) {
    if (!says.test(result.stderr)) continue;
    return new ProvisionError(code, `Cannot run a command as root by ${username}: ${why}`, { hint, evidence });
  }
  const what = `Cannot go on: ${username}'s login shell ended without running the command`;
  return new ProvisionError('ssh.no-shell', what, {
    hint: 'Give the account a shell that runs commands (sh, bash, csh, fish), not nologin or a menu.',
    evidence,
  });
}
