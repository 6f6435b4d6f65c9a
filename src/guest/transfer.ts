/** What uploads and downloads share: their options, the digest a guest can compute, names as bytes. */
import { ProvisionError } from '../errors.ts';
import { type ExecResult, evidenceOf } from './exec-result.ts';
import type { ExecOptions } from './session.ts';
import { quote } from './shell.ts';

export interface TransferOptions extends Pick<ExecOptions, 'signal' | 'timeoutMs' | 'onOutput'> {
  /** Bytes that have gone so far, and how many there are; called for each piece. */
  readonly onProgress?: ((done: number, total: number | undefined) => void) | undefined;
}

/** Sets `h` to the SHA-256 of a file, by what the guest has; to nothing where it has none of these tools. */
export function digestOf(file: string): string {
  const tools = [
    ['sha256sum', `sha256sum <${file}`],
    ['sha256', `sha256 -q <${file}`],
    ['openssl', `openssl dgst -sha256 -r <${file}`],
  ];
  const tries = tools.map(([tool, command]) => `if command -v ${tool} >/dev/null 2>&1; then h=$(${command}); el`);
  return `h=; ${tries.join('').slice(0, -2)}fi; h=\${h%% *}`;
}

/** Status of a command of ours that found something for which there is an error of its own. */
export const STATUS = { damaged: 65, folder: 66, noTool: 67, missing: 68 } as const;

/** Why a transfer's command failed, with what it said. */
export function transferFailed(
  code: string,
  what: string,
  result: ExecResult,
  hint = 'ssh.log in the run folder has all of it.',
): ProvisionError {
  const said = result.stderr.trim().split('\n').at(-1) ?? '';
  const evidence = { status: result.signal ?? result.exitCode, ...evidenceOf(result) };
  return new ProvisionError(code, `Cannot ${what}: ${said || 'the guest did not say why'}`, { hint, evidence });
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A path of any bytes as one word of a POSIX shell. @throws ProvisionError `upload.name` for what no shell can say */
export function quoteBytes(path: Uint8Array): string {
  try {
    return quote(strict.decode(path));
  } catch {
    if (path.at(-1) === 0x0a) {
      throw new ProvisionError('upload.name', 'Cannot name a file to the guest: its name ends with a line break');
    }
    const octal = [...path].map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('');
    return `"$(printf '${octal}')"`;
  }
}

/** Whether a path of the guest is whole. @throws ProvisionError `guest.path` */
export function requireAbsolute(path: string): void {
  if (path.startsWith('/') && !path.includes('\0')) return;
  throw new ProvisionError('guest.path', `Cannot use "${path}" in the guest: it is no absolute path`, {
    hint: 'Begin it with a slash: a command in the guest has no folder of its own.',
  });
}
