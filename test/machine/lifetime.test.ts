import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { random as randomFrom } from '../../fixtures/fuzz.ts';
import { microGuest } from '../../fixtures/micro-guest.ts';
import { packageRoot } from '../../src/host/built-module.ts';
import type { MachineSpec } from '../../src/machine/spec.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGKILL'] as const;
const MOMENTS = 20;
/** From before the first tool has run to a guest that is up. */
const LATEST_MS = 3_500;
const GONE_WITHIN_MS = 5_000;
const LOOK_MS = 50;

let folder = '';
let spec: MachineSpec;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'compose-lifetime-'));
  spec = await microGuest(folder, 'while true; do sleep 1000; done');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Place {
  readonly tmp: string;
  readonly out: string;
}

function place(name: string): Place {
  const [tmp, out] = [join(folder, `${name}-tmp`), join(folder, `${name}-out`)];
  mkdirSync(tmp);
  mkdirSync(out);
  return { tmp, out };
}

/** Processes that were started for this place: their command line or their environment names it. */
function processesOf({ tmp }: Place): string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return ['cmdline', 'environ'].some((file) => readFileSync(`/proc/${pid}/${file}`, 'utf8').includes(tmp));
    } catch {
      return false;
    }
  });
}

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

/**
 * Nothing of `where` is left in five seconds, and its folders are empty. Counted in looks: on a busy machine this process
 * waits as what it waits for does.
 */
async function gone(where: Place, folders: readonly string[]): Promise<void> {
  const left = (): readonly string[] => [...processesOf(where), ...folders.flatMap((path) => readdirSync(path))];
  for (let ms = 0; ms < GONE_WITHIN_MS && left().length > 0; ms += LOOK_MS) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  expect(left()).toEqual([]);
}

const random = randomFrom(20_26);
for (let moment = 0; moment < MOMENTS; moment++) {
  const signal = SIGNALS[moment % SIGNALS.length] ?? 'SIGKILL';
  const after = random() % LATEST_MS;
  test(`${signal} after ${after} ms leaves no process, socket or file within five seconds`, async () => {
    const where = place(String(moment));
    const { child, ended } = start(where, 'wait');
    await new Promise((resolve) => setTimeout(resolve, after));
    child.kill(signal);
    await gone(where, [where.tmp, where.out]);
    await ended;
  });
}

test('a run after all these works, and cleans up after itself', async () => {
  const where = place('next');
  const { ended } = start(where, 'once');
  expect(await ended).toBe(0);
  expect(readdirSync(where.out)).toEqual(['artifact.tgz']);
  await gone(where, [where.tmp]);
}, 300_000);
