/**
 * What `promise` answers, or undefined when it has not after `ms`. A deadline, and nothing that waits for a time to pass.
 * @throws the reason of `signal` once that is aborted
 */
export async function within<T>(promise: Promise<T>, ms: number, signal?: AbortSignal): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  let onAbort: (() => void) | undefined;
  const late = new Promise<undefined>((resolve, reject) => {
    timer = setTimeout(() => resolve(undefined), ms);
    onAbort = () => reject(signal?.reason);
    if (signal?.aborted) onAbort();
    else signal?.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
    if (onAbort !== undefined) signal?.removeEventListener('abort', onAbort);
  }
}

/** Longest time of one of Node's timers; a longer one would be over at once. */
const LONGEST_MS = 2 ** 31 - 1;

/**
 * A signal that is aborted `ms` from now, with a TimeoutError: a scaled budget, which is no whole number now and then, or longer
 * than a timer. Not AbortSignal.timeout(): `AbortSignal.any` holds its sources weakly, and one that only it knows is gone with
 * the next collection, its time never up (Node 20).
 */
export function deadline(ms: number): AbortSignal {
  const over = new AbortController();
  const end = (): void => over.abort(new DOMException(`${Math.ceil(ms)} ms are over`, 'TimeoutError'));
  setTimeout(end, Math.max(0, Math.min(Math.ceil(ms), LONGEST_MS))).unref();
  return over.signal;
}
