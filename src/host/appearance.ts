import { existsSync, watch } from 'node:fs';
import { basename, dirname } from 'node:path';

/** Resolves when a file exists; watches its folder instead of looking again and again. Rejects with the signal's reason. */
export async function appearance(path: string, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  if (existsSync(path)) return;
  await new Promise<void>((resolve, reject) => {
    const end = (): void => {
      watcher.close();
      signal?.removeEventListener('abort', onAbort);
    };
    const onAbort = (): void => {
      end();
      reject(signal?.reason);
    };
    const done = (): void => {
      end();
      resolve();
    };
    const watcher = watch(dirname(path), (_, name) => {
      if (name === basename(path) || existsSync(path)) done();
    });
    watcher.on('error', reject);
    signal?.addEventListener('abort', onAbort, { once: true });
    if (existsSync(path)) done();
  });
}
