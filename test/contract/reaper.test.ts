import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { packageRoot } from '../../src/host/built-module.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'compose-reaper-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Runs `body` in a process of its own, which says when it is done and then waits to be killed. */
async function killed(body: string): Promise<string> {
  const root = packageRoot();
  const file = join(folder, 'program.mjs');
  writeFileSync(
    file,
    `import { reapGroup, reapPath } from '${root}/dist/src/host/reaper.js';
     import { temporaryFolder } from '${root}/dist/src/host/folders.js';
     import { run } from '${root}/dist/src/host/process.js';
     import { mkdirSync, writeFileSync } from 'node:fs';
     const folder = ${JSON.stringify(folder)};
     const signal = new AbortController().signal;
     ${body}
     setInterval(() => {}, 1000);`,
  );
  const child = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'inherit'] });
  const said = await new Promise<string>((resolve) =>
    child.stdout.once('data', (data) => resolve(String(data).trim())),
  );
  child.kill('SIGKILL');
  return said;
}

const alive = (pid: string): boolean => {
  try {
    // A process that has ended and was not asked after yet is a zombie.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
};

test('a temporary folder goes with a compose that is killed', async () => {
  const path = await killed(
    "const held = await temporaryFolder('compose-reaped-'); writeFileSync(held.path + '/file', 'x'); console.log(held.path);",
  );
  expect(path).toContain('compose-reaped-');
  await expect.poll(() => existsSync(path)).toBe(false);
});

test('names with spaces, quotes and patterns in them are names, and what was given up is left alone', async () => {
  await killed(
    `for (const name of ["a b", "c'd", '*', '$(touch x)', '-rf']) { mkdirSync(folder + '/' + name); reapPath(folder + '/' + name); }
     mkdirSync(folder + '/kept'); reapPath(folder + '/kept')[Symbol.dispose]();
     mkdirSync(folder + '/other');
     console.log('ready');`,
  );
  await expect.poll(() => readdirSync(folder).sort()).toEqual(['kept', 'other', 'program.mjs']);
});

test('a tool and what it started are killed with compose', async () => {
  const pid = await killed(
    `run('sh', ['-c', 'sleep 1000 & echo $! > "$0"; wait', folder + '/pid'], { signal }).catch(() => {});
     const { readFileSync, existsSync } = await import('node:fs');
     const timer = setInterval(() => {
       if (!existsSync(folder + '/pid') || readFileSync(folder + '/pid', 'utf8') === '') return;
       clearInterval(timer);
       console.log(readFileSync(folder + '/pid', 'utf8'));
     }, 20);`,
  );
  expect(pid).toMatch(/^\d+$/);
  await expect.poll(() => alive(pid)).toBe(false);
});

test('a process that ends by itself leaves no reaper and is not kept by it', async () => {
  const own = join(folder, 'tmp');
  mkdirSync(own);
  const program = `import { temporaryFolder } from '${packageRoot()}/dist/src/host/folders.js';
    const held = await temporaryFolder(); await held[Symbol.asyncDispose]();`;
  const file = join(folder, 'ends.mjs');
  writeFileSync(file, program);
  const child = spawn(process.execPath, [file], { env: { ...process.env, TMPDIR: own }, stdio: 'inherit' });
  expect(await new Promise((resolve) => child.once('exit', resolve))).toBe(0);
  const left = (): string[] =>
    readdirSync('/proc').filter((pid) => {
      try {
        return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/environ`, 'utf8').includes(own);
      } catch {
        return false;
      }
    });
  await expect.poll(left).toEqual([]);
  expect(readdirSync(own)).toEqual([]);
});
