import { expect, test } from 'vitest';
import { type Activity, IdleMeter, processorShare } from '../../src/machine/activity.ts';
import { watchBudgets } from '../../src/machine/watch-guest.ts';

const START: Activity = { at: 0, disk: 0, serial: 0, network: 0, cpu: { ran: 0, waited: 0 } };

/** Samples a second apart, each with what has changed since the one before. */
function meter(
  ...steps: readonly { disk?: number; serial?: number; network?: number; ran?: number; waited?: number; gap?: number }[]
) {
  const idle = new IdleMeter();
  let sample = START;
  let last = idle.take(sample);
  for (const step of steps) {
    const { disk = 0, serial = 0, network = 0, ran = 20, waited = 0, gap = 1000 } = step;
    sample = {
      at: sample.at + gap,
      disk: sample.disk + disk,
      serial: sample.serial + serial,
      network: sample.network + network,
      cpu: { ran: (sample.cpu?.ran ?? 0) + ran, waited: (sample.cpu?.waited ?? 0) + waited },
    };
    last = idle.take(sample);
  }
  return last;
}

test('a guest that does nothing is idle since then', () => {
  expect(meter({}, {}, {})).toEqual({ idleMs: 3000, spinningMs: 0 });
});

test.each([{ disk: 1 }, { serial: 5 }, { network: 1 }, { ran: 600 }])('%o ends an idle time', (step) => {
  expect(meter({}, {}, step, {}).idleMs).toBe(1000);
});

test('busy processors and nothing else are a guest that spins', () => {
  expect(meter({ serial: 1, ran: 900 }, { ran: 950 }, { ran: 950 })).toEqual({ idleMs: 0, spinningMs: 2000 });
});

test('a guest at work on a host that gives it little is not idle', () => {
  expect(meter({ ran: 100, waited: 890 }, { ran: 90, waited: 900 }).idleMs).toBe(0);
});

test('an idle guest that waits for the host now and then is idle', () => {
  expect(meter({ ran: 30, waited: 400 }, { ran: 30, waited: 500 }).idleMs).toBe(2000);
});

test('a host that slept begins the count anew', () => {
  expect(meter({}, {}, { gap: 60_000 }).idleMs).toBe(0);
});

test('processors that cannot be seen count as idle, never as busy', () => {
  const none = { ...START, cpu: undefined };
  expect(processorShare(none, { ...none, at: 1000 })).toBe(0);
});

test('budgets grow with the time scale, a wait less than a computation', () => {
  const [fast, slow] = [watchBudgets(1), watchBudgets(10)];
  expect(slow.quietMs / fast.quietMs).toBeLessThan(2);
  expect(slow.spinMs / fast.spinMs).toBeGreaterThan(5);
  expect(fast.quietMs).toBeLessThan(fast.stallMs);
});
