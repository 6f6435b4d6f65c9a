import { setTimeout as delay } from 'node:timers/promises';
import { MaasError } from './maas-errors.ts';

/** How an upload paces itself. Times are milliseconds. */
export interface Limits {
  /** Bytes in one PUT. MAAS's own command sends 4 MiB; the web server before MAAS takes at most 10 MiB. */
  readonly chunkSize: number;
  /** Tries for one request before its failure counts. */
  readonly tries: number;
  /** Pause before the second try; doubled for each further one, unless MAAS names a time. */
  readonly firstDelayMs: number;
  /** Times an upload begins anew when what MAAS holds is not known or wrong. */
  readonly restarts: number;
  /** How often MAAS is asked whether its regions have the image. */
  readonly pollMs: number;
  /** Without a change for so long, waiting for the regions ends. */
  readonly stallMs: number;
  /** Time in which what a failed upload left is deleted. */
  readonly cleanupMs: number;
}

export const LIMITS: Limits = {
  chunkSize: 4 * 1024 * 1024,
  tries: 6,
  firstDelayMs: 250,
  restarts: 3,
  pollMs: 2000,
  stallMs: 15 * 60_000,
  cleanupMs: 60_000,
};

const MOST_DELAY_MS = 30_000;

/**
 * Repeats `work` while it fails in a way that may pass: MAAS is not reached, is busy, or the connection breaks.
 * `work` must be safe to repeat.
 */
export async function patiently<T>(work: () => Promise<T>, limits: Limits, signal: AbortSignal): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof MaasError) || error.outcome === 'refused' || attempt >= limits.tries) throw error;
      await pause(error, attempt, limits, signal);
    }
  }
}

/** Waits before try `attempt` + 1, as long as MAAS asks for where it does. */
export async function pause(error: MaasError, attempt: number, limits: Limits, signal: AbortSignal): Promise<void> {
  const ms = Math.min(error.retryAfterMs ?? limits.firstDelayMs * 2 ** (attempt - 1), MOST_DELAY_MS);
  await delay(ms, undefined, { signal }).catch(() => {});
  signal.throwIfAborted();
}
