import { open } from 'node:fs/promises';
import { CachedFile } from './cached-file.ts';
import { DirectFile } from './direct-file.ts';
import type { OutputFile } from './output-file.ts';

export interface OutputFileOptions {
  /** @default 0o644 */
  readonly mode?: number | undefined;
  /** Past the page cache where the host can; for a large file that is not read again soon. @default false */
  readonly direct?: boolean | undefined;
}

/** Creates it. @throws the host's error, EEXIST too */
export async function createOutputFile(path: string, options: OutputFileOptions = {}): Promise<OutputFile> {
  const { mode = 0o644, direct = false } = options;
  const file = await open(path, 'wx', mode);
  return (direct ? await DirectFile.of(path, file) : undefined) ?? new CachedFile(file);
}
