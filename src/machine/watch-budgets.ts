/** How long a guest may do nothing, ms, before something is concluded from it. */
export interface WatchBudgets {
  /** A guest that has come up and does nothing for so long will not do more by itself. */
  readonly quietMs: number;
  /** A guest that has not come up and does nothing for so long is stuck. */
  readonly stallMs: number;
  /** A guest whose processors are busy and which neither reads, writes nor speaks for so long runs in a circle. */
  readonly spinMs: number;
  /** A QEMU that leaves a question open for so long does not answer any more, where somebody waits for its guest. */
  readonly answerMs: number;
  /** The same where nobody does: what is at work in the guest may keep the host's storage, and QEMU with it, busy. */
  readonly unattendedAnswerMs: number;
  /** A machine that nobody waits for, as while its guest is provisioned, is asked so often whether it still answers. */
  readonly beatMs: number;
  /** A guest that does nothing for so long while a step runs in it is told of. */
  readonly stepQuietMs: number;
  /** A step in whose guest nothing goes on for so long does not end any more. */
  readonly stepStallMs: number;
  /** A QEMU that has not opened its control socket, or not said a word on it, for so long hangs. */
  readonly greetingMs: number;
}

/**
 * What a guest waits for it waits for in real time, however slow it is: only a part of each budget grows with the time scale
 * of the accelerator. What it computes takes as much longer as the scale says.
 */
export function watchBudgets(timeScale: number): WatchBudgets {
  return {
    quietMs: 6_000 + 400 * timeScale,
    stallMs: 100_000 + 2_000 * timeScale,
    spinMs: 30_000 * timeScale + 30_000,
    answerMs: 10_000,
    unattendedAnswerMs: 30_000,
    beatMs: 5_000,
    stepQuietMs: 118_000 + 2_000 * timeScale,
    stepStallMs: 590_000 + 10_000 * timeScale,
    greetingMs: 15_000,
  };
}
