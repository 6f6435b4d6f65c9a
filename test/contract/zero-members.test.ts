import { execFile } from 'node:child_process';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { quietContext } from '../../src/events.ts';
import type { FileType } from '../../src/pack/filetypes.ts';
import { pack } from '../../src/pack/pack.ts';
import { MOST_MEMBERS } from '../../src/pack/zero-members.ts';

const run = promisify(execFile);
const CHUNK = 256 * 1024;
let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-zeros-'));
  await using file = await open(join(folder, 'holes.raw'), 'wx');
  await file.write(Buffer.from('first'), 0, 5, 3 * CHUNK - 2);
  await file.write(Buffer.from('later'), 0, 5, (MOST_MEMBERS + 40) * CHUNK);
  await file.truncate((MOST_MEMBERS + 60) * CHUNK + 4096);
  // The same disk, whose zeros workers have to read.
  await run('cp', ['--sparse=never', join(folder, 'holes.raw'), join(folder, 'written.raw')]);
}, 60_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Digests of what is made of a disk, by filetype. */
async function packed(disk: string, filetypes: readonly FileType[]): Promise<Record<string, string>> {
  const name = `${disk}-${filetypes.join('-')}`;
  const how = { format: 'raw', seal: false, freeBlocks: 'keep', chunk: CHUNK, level: 5 } as const;
  const { artifacts } = await pack({ disk: join(folder, disk), out: folder, name, filetypes, ...how }, quietContext());
  return Object.fromEntries(artifacts.map(({ filetype, sha256 }) => [filetype, sha256]));
}

test.each(['ddgz', 'ddbz2'] as const)(
  'zeros of a %s that are written by the thousand are the bytes that workers make of each chunk',
  async (filetype) => {
    expect(await packed('holes.raw', [filetype])).toEqual(await packed('written.raw', [filetype]));
  },
  60_000,
);

test('several outputs write zeros by the thousand as each of them does alone, and what they hold is the disk', async () => {
  const alone = { ...(await packed('holes.raw', ['ddgz'])), ...(await packed('holes.raw', ['ddbz2'])) };
  expect(await packed('holes.raw', ['ddgz', 'ddbz2', 'ddraw'])).toMatchObject(alone);
  const made = join(folder, 'holes.raw-ddgz-ddbz2-ddraw.dd');
  for (const [tool, end] of [
    ['zcat', '.gz'],
    ['bzcat', '.bz2'],
    ['cat', ''],
  ] as const) {
    await run('bash', ['-euc', '"$1" "$2" | cmp - "$3"', 'bash', tool, made + end, join(folder, 'holes.raw')]);
  }
}, 60_000);
