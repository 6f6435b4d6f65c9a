import type { Operator } from './on-error.ts';

/** The same person for several builds: one question, pause or shell at a time, each with the name of its build; none once `signal` is aborted. */
export function takingTurns(signal: AbortSignal): (operator: Operator, build: string) => Operator {
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const turn = last.then(() => {
      signal.throwIfAborted();
      return work();
    });
    last = turn.catch(() => {});
    return turn;
  };
  return (operator, build) => ({
    choose: (failed, error, choices) => inTurn(() => operator.choose(`${build}: ${failed}`, error, choices)),
    shell: (session) => inTurn(() => operator.shell(session)),
    pause: (lines) => inTurn(() => operator.pause([`${build}:`, ...lines])),
  });
}
