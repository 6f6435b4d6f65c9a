/**
 * `npm run bench -- memory`: the most memory compose has while it packs what is worst for it: 150 MiB that no codec makes
 * smaller, into each filetype and into all of them at once.
 */
import { randomFillSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { humanSize } from '../src/formats/human.ts';
import { packageRoot } from '../src/host/built-module.ts';
import { FILE_TYPES } from '../src/pack/filetypes.ts';
import { measure } from './measure.ts';

const CONTENT = 150 * 1024 * 1024;
/** What no packing may have. */
const BOUND = 300 * 1024 * 1024;

export async function memory(): Promise<void> {
  const work = mkdtempSync(join(tmpdir(), 'compose-memory-'));
  try {
    const tree = join(work, 'tree');
    for (const folder of ['etc', 'sbin']) mkdirSync(join(tree, folder), { recursive: true });
    writeFileSync(join(tree, 'etc/os-release'), 'ID=debian\n');
    writeFileSync(join(tree, 'random'), randomFillSync(Buffer.alloc(CONTENT)));
    const disk = join(work, 'disk.raw');
    const made = await measure(`truncate -s 256M "${disk}"; mke2fs -q -F -d "${tree}" "${disk}"`, { cwd: work });
    if (made.exitCode !== 0) throw new Error(`mke2fs: ${made.stderr}`);
    const cli = join(packageRoot(), 'dist/src/cli/main.js');
    const all = Object.keys(FILE_TYPES);
    console.log('| filetypes | peak memory |\n|---|---:|');
    for (const filetypes of [all.join(','), ...all]) {
      const out = join(work, 'out');
      const command = `node "${cli}" pack "${disk}" --no-seal --format ${filetypes} --name m --out "${out}" --log plain`;
      const { exitCode, peakMemory, stderr } = await measure(command, { cwd: work });
      if (exitCode !== 0) throw new Error(`compose ended with ${exitCode}: ${stderr}`);
      rmSync(out, { recursive: true });
      console.log(`| ${filetypes} | ${humanSize(peakMemory)} |`);
      if (peakMemory > BOUND) process.exitCode = 1;
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
