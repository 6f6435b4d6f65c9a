import { expect, test } from 'vitest';
import { benchPlot } from '../../src/tune/plot.ts';
import { type BenchResult, benchText, pointsOf } from '../../src/tune/report.ts';
import { measureRivals, type Rival } from '../../src/tune/rivals.ts';
import type { Run, Setting } from '../../src/tune/setting.ts';

const BASE: Setting = { engine: 'libdeflate', level: 5, chunk: 1024 * 1024, workers: 2, window: 4 };

const RESULT: BenchResult = {
  version: 1,
  compose: '0.0.0',
  machine: { cores: 2, cpu: 'A & B <C>\u0007 "D"', memory: 1, node: 'v20', platform: 'linux x64' },
  sample: { from: 'disk-\ud800.raw', size: 100_000_000 },
  budget: 10,
  took: 9,
  baseline: BASE,
  engines: { libdeflate: 'libdeflate 0' },
  best: { ...BASE, level: 4 },
  gain: { time: 0.9, size: 1.004 },
  turns: [
    {
      dimension: 'level',
      candidates: [
        {
          setting: BASE,
          runs: [
            { ms: 1100, size: 4e7 },
            { ms: 1000, size: 4e7 },
          ],
          time: 1,
          size: 1,
        },
        { setting: { ...BASE, level: 4 }, runs: [{ ms: 900, size: 40_160_000 }], time: 0.9, size: 1.004 },
        { setting: { ...BASE, level: 12 }, runs: [{ ms: 9000, size: 39e6 }], time: 9, size: 0.975 },
      ],
      best: { ...BASE, level: 4 },
      skipped: [{ ...BASE, level: 1 }],
    },
  ],
  rivals: [
    { name: 'gzip -6', version: '1.12', runs: [{ ms: 2500, size: 4.1e7 }], time: 2.5, size: 1.025 },
    { name: 'libdeflate-gzip -6', version: '1.14', runs: [{ ms: 500, size: 3.9e7 }], time: 0.5, size: 0.975 },
    { name: 'xz -6', version: '5.4', runs: [], stoppedAfter: 3000 },
  ],
  choice: { level: 4 },
  files: { json: '/o/bench.json', svg: '/o/bench.svg' },
};

/** Throws unless `xml` is one element whose tags match and whose text has no bare markup. */
function wellFormed(xml: string): number {
  const open: string[] = [];
  let elements = 0;
  const body = xml.replace(/^<\?xml[^>]*\?>\n/, '');
  for (const [token, end, name, attributes = '', empty] of body.matchAll(
    /<(\/?)([\w:]+)((?:\s+[\w:-]+="[^"<&]*")*)\s*(\/?)>|<|&(?!(?:amp|lt|gt|quot);)/g,
  )) {
    if (name === undefined) throw new Error(`bare ${token}`);
    const names = [...attributes.matchAll(/([\w:-]+)=/g)].map(([, key]) => key);
    if (new Set(names).size !== names.length) throw new Error(`an attribute twice in ${token}`);
    if (end) {
      if (open.pop() !== name) throw new Error(`${token} closes nothing`);
      continue;
    }
    elements++;
    if (!empty) open.push(name);
  }
  if (open.length > 0) throw new Error(`${open.join()} stays open`);
  return elements;
}

test('the plot is well-formed, labelled, and follows the scheme of its reader', () => {
  const svg = benchPlot(RESULT);
  expect(wellFormed(svg)).toBeGreaterThan(30);
  expect(svg).toContain('A &amp; B &lt;C&gt;? &quot;D&quot;');
  expect(svg).toContain('output, % of input');
  expect(svg).toContain('input, MB/s');
  expect(svg).toContain('prefers-color-scheme: dark');
  // Each point and its line in the legend.
  expect(svg.match(/<circle/g)).toHaveLength(2 * pointsOf(RESULT).length);
  expect(svg).not.toMatch(/NaN|Infinity|undefined/);
});

test('a plot of one point, or none, is well-formed too', () => {
  for (const turns of [[], RESULT.turns]) {
    const svg = benchPlot({ ...RESULT, rivals: [], turns });
    wellFormed(svg);
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
  }
});

test('the table shows losses, what was stopped, and that bytes change', () => {
  const text = benchText(RESULT);
  expect(text).toMatch(/level +libdeflate 5 +100 +1\.00× +1\.000× +default/);
  expect(text).toMatch(/rival +libdeflate-gzip -6 \(1\.14\) +200 +0\.50× +0\.975×/);
  expect(text).toContain('xz -6 (5.4): stopped after 3.0 s');
  expect(text).toContain('level libdeflate 1: there was no time for it');
  expect(text).toContain('--save would keep: level 4');
  expect(text).toContain('change the bytes of artifacts');
});

const RIVALS: Rival[] = ['quick', 'slow', 'broken'].map((name) => ({ name, version: '1', path: name, args: [] }));

test('rivals run in turns; one is stopped, one fails, both are said', async () => {
  let clock = 0;
  const took: Record<string, number> = { quick: 50, slow: 100_000 };
  const results = await measureRivals({
    rivals: RIVALS,
    baseline: async (): Promise<Run> => ({ ms: 100, size: 1000 }),
    measure: async ({ name }, limit) => {
      const ms = took[name];
      if (ms === undefined) throw new Error('no such level');
      clock += Math.min(ms, limit / 2);
      return ms > limit ? undefined : { ms, size: 900 };
    },
    runs: 2,
    now: () => clock,
    deadline: 1000,
    signal: new AbortController().signal,
  });
  expect(results[0]).toMatchObject({ name: 'quick', time: 0.5, size: 0.9, runs: [{ ms: 50 }, { ms: 50 }] });
  expect(results[1]).toEqual({ name: 'slow', version: '1', runs: [], stoppedAfter: 950 });
  expect(results[2]).toEqual({ name: 'broken', version: '1', runs: [], failure: 'no such level' });
});

test('an interrupt ends the rivals', async () => {
  const controller = new AbortController();
  const measured = measureRivals({
    rivals: RIVALS,
    baseline: async () => ({ ms: 1, size: 1 }),
    measure: async () => {
      controller.abort(new Error('enough'));
      throw controller.signal.reason;
    },
    runs: 1,
    now: () => 0,
    deadline: 10,
    signal: controller.signal,
  });
  await expect(measured).rejects.toThrow('enough');
});
