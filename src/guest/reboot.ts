import { ProvisionError } from '../errors.ts';
import { deadline } from '../host/within.ts';
import type { GuestSession } from './session.ts';

/**
 * Restarts the guest and proves by its boot id that it did. A server that is still up for a moment after it broke the
 * connection answers with the old boot, and is waited out.
 * @throws ProvisionError `reboot.same-boot`; the errors of `reconnect`
 */
export async function reboot(
  session: GuestSession,
  reconnect: () => Promise<GuestSession>,
  budgetMs: number,
  outer: AbortSignal,
): Promise<GuestSession> {
  const signal = AbortSignal.any([outer, deadline(budgetMs)]);
  const before = await session.bootId(outer);
  let old = session;
  old.expectEnd();
  // The connection may break before the command has a status.
  await old.exec('systemctl reboot || reboot', { signal }).catch(() => {});
  for (;;) {
    const down = await endOf(old, signal);
    if (!down) break;
    await old[Symbol.asyncDispose]();
    const next = await reconnect();
    const now = await next.bootId(outer).catch(() => before);
    if (now !== before) return next;
    old = next;
    old.expectEnd();
  }
  await old[Symbol.asyncDispose]();
  outer.throwIfAborted();
  throw new ProvisionError('reboot.same-boot', 'Cannot restart the guest: it answers with the boot it had before', {
    hint: 'Something in the guest refused to stop; the serial log tells.',
  });
}

/** True when the connection has ended, false when `signal` came before. */
export async function endOf(session: GuestSession, signal: AbortSignal): Promise<boolean> {
  let onAbort = (): void => {};
  const aborted = new Promise<boolean>((resolve) => {
    onAbort = () => resolve(false);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([session.ended().then(() => true), aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
