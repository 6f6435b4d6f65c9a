import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { compose } from '../../fixtures/cli.ts';
import { scratch } from '../../fixtures/ext4-image.ts';
import { memoryTree } from '../../fixtures/memory-tree.ts';
import { packageDisk, RPM_NDB, rpmNdb } from '../../fixtures/package-disk.ts';
import { whyNoTools } from '../../fixtures/rpm-database.ts';
import { cycloneDxProblems, spdxProblems } from '../../fixtures/sbom-rules.ts';
import { quietContext } from '../../src/events.ts';
import { type PackOptions, type PackResult, pack } from '../../src/pack/pack.ts';
import { readPackages } from '../../src/verify/packages.ts';

const run = promisify(execFile);
const noDpkg = whyNoTools('dpkg-query') ?? (existsSync('/var/lib/dpkg/status') ? undefined : 'no dpkg database here');

test.skipIf(noDpkg !== undefined)(
  `the packages of this host are what dpkg-query says (${noDpkg ?? 'with dpkg'})`,
  async () => {
    await using place = await scratch();
    // A copy: others may install something meanwhile.
    await copyFile('/var/lib/dpkg/status', join(place.path, 'status'));
    await mkdir(join(place.path, 'info'));
    await copyFile('/var/lib/dpkg/info/format', join(place.path, 'info/format')).catch(() => {});
    const format =
      '${db:Status-Status}|${Package}|${Version}|${Architecture}|${source:Package}|${source:Version}|${Maintainer}\\n';
    const { stdout } = await run('dpkg-query', [`--admindir=${place.path}`, '-W', '-f', format], { maxBuffer: 1e8 });
    const states = /^(installed|unpacked|half-configured|triggers-\w+)\|/;
    const expected = stdout
      .trimEnd()
      .split('\n')
      .filter((line) => states.test(line));
    const [set] = await readPackages(
      memoryTree({ '/var/lib/dpkg/status': await readFile(join(place.path, 'status')) }),
    );
    const ours = set!.packages.map((one) =>
      [one.name, one.version, one.arch, one.source, one.sourceVersion, one.supplier ?? ''].join('|'),
    );
    expect(ours.length).toBeGreaterThan(50);
    expect(ours.sort()).toEqual(expected.map((line) => line.replace(states, '')).sort());
  },
);

const STATUS =
  'Package: zsh\nStatus: install ok installed\nVersion: 5.9-4+b1\nArchitecture: amd64\nMaintainer: A B <a@b.example>\n';
const LINES = 'zsh 5.9-4+b1 amd64\nbash 0:5.2-1.el9 x86_64\n';

describe('a disk with packages of two managers', () => {
  let place: Awaited<ReturnType<typeof scratch>>;
  let disk = '';

  beforeAll(async () => {
    place = await scratch();
    const bash = { 1000: 'bash', 1001: '5.2', 1002: '1.el9', 1003: 0, 1014: 'GPLv3+', 1022: 'x86_64' };
    disk = await packageDisk(place.path, 'disk', { 'var/lib/dpkg/status': STATUS, [RPM_NDB]: rpmNdb(bash) });
  });
  beforeEach(() => void vi.stubEnv('SOURCE_DATE_EPOCH', undefined));
  afterAll(() => place[Symbol.asyncDispose]());

  async function packed(
    name: string,
    over: Partial<PackOptions> = {},
  ): Promise<PackResult & { out: string; text: string }> {
    const out = join(place.path, name);
    const lists = { packages: true, sbom: ['spdx', 'cyclonedx'] as const };
    const options = { disk, out, name: 'x', filetypes: ['tgz'] as const, ...lists, ...over };
    const result = await pack(options, quietContext());
    return { ...result, out, text: await readFile(join(out, 'x.packages.txt'), 'utf8') };
  }

  test('the lists stand beside the artifact, keep their rules, and tell the time of the last change', async () => {
    const { out, text, lists } = await packed('whole');
    expect(text).toBe(LINES);
    expect(lists.map(({ kind, file }) => [kind, file])).toEqual([
      ['packages', 'x.packages.txt'],
      ['spdx', 'x.spdx.json'],
      ['cyclonedx', 'x.cdx.json'],
    ]);
    const expected = ['SHA256SUMS', 'x.cdx.json', 'x.packages.txt', 'x.spdx.json', 'x.tar.gz', 'x.tar.gz.maas.json'];
    expect((await readdir(out)).sort()).toEqual(expected);
    const spdx = JSON.parse(await readFile(join(out, 'x.spdx.json'), 'utf8'));
    const cdx = JSON.parse(await readFile(join(out, 'x.cdx.json'), 'utf8'));
    expect([...spdxProblems(spdx), ...cycloneDxProblems(cdx)]).toEqual([]);
    expect(spdx.creationInfo.created).toBe('2020-09-13T12:26:40Z');
    expect(spdx.packages.map((one: { name: string }) => one.name)).toEqual(['mixed', 'zsh', 'bash']);
    expect(cdx.components.map((one: { purl?: string }) => one.purl)).toEqual([
      undefined,
      'pkg:deb/mixed/zsh@5.9-4%2Bb1?arch=amd64&distro=mixed-1',
      'pkg:rpm/mixed/bash@5.2-1.el9?arch=x86_64&distro=mixed-1&epoch=0',
    ]);
  });

  test('the same disk gives the same bytes, and another time another document', async () => {
    const read = (out: string): Promise<string[]> =>
      Promise.all(['x.spdx.json', 'x.cdx.json'].map((file) => readFile(join(out, file), 'utf8')));
    const [first, second] = [await packed('first'), await packed('second', { filetypes: ['ddgz'], workers: 1 })];
    expect(await read(first.out)).toEqual(await read(second.out));
    const third = await packed('third', { sourceDateEpoch: 1_700_000_000 });
    const [spdx] = await read(third.out);
    expect(spdx).toContain('"2023-11-14T22:13:20Z"');
    expect(JSON.parse(spdx!).documentNamespace).not.toBe(JSON.parse((await read(first.out))[0]!).documentNamespace);
  });

  test.each([
    ['/var/lib/dpkg', 'remove', 'bash 0:5.2-1.el9 x86_64\n', 'a folder above the database'],
    ['/usr/lib/sysimage/rpm/*', 'remove', 'zsh 5.9-4+b1 amd64\n', 'the database'],
    ['/var/lib/dpkg/status', 'empty', 'bash 0:5.2-1.el9 x86_64\n', 'its bytes'],
    ['/var/lib/rpm', 'remove', LINES, 'one of two ways to it'],
  ] as const)('an edit of %s is seen: %s', async (path, kind, expected, _why) => {
    const { text } = await packed(`edit-${kind}${path.replaceAll('/', '-').replace('*', 'all')}`, {
      edits: [{ kind, path, reason: 'a test' }],
    });
    expect(text).toBe(expected);
  });

  test('without a database the lists are empty, and the notes say so', async () => {
    const { notes, text, out } = await packed('none', { disk: await packageDisk(place.path, 'bare', {}) });
    expect(text).toBe('');
    expect(notes.join()).toContain('no package database');
    expect(spdxProblems(JSON.parse(await readFile(join(out, 'x.spdx.json'), 'utf8')))).toEqual([]);
  });

  test('a damaged database ends the packing before anything is written; without lists it is no error', async () => {
    const broken = await packageDisk(place.path, 'broken', {
      [RPM_NDB]: Buffer.from('RpmP and no more than this, sorry'),
    });
    const out = join(place.path, 'refused');
    const options = { disk: broken, out, name: 'x', filetypes: ['tgz'] as const };
    await expect(pack({ ...options, packages: true }, quietContext())).rejects.toMatchObject({ exitCode: 7 });
    expect(await readdir(out).catch(() => [])).toEqual([]);
    expect((await pack(options, quietContext())).lists).toEqual([]);
    const { stdout, status } = await compose(['inspect', broken]);
    expect(status).toBe(0);
    expect(stdout).toContain('packages  Cannot read the rpm database');
  });

  test('compose pack writes them, and compose inspect counts them in the disk and in the archive', async () => {
    const out = join(place.path, 'cli');
    const args = ['pack', disk, '--out', out, '--name', 'y', '--packages', '--sbom', 'spdx,cyclonedx'];
    const { status, stdout } = await compose(args);
    expect(status).toBe(0);
    expect(stdout).toContain(`packages: ${join(out, 'y.packages.txt')}`);
    expect(await readFile(join(out, 'y.packages.txt'), 'utf8')).toBe(LINES);
    for (const path of [disk, join(out, 'y.tar.gz')]) {
      expect((await compose(['inspect', path])).stdout).toMatch(/packages +1 \(dpkg\), 1 \(rpm\)/);
      const json = JSON.parse((await compose(['inspect', path, '--json'])).stdout);
      expect(json.system.packages.map((one: { name: string }) => one.name)).toEqual(['zsh', 'bash']);
      expect(json.system.packageDatabases[1].path).toMatch(/rpm\/Packages\.db$/);
    }
    const refused = await compose(['pack', disk, '--out', out, '--sbom', 'spdy']);
    expect(refused.status).toBe(2);
    expect(refused.stderr).toContain('pack.sbom');
  });
});
