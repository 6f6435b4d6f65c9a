import type { Failed, Operator } from './on-error.ts';

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
    choose: (failed, choices, shown) => inTurn(() => operator.choose(named(failed, build), choices, shown)),
    shell: (session, failed) => inTurn(() => operator.shell(session, failed && named(failed, build))),
    pause: (lines) => inTurn(() => operator.pause([`${build}:`, ...lines])),
  });
}

function named(failed: Failed, build: string): Failed {
  return { ...failed, what: `${build}: ${failed.what}` };
}
