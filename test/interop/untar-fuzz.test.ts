import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { mutate, random } from '../../fixtures/fuzz.ts';
import { isComposeError } from '../../src/errors.ts';
import { memberHeader, type TarMember } from '../../src/formats/tar/writer.ts';
import { untar } from '../../src/guest/untar.ts';

async function folder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'compose-untar-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

async function* inPieces(bytes: Uint8Array, length: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

function member(name: string, type: TarMember['type'], linkName?: string): Uint8Array {
  const base = { name: Buffer.from(name), type, mode: 0o644, uid: 0, gid: 0, mtime: 0n, size: 0 };
  return memberHeader(linkName === undefined ? base : { ...base, linkName: Buffer.from(linkName) });
}

const HOSTILE: readonly [what: string, members: readonly Uint8Array[]][] = [
  ['a name that leads outside', [member('../out', 'file')]],
  ['a name that leads outside from within', [member('a/../../out', 'file')]],
  ['an absolute name', [member('/tmp/out', 'file')]],
  ['a file behind a link of its own', [member('a', 'symlink', '/tmp'), member('a/out', 'file')]],
  ['a file in place of a link of its own', [member('a', 'symlink', '../out'), member('a', 'file')]],
  ['a hard link to a file of this host', [member('a', 'hardLink', '/etc/passwd')]],
  ['a hard link that leads outside', [member('a', 'hardLink', '../../etc/passwd')]],
  ['a hard link to a link', [member('a', 'symlink', '/etc/passwd'), member('b', 'hardLink', 'a')]],
  ['a folder in place of a link', [member('a', 'symlink', '/tmp'), member('a/', 'directory')]],
  ['a file as a folder', [member('a', 'file'), member('a/b', 'file')]],
];
test.each(HOSTILE)('%s is refused', async (_what, members) => {
  await using place = await folder();
  const into = join(place.path, 'into');
  await mkdir(into);
  const bytes = Buffer.concat([...members, new Uint8Array(1024)]);
  await expect(untar(inPieces(bytes, 700), into)).rejects.toMatchObject({ code: 'download.unsafe' });
  expect(existsSync(join(place.path, 'out'))).toBe(false);
});

test('damaged archives end in an error or a result, and write nowhere else', async () => {
  await using place = await folder();
  const from = join(place.path, 'from');
  await mkdir(join(from, 'sub', 'x'.repeat(120)), { recursive: true });
  await writeFile(join(from, 'a'), 'content of a');
  await writeFile(join(from, 'sub', 'x'.repeat(120), 'b'), 'b'.repeat(3000));
  await symlink('a', join(from, 'link'));
  execFileSync('ln', [join(from, 'a'), join(from, 'hard')]);
  const archives = ['gnu', 'pax'].map((form) =>
    execFileSync('tar', ['-C', from, `--format=${form}`, '-b', '1', '-cf', '-', '.'], { maxBuffer: 2 ** 24 }),
  );
  let refused = 0;
  for (let seed = 1; seed <= 240; seed++) {
    const next = random(seed);
    const bytes = mutate(archives[seed % archives.length] as Buffer, next);
    const into = join(place.path, `into-${seed}`);
    await mkdir(into);
    try {
      await untar(inPieces(bytes, 1 + (next() % 2000)), into);
    } catch (error) {
      // A name of bytes that this host's file system refuses is its error.
      const code = (error as { code?: string }).code ?? '';
      expect(isComposeError(error) || /^(ENAMETOOLONG|EILSEQ|EINVAL|ENOENT|EACCES)$/.test(code), String(error)).toBe(
        true,
      );
      refused++;
    }
    await rm(into, { recursive: true, force: true });
    expect((await readdir(place.path)).sort()).toEqual(['from']);
  }
  expect(refused).toBeGreaterThan(20);
  expect(await readFile(join(from, 'a'), 'utf8')).toBe('content of a');
});
