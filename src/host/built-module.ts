import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** The folder that holds compose's package.json, whether the caller runs from `src/` or from `dist/src/`. */
export function packageRoot(): string {
  let at = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(at, 'package.json'))) at = dirname(at);
  return at;
}

/** Version of compose, from its package.json. */
export function packageVersion(): string {
  const { version } = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')) as { version: string };
  return version;
}

/**
 * URL of the compiled form of a module beside the caller, for `new Worker`. Node 20 cannot start a worker from a `.ts`
 * file (ERR_UNKNOWN_FILE_EXTENSION), so under vitest, where the caller is `.ts`, the twin in `dist/` is named.
 */
export function builtModule(callerUrl: string, specifier: string): URL {
  if (!callerUrl.endsWith('.ts')) return new URL(specifier, callerUrl);
  const root = packageRoot();
  const folder = relative(root, dirname(fileURLToPath(callerUrl)));
  return pathToFileURL(join(root, 'dist', folder, specifier));
}
