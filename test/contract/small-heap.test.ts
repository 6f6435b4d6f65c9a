/** The flags of the engine are those of this node, and hold when threads were started. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const MIB = 1024 * 1024;

/** Most bytes of the spaces for new and for old objects of a process that makes garbage of both, with a thread beside it. */
async function spaces(before: string): Promise<{ readonly young: number; readonly old: number }> {
  const script = `
    import { once } from 'node:events';
    import { getHeapSpaceStatistics } from 'node:v8';
    import { Worker } from 'node:worker_threads';
    ${before}
    const thread = new Worker('setInterval(() => {}, 1000)', { eval: true });
    await once(thread, 'online');
    // What main has waited for happened in its own listener of the same event, or after it.
    await new Promise((done) => setImmediate(done));
    const most = { young: 0, old: 0 };
    let kept = [];
    for (let at = 0; at < 3_000_000; at++) {
      kept.push({ at });
      if (kept.length > 60_000) kept = kept.slice(40_000);
      if (at % 50_000 > 0) continue;
      for (const { space_name, space_size } of getHeapSpaceStatistics()) {
        if (space_name === 'new_space') most.young = Math.max(most.young, space_size);
        if (space_name === 'old_space') most.old = Math.max(most.old, space_size);
      }
    }
    console.log(JSON.stringify(most));
    process.exit();`;
  const { stdout, stderr } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script]);
  // The engine tells there of flags that it does not know.
  expect(stderr).toBe('');
  return JSON.parse(stdout);
}

const module = JSON.stringify(new URL('../../dist/src/host/small-heap.js', import.meta.url).href);

test('a process that prefers a small heap has one', async () => {
  const usual = await spaces('');
  const small = await spaces(`import { keepHeapSmall } from ${module}; keepHeapSmall();`);
  expect(usual.young).toBeGreaterThan(12 * MIB);
  expect(small.young).toBeLessThan(8 * MIB);
  expect(small.old).toBeLessThan(usual.old);
});

test('the space for new objects alone stays small where that costs no time, and ends at 32 MiB elsewhere', async () => {
  const { young } = await spaces(`import { keepNewSpaceSmall } from ${module}; keepNewSpaceSmall();`);
  const twenty = process.versions.node.startsWith('20.');
  expect(young).toBeLessThan(twenty ? 33 * MIB : 8 * MIB);
});
