import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { random as randomFrom } from '../../fixtures/fuzz.ts';
import { GONE_WITHIN_MS, type Place, place, processesOf, SIGNALS } from '../../fixtures/lifetime-place.ts';
import { microGuest } from '../../fixtures/micro-guest.ts';
import { packageRoot } from '../../src/host/built-module.ts';
import type { MachineSpec } from '../../src/machine/spec.ts';

/** With those of a whole build in lifetime-build.test.ts they are 20. */
const MOMENTS = 12;
/** From before the first tool has run to a guest that is up. */
const LATEST_MS = 3_500;

let folder = '';
let spec: MachineSpec;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'compose-lifetime-'));
  spec = await microGuest(folder, 'while true; do sleep 1000; done');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function start({ tmp, out }: Place, mode: string): { child: ReturnType<typeof spawn>; ended: Promise<number | null> } {
  const program = join(packageRoot(), 'dist/fixtures/lifetime-run.js');
  const child = spawn(process.execPath, [program, JSON.stringify(spec), out, mode], {
    env: { ...process.env, TMPDIR: tmp },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<number | null>((resolve) => {
    child.once('exit', (code) => {
      if (code !== null && code !== 0 && code !== 130) console.error(stderr);
      resolve(code);
    });
  });
  return { child, ended };
}

/** Nothing of `where` is left in five seconds, and its folders are empty. */
async function gone(where: Place, folders: readonly string[]): Promise<void> {
  const left = (): readonly string[] => [...processesOf(where), ...folders.flatMap((path) => readdirSync(path))];
  await expect.poll(left, { timeout: GONE_WITHIN_MS, interval: 50 }).toEqual([]);
}

const random = randomFrom(20_26);
for (let moment = 0; moment < MOMENTS; moment++) {
  const signal = SIGNALS[moment % SIGNALS.length] ?? 'SIGKILL';
  const after = random() % LATEST_MS;
  test(`${signal} after ${after} ms leaves no process, socket or file within five seconds`, async () => {
    const where = place(folder, String(moment));
    const { child, ended } = start(where, 'wait');
    await new Promise((resolve) => setTimeout(resolve, after));
    child.kill(signal);
    await gone(where, [where.tmp, where.out]);
    await ended;
  });
}

test('a run after all these works, and cleans up after itself', async () => {
  const where = place(folder, 'next');
  const { ended } = start(where, 'once');
  expect(await ended).toBe(0);
  expect(readdirSync(where.out)).toEqual(['artifact.tgz']);
  await gone(where, [where.tmp]);
}, 300_000);
