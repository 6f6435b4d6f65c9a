/**
 * `npm run bench -- failures`: the time from each kind of failure to compose's error, with real guests under software
 * emulation and programs in place of QEMU; the scenarios are those of the test. Further words choose scenarios by code or name.
 */
import { playScenario } from '../fixtures/failure-play.ts';
import { FAILURE_SCENARIOS } from '../fixtures/failure-scenarios.ts';

export async function failures(): Promise<void> {
  const words = process.argv.slice(process.argv.indexOf('failures') + 1);
  const chosen = FAILURE_SCENARIOS.filter(
    ({ name, code }) => words.length === 0 || words.some((word) => `${name} ${code}`.includes(word)),
  );
  console.log('| failure | code | seconds from the fact to the error |\n|---|---|---:|');
  for (const scenario of chosen) {
    const { error, ms } = await playScenario(scenario);
    const wrong = error.code === scenario.code ? '' : ` (expected ${scenario.code}: ${error.message})`;
    console.log(`| ${scenario.name} | ${error.code}${wrong} | ${(ms / 1000).toFixed(1)} |`);
    if (!scenario.quotes.test(JSON.stringify(error)))
      console.log(`evidence without ${scenario.quotes}: ${JSON.stringify(error)}`);
    if (wrong !== '') process.exitCode = 1;
  }
}
