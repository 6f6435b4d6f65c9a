import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Has the collector take what the calling thread no longer uses, which it does by itself only when much more was allocated:
 * buffers outside its heap, that of a whole pass, would stand beside those of the next. Tens of milliseconds; does nothing
 * where the engine has no such function.
 */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('typeof gc === "function" ? gc : undefined') as (() => void) | undefined;
  collect?.();
}
