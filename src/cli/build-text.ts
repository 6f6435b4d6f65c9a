import type { BuildResult } from '../build/build.ts';
import type { BuildOutcome } from '../build/build-many.ts';
import { timingText } from '../build/timings.ts';
import { isComposeError, scrub } from '../errors.ts';
import { humanDuration } from '../formats/human.ts';
import { artifactText } from './artifact-text.ts';
import type { Answer } from './command.ts';
import { errorText, exitStatus } from './print-error.ts';
import { painter } from './render/renderer.ts';

/** How long a build's phases took, its artifacts, and where its records are. */
export function buildText(result: BuildResult): string {
  const text = [
    timingText(result.timings, result.ms),
    '',
    artifactText(result, result.plan.maas),
    '',
    `manifest: ${result.manifest}`,
  ];
  if (result.runDir !== undefined) text.push(`run: ${result.runDir}`);
  return text.join('\n');
}

/** Each of several builds with its artifacts or its error; the exit status is that of the first one that failed. */
export function outcomesAnswer(outcomes: readonly BuildOutcome[]): Answer {
  const failed = outcomes.find(({ state }) => state === 'failed');
  return {
    data: outcomes.map(outcomeData),
    text: outcomes.map(outcomeText).join('\n\n'),
    ...(failed?.state === 'failed' ? { exitCode: exitStatus(failed.error) } : {}),
  };
}

function outcomeText(outcome: BuildOutcome): string {
  const title = `== ${outcome.build}: ${outcome.state} after ${humanDuration(outcome.ms)}`;
  return `${title}\n${outcome.state === 'done' ? buildText(outcome.result) : errorText(outcome.error, painter(false), false)}`;
}

function outcomeData(outcome: BuildOutcome): unknown {
  if (outcome.state === 'done') return outcome;
  const { error } = outcome;
  return {
    ...outcome,
    error: isComposeError(error) ? error : { message: scrub(error instanceof Error ? error.message : String(error)) },
  };
}
