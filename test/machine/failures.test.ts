import { expect, test } from 'vitest';
import { playScenario } from '../../fixtures/failure-play.ts';
import { FAILURE_SCENARIOS } from '../../fixtures/failure-scenarios.ts';
import { isComposeError } from '../../src/errors.ts';

/** Two guests at a time: more only makes each slower. */
const lanes = [Promise.resolve(), Promise.resolve()];
const play = (scenario: (typeof FAILURE_SCENARIOS)[number], index: number): ReturnType<typeof playScenario> => {
  const lane = index % lanes.length;
  const played = (lanes[lane] ?? Promise.resolve()).then(() => playScenario(scenario));
  lanes[lane] = played.then(
    () => {},
    () => {},
  );
  return played;
};

for (const [index, scenario] of FAILURE_SCENARIOS.entries()) {
  test.concurrent(`${scenario.name}: ${scenario.code}, soon, with its evidence`, async () => {
    const { error, ms } = await play(scenario, index);
    expect(error, String(error)).toSatisfy(isComposeError);
    const said = JSON.stringify(error);
    expect(error.code, said).toBe(scenario.code);
    expect(said).toMatch(scenario.quotes);
    expect(ms, `${Math.round(ms)} ms from the fact to the error`).toBeLessThan(scenario.withinMs);
  }, 600_000);
}

test('each kind of failure has its own code', () => {
  const kinds = FAILURE_SCENARIOS.map(({ code }) => code);
  expect(new Set(kinds).size).toBeGreaterThanOrEqual(19);
});
