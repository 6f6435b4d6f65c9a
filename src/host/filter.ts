import { spawnSync } from 'node:child_process';
import { which } from './tools.ts';

/** A program that reads standard input and writes standard output, waited for: of use in a worker thread only. */
export interface Filter {
  readonly version: string;
  /** What the program makes of `input`. The answer is the caller's. @throws Error with its last words */
  run(args: readonly string[], input: Uint8Array): Uint8Array<ArrayBuffer>;
}

/**
 * Finds `tool` and asks it for its version.
 * @throws Error where it is not installed, or tells no version as `pattern` finds it
 */
export function openFilter(tool: string, versionArgs: readonly string[], pattern: RegExp): Filter {
  const path = which(tool);
  if (path === undefined) throw new Error(`${tool} is not installed`);
  // Options of the user's environment (XZ_OPT, BZIP2) would change the bytes.
  const { XZ_OPT: _, XZ_DEFAULTS: __, BZIP2: ___, BZIP: ____, ...rest } = process.env;
  const env = { ...rest, LC_ALL: 'C' };
  const told = spawnSync(path, versionArgs, { env, input: '', encoding: 'utf8' });
  const version = pattern.exec(`${told.stdout}${told.stderr}`)?.[1];
  if (version === undefined) throw new Error(`${path} tells no version`);
  return {
    version,
    run: (args, input) => {
      const { status, signal, stdout, stderr, error } = spawnSync(path, args, { env, input, maxBuffer: Infinity });
      if (error) throw error;
      if (status !== 0)
        throw new Error(`${tool} ended with ${signal ?? status}: ${stderr.toString().trim().slice(-500)}`);
      return new Uint8Array(stdout);
    },
  };
}
