import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeImage, scratch } from '../../fixtures/ext4-image.ts';
import { random } from '../../fixtures/fuzz.ts';
import { packageRoot } from '../../src/host/built-module.ts';
import { which } from '../../src/host/tools.ts';

const run = promisify(execFile);
const MIB = 1024 * 1024;
/** Of what does not compress: more than all that may be held at a time. */
const CONTENT = 160 * MIB;
const LONG = 300_000;
const without = which('mke2fs') === undefined ? ' (skipped: mke2fs is not installed)' : '';

describe.skipIf(without !== '')(`memory does not grow with what is packed${without}`, () => {
  let place: Awaited<ReturnType<typeof scratch>>;
  let disk = '';

  beforeAll(async () => {
    place = await scratch();
    const tree = join(place.path, 'tree');
    await mkdir(join(tree, 'etc'), { recursive: true });
    await writeFile(join(tree, 'etc/os-release'), 'ID=sample\n');
    const next = random(11);
    const noise = new Uint8Array(CONTENT / 20).map(() => next());
    // Copies lie further apart than any dictionary of gzip or bzip2 reaches.
    for (let copy = 0; copy < 20; copy++) await writeFile(join(tree, `noise-${copy}`), noise);
    disk = await makeImage(join(place.path, 'disk'), { mkfs: ['-t', 'ext4'], size: '200M', tree });
  }, LONG);
  afterAll(() => place[Symbol.asyncDispose]());

  /** Largest resident set of the whole process, bytes. */
  async function peakOf(formats: string): Promise<number> {
    const report = join(place.path, `peak-${formats}`);
    const script = `import { writeFileSync } from 'node:fs';
process.on('exit', () => writeFileSync(${JSON.stringify(report)}, String(process.resourceUsage().maxRSS)));`;
    const cli = join(packageRoot(), 'dist/src/cli/main.js');
    const out = join(place.path, `out-${formats}`);
    const load = `data:text/javascript,${encodeURIComponent(script)}`;
    const command = ['pack', disk, '--no-seal', '--format', formats, '--workers', '2', '--name', 'x', '--out', out];
    await run(process.execPath, ['--import', load, cli, ...command]);
    return Number(await readFile(report, 'utf8')) * 1024;
  }

  test.each(['tgz', 'ddgz,ddtgz,ddraw,ddtar'])(
    '%s of 160 MiB that do not compress',
    async (formats) => {
      expect(await peakOf(formats)).toBeLessThan(220 * MIB);
    },
    LONG,
  );
});
