import { execFile } from 'node:child_process';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { quietContext } from '../../src/events.ts';
import { pack } from '../../src/pack/pack.ts';
import { MOST_MEMBERS } from '../../src/pack/zero-members.ts';

const run = promisify(execFile);
const MIB = 1024 ** 2;

test('zeros that are written by the thousand are the bytes that workers make of each chunk, and the disk', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'compose-zeros-'));
  try {
    const disk = join(folder, 'disk.raw');
    await using file = await open(disk, 'wx');
    await file.write(Buffer.from('first'), 0, 5, 3 * MIB - 2);
    await file.write(Buffer.from('later'), 0, 5, (MOST_MEMBERS + 40) * MIB);
    await file.truncate((MOST_MEMBERS + 60) * MIB + 4096);
    const packed = async (name: string, filetypes: readonly ('ddgz' | 'ddraw')[]): Promise<string> => {
      const options = { disk, format: 'raw', out: folder, name, filetypes, seal: false, freeBlocks: 'keep' } as const;
      const { artifacts } = await pack(options, quietContext());
      return artifacts[0]?.sha256 ?? '';
    };
    expect(await packed('alone', ['ddgz'])).toBe(await packed('both', ['ddgz', 'ddraw']));
    await run('bash', ['-euc', 'zcat "$1" | cmp - "$2"', 'bash', join(folder, 'alone.dd.gz'), disk]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}, 60_000);
