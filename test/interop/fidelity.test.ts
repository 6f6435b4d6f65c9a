import { execFile } from 'node:child_process';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  kernelManifest,
  makeEverything,
  makeRoom,
  manifestDifferences,
  whyNotEverything,
} from '../../fixtures/everything.ts';
import { debugfs, makeImage, scratch, whileMounted } from '../../fixtures/ext4-image.ts';
import { quietContext } from '../../src/events.ts';
import { type PackResult, pack } from '../../src/pack/pack.ts';

/** Said, because no program in these trees tells it. */
const MAAS = { architecture: 'amd64/generic' };

const run = promisify(execFile);
const LIMIT = { maxBuffer: 512 * 1024 * 1024 } as const;
const CURTIN = ['--xattrs', '--xattrs-include=*', '-Sxpzf'];
const LONG = '/00lll';
/** Every path that begins with it is longer than 4095 bytes with the "./" in front. */
const LONGEST_PARENT = 4094;
const noBsdtar = await run('bsdtar', ['--version']).then(
  () => '',
  () => ' (skipped: no bsdtar here)',
);

interface Extracted {
  readonly manifest: string;
  /** 0, or what the program ended with. */
  readonly status: number;
  readonly stderr: string;
}

for (const kind of ['ext4', 'xfs'] as const) {
  const reason = await whyNotEverything(kind);
  describe.skipIf(reason !== undefined)(`one of everything on ${kind}${reason ? ` (skipped: ${reason})` : ''}`, () => {
    let place: Awaited<ReturnType<typeof scratch>>;
    let image = '';
    /** What the kernel says is on it. */
    let expected = '';
    let packed: PackResult;

    beforeAll(async () => {
      place = await scratch();
      ({ image, manifest: expected } = await makeEverything(kind, join(place.path, 'everything')));
      const out = join(place.path, 'out');
      packed = await pack(
        {
          disk: image,
          format: 'raw',
          out,
          name: 'x',
          filetypes: ['tgz'],
          seal: false,
          check: true,
          manifest: true,
          maas: MAAS,
        },
        quietContext(),
      );
    }, 300_000);
    afterAll(() => place[Symbol.asyncDispose]());

    async function extracted(program: string, args: readonly string[], locale = 'C'): Promise<Extracted> {
      const room = await makeRoom(kind, join(place.path, 'room'));
      return whileMounted(room, 'rw', async (folder) => {
        const env = { ...process.env, LC_ALL: locale };
        const told = await run(program, ['-C', folder, ...args], { ...LIMIT, env }).then(
          ({ stderr }) => ({ status: 0, stderr }),
          ({ code, stderr }: { code: number; stderr: string }) => ({ status: code, stderr }),
        );
        // XFS allocates ahead where a file is written in pieces.
        for (const name of ['over-8g', 'tebibyte', 'hole-only', 'hole-last']) {
          const { blocks } = await stat(join(folder, 'content', name));
          expect(blocks, `blocks of ${name}`).toBeLessThan(1000);
        }
        return { ...told, manifest: await kernelManifest(folder) };
      });
    }

    test('our reader sees what the kernel sees', async () => {
      expect(expected.split('\n').length).toBeGreaterThan(65_150);
      const manifest = packed.treeManifest!;
      expect(manifestDifferences(expected, await readFile(manifest.path, 'utf8'))).toEqual([]);
      expect((await readFile(manifest.path, 'utf8')) === expected, 'the order of lines').toBe(true);
      expect((await run('sha256sum', [manifest.path])).stdout).toContain(manifest.treeDigest);
      const [artifact] = packed.artifacts;
      expect(artifact).toMatchObject({ treeDigest: manifest.treeDigest, entries: manifest.entries });
      expect(artifact!.checked).toMatchObject({ entries: manifest.entries });
    });

    test('what tar cannot hold is told', () => {
      const project = kind === 'xfs' ? ', 1 project number' : '';
      expect(packed.notes).toEqual([
        '2 sockets are left out: tar cannot hold them',
        `attributes of ${kind === 'xfs' ? 5 : 4} inodes are left out: tar cannot hold them ` +
          `(1 immutable (i), 1 append only (a), 2 no dump (d), 1 no atime (A)${project})`,
        expect.stringMatching(/^6 paths are longer than Linux opens/),
      ]);
    });

    test("GNU tar with curtin's flags restores all of it but the paths that no call takes", async () => {
      const { path } = packed.artifacts[0]!;
      const { manifest, status, stderr } = await extracted('tar', [...CURTIN, path, '--numeric-owner']);
      expect(status).toBe(2);
      const failed = stderr.split('\n').filter((line) => /Cannot/.test(line));
      expect(failed).toHaveLength(6);
      for (const line of failed) expect(line).toMatch(/: Cannot (mkdir|open): File name too long$/);
      expect(manifestDifferences(withoutLong(expected), manifest)).toEqual([]);
    });

    test.skipIf(kind === 'xfs')(
      'without those paths GNU tar ends well, in a locale of UTF-8 too',
      async () => {
        const out = join(place.path, 'short');
        const edits = [{ kind: 'remove' as const, path: '/00*', reason: 'too long' }];
        const { artifacts, notes } = await pack(
          { disk: image, format: 'raw', out, name: 'x', filetypes: ['tgz'], seal: false, edits, maas: MAAS },
          quietContext(),
        );
        expect(notes).toHaveLength(2);
        const { path } = artifacts[0]!;
        const { manifest, status } = await extracted('tar', [...CURTIN, path, '--numeric-owner'], 'C.UTF-8');
        expect(status).toBe(0);
        const short = expected.split('\n').filter((line) => !line.startsWith(`{"path":"${LONG}`));
        expect(manifestDifferences(short.join('\n'), manifest)).toEqual([]);
      },
      60_000,
    );

    test.skipIf(noBsdtar !== '')(
      `bsdtar restores it but for what libarchive loses${noBsdtar}`,
      async () => {
        const { path } = packed.artifacts[0]!;
        const { stdout } = await run('bsdtar', ['-tf', path], { ...LIMIT, env: { ...process.env, LC_ALL: 'C.UTF-8' } });
        expect(stdout.trimEnd().split('\n')).toHaveLength(packed.artifacts[0]!.entries!);
        const { manifest } = await extracted('bsdtar', ['--numeric-owner', '-xpSf', path], 'C.UTF-8');
        const lost = manifestDifferences(expected, manifest, 1000).filter((line) => line.startsWith('missing'));
        const why: readonly (readonly [RegExp, string])[] = [
          [/^missing \{"path":"\/",/, 'the time of the folder it extracts into'],
          [/^missing \{"path":"\/00lll/, 'facts of directories it can only make in steps'],
          [/"name":"system\.posix_acl_/, 'ACLs as attributes: it sets only its own records of them'],
          [/"mtime":"-\d+\.\d+"/, 'fractions of times before 1970: it adds them'],
          [/^missing \{"path":"\/xattr\/names",/, 'names of attributes with = and %, which only GNU tar escapes'],
        ];
        expect(lost.filter((line) => !why.some(([pattern]) => pattern.test(line)))).toEqual([]);
        expect(lost.length).toBeLessThan(25);
      },
      60_000,
    );
  });
}

const noRoot = process.getuid?.() === 0 ? '' : ' (skipped: not root)';
test.skipIf(noRoot !== '')(`project numbers of ext4 are counted${noRoot}`, async () => {
  await using folder = await scratch();
  const tree = join(folder.path, 'tree');
  await mkdir(join(tree, 'etc'), { recursive: true });
  for (const name of ['os-release', 'one', 'two']) await writeFile(join(tree, 'etc', name), name);
  const image = await makeImage(join(folder.path, 'image'), {
    mkfs: ['-t', 'ext4', '-O', 'project', '-I', '256'],
    size: '8M',
    tree,
    debugfs: ['set_inode_field /etc/one projid 4294967295', 'set_inode_field /etc/two projid 7'],
  });
  expect(await debugfs(image, 'stat /etc/two')).toMatch(/Project: +7\b/);
  const options = { disk: image, format: 'raw' as const, out: folder.path, name: 'x', filetypes: ['tgz' as const] };
  const { notes } = await pack({ ...options, seal: false, maas: MAAS }, quietContext());
  expect(notes).toEqual(['attributes of 2 inodes are left out: tar cannot hold them (2 project number)']);
});

/** A manifest without the lines whose path is longer than Linux opens. */
function withoutLong(manifest: string): string {
  return manifest
    .split('\n')
    .filter((line) => !line.startsWith(`{"path":"${LONG}`) || (JSON.parse(line).path as string).length < LONGEST_PARENT)
    .join('\n');
}
