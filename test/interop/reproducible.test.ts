import { execFile } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { chmod, cp, mkdir, readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createGunzip } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeImage, scratch } from '../../fixtures/ext4-image.ts';
import { quietContext } from '../../src/events.ts';
import { readTar } from '../../src/formats/tar/reader.ts';
import { packageRoot } from '../../src/host/built-module.ts';
import { which } from '../../src/host/tools.ts';
import { pack } from '../../src/pack/pack.ts';

const run = promisify(execFile);
const EPOCH = 1_600_000_000;
const without = which('mke2fs') === undefined ? ' (skipped: mke2fs is not installed)' : '';

describe.skipIf(without !== '')(`the same disk gives the same bytes${without}`, () => {
  let place: Awaited<ReturnType<typeof scratch>>;
  let tree = '';
  let image = '';

  beforeAll(async () => {
    place = await scratch();
    tree = join(place.path, 'tree');
    await mkdir(join(tree, 'etc'), { recursive: true });
    await writeFile(join(tree, 'etc/os-release'), 'ID=sample\n');
    for (const name of ['Zebra', 'apple', 'Äpfel', 'zebra', '_', 'ångström', 'I', 'ı']) {
      await writeFile(join(tree, name), name.repeat(1000));
      await chmod(join(tree, name), 0o640);
    }
    image = await makeImage(join(place.path, 'image'), { mkfs: ['-t', 'ext4', '-I', '256'], size: '16M', tree });
  });
  afterAll(() => place[Symbol.asyncDispose]());

  /** The tree's copy with all times at `seconds` but for one file's, which is before the epoch. */
  async function imageAt(seconds: number): Promise<string> {
    const copy = join(place.path, `tree-${seconds}`);
    await cp(tree, copy, { recursive: true });
    for (const name of await readdir(copy, { recursive: true })) await utimes(join(copy, name), seconds, seconds);
    await utimes(copy, seconds, seconds);
    await utimes(join(copy, 'apple'), EPOCH - 1, EPOCH - 1);
    return makeImage(`${copy}.img`, { mkfs: ['-t', 'ext4', '-I', '256'], size: '16M', tree: copy });
  }

  test('times beyond the epoch are those of the epoch, in trees and manifests', async () => {
    const seen = new Set<string>();
    const plain = new Set<string>();
    for (const seconds of [EPOCH + 1, EPOCH + 86_400, 2_000_000_000]) {
      const disk = await imageAt(seconds);
      const options = { disk, format: 'raw' as const, name: 'x', filetypes: ['tgz' as const], manifest: true };
      const out = join(place.path, `out-${seconds}`);
      const { artifacts, treeManifest } = await pack(
        { ...options, out, sourceDateEpoch: EPOCH, check: true },
        quietContext(),
      );
      seen.add(`${artifacts[0]!.sha256} ${treeManifest!.treeDigest}`);
      const times = new Map<string, bigint>();
      for await (const member of readTar(createReadStream(artifacts[0]!.path).pipe(createGunzip()))) {
        times.set(Buffer.from(member.name).toString(), member.mtime);
      }
      expect(times.get('./apple')).toBe(BigInt(EPOCH - 1) * 1_000_000_000n);
      expect(times.get('./zebra')).toBe(BigInt(EPOCH) * 1_000_000_000n);
      plain.add((await pack({ ...options, out: `${out}-plain` }, quietContext())).artifacts[0]!.sha256);
    }
    expect(seen.size).toBe(1);
    expect(plain.size).toBe(3);
  });

  test('neither umask, locale, time zone, folder, user nor home changes a byte', async () => {
    const main = join(packageRoot(), 'dist/src/cli/main.js');
    const sums = new Set<string>();
    const surroundings: readonly (readonly [umask: string, cwd: string, env: NodeJS.ProcessEnv])[] = [
      ['022', place.path, {}],
      ['077', '/', { TZ: 'Pacific/Kiritimati', LC_ALL: 'tr_TR.UTF-8', LANG: 'tr_TR.UTF-8' }],
      ['000', tree, { TZ: 'America/St_Johns', LC_ALL: 'C', USER: 'somebody', LOGNAME: 'somebody', HOME: '/nowhere' }],
      [
        '027',
        place.path,
        { TZ: ':/nowhere', LC_ALL: 'sv_SE.ISO-8859-1', LANGUAGE: 'sv', COLUMNS: '20', TMPDIR: '/tmp' },
      ],
    ];
    for (const [at, [umask, cwd, env]] of surroundings.entries()) {
      const out = join(place.path, `cli-${at}`);
      const command = ['pack', image, '--format', 'tgz,ddgz', '--manifest', '--name', 'x', '--out', out];
      const script = `umask ${umask}; exec "$0" "$@"`;
      const settings = { cwd, env: { PATH: process.env.PATH, NO_COLOR: '1', ...env } };
      await run('sh', ['-c', script, process.execPath, main, ...command], settings);
      const read = (name: string): Promise<string> => readFile(join(out, name), 'latin1');
      const record = (await read('x.tar.gz.maas.json')).replaceAll(out, '');
      sums.add([await read('SHA256SUMS'), await read('x.files.jsonl'), record].join('\n'));
    }
    expect(sums.size).toBe(1);
  });
});
