import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { mutate, random } from '../../fixtures/fuzz.ts';
import { diskOf, tarOf, writeTree } from '../../fixtures/good-artifact.ts';
import { debianTree, KERNEL, link, put } from '../../fixtures/good-tree.ts';
import { isComposeError } from '../../src/errors.ts';
import { quietContext } from '../../src/events.ts';
import { which } from '../../src/host/tools.ts';
import { pack } from '../../src/pack/pack.ts';
import { junit } from '../../src/verify/reports/junit.ts';
import { sarif } from '../../src/verify/reports/sarif.ts';
import { verifyText } from '../../src/verify/reports/text.ts';
import { RULES } from '../../src/verify/rules/index.ts';
import { verify } from '../../src/verify/verify.ts';

const run = promisify(execFile);
const MAAS = { name: 'web-node', title: 'Web node', architecture: 'amd64/generic', base_image: 'ubuntu/jammy' };
const HAVE = ['mke2fs', 'tar', 'xz', 'bzip2', 'pigz'].every((tool) => which(tool) !== undefined);
const context = quietContext();

let folder = '';
const at = (name: string): string => join(folder, name);
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-verify-test-'));
  if (!HAVE) return;
  await writeFile(at('disk.raw'), await diskOf(folder, debianTree()));
  await writeTree(at('root'), debianTree());
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const shell = (script: string): Promise<unknown> => run('bash', ['-euc', script], { cwd: folder });

describe.skipIf(!HAVE)('verify reads what other tools make', () => {
  test.each([
    ['tgz by GNU tar', 'tgz', 'tar -C root --owner=0 --group=0 --numeric-owner -czf artifact .'],
    ['txz by GNU tar', 'txz', 'tar -C root --owner=0 --group=0 --numeric-owner -cJf artifact .'],
    ['tbz by GNU tar', 'tbz', 'tar -C root --owner=0 --group=0 --numeric-owner -cjf artifact .'],
    ['ddraw', 'ddraw', 'cp disk.raw artifact'],
    ['ddgz by gzip, one member', 'ddgz', 'gzip -1c disk.raw >artifact'],
    ['ddgz by pigz, with its blocks apart', 'ddgz', 'pigz -1ic disk.raw >artifact'],
    ['ddxz by xz, one block', 'ddxz', 'xz -0c disk.raw >artifact'],
    ['ddxz by xz, in blocks', 'ddxz', 'xz -0c -T2 --block-size=4MiB disk.raw >artifact'],
    ['ddbz2 by bzip2', 'ddbz2', 'bzip2 -1c disk.raw >artifact'],
    ['ddtgz by GNU tar', 'ddtgz', 'tar -czf artifact disk.raw'],
    [
      'ddtgz by GNU tar, with holes',
      'ddtgz',
      'cp --sparse=always disk.raw sparse.raw && tar --format=posix -Sczf artifact sparse.raw',
    ],
    ['ddtar by GNU tar', 'ddtar', 'tar -cf artifact disk.raw'],
  ])('%s', async (_, filetype, script) => {
    await shell(script);
    vi.stubEnv('TMPDIR', folder);
    const report = await verify({ path: at('artifact'), filetype, maas: MAAS }, context);
    expect(report.findings.map(({ rule, message }) => `${rule} ${message}`)).toEqual([]);
    expect(report.system).toBe('Debian of a test');
    const sha256 = createHash('sha256')
      .update(readFileSync(at('artifact')))
      .digest('hex');
    expect(report.sha256).toBe(sha256);
    expect(readdirSync(folder).filter((name) => name.startsWith('compose-verify-'))).toEqual([]);
  });

  test('every filetype of pack passes, with what its record says', async () => {
    const filetypes = [
      'tgz',
      'txz',
      'tbz',
      'ddgz',
      'ddxz',
      'ddbz2',
      'ddraw',
      'ddtgz',
      'ddtxz',
      'ddtbz',
      'ddtar',
    ] as const;
    const { name, ...maas } = MAAS;
    const { artifacts } = await pack(
      { disk: at('disk.raw'), out: at('out'), name, filetypes, maas, workers: 1 },
      context,
    );
    for (const { path, filetype } of artifacts) {
      const report = await verify({ path }, context);
      expect(report.findings.map(({ rule, message }) => `${filetype} ${rule} ${message}`)).toEqual([]);
      expect(report).toMatchObject({ filetype, maas: MAAS, verdict: 'pass' });
    }
  });

  test('a disk cut short, or with something behind it, is told as such', async () => {
    await shell('pigz -1ic disk.raw >whole; head -c 100000 whole >cut; (cat whole; echo junk) >more');
    for (const file of ['cut', 'more']) {
      const { findings } = await verify({ path: at(file), filetype: 'ddgz', maas: MAAS }, context);
      expect(
        findings.map(({ rule }) => rule),
        file,
      ).toEqual(['stream.whole']);
    }
  });

  test('an initrd of the other codecs is looked into', async () => {
    await shell(`gzip -dc root/boot/initrd.img-${KERNEL} >plain`);
    for (const codec of [
      'cat plain',
      'xz --check=crc32 -0c plain',
      'bzip2 -c plain',
      ...(which('zstd') ? ['zstd -qc plain'] : []),
      ...(which('lz4') ? ['lz4 -lc plain'] : []),
    ]) {
      await shell(`${codec} >initrd`);
      const tree = debianTree();
      const item = tree.get(`boot/initrd.img-${KERNEL}`)!;
      put(tree, `boot/initrd.img-${KERNEL}`, { ...item, content: readFileSync(at('initrd')) });
      await writeFile(at('artifact'), gzipSync(tarOf(tree)));
      const { findings, notes } = await verify({ path: at('artifact'), filetype: 'tgz', maas: MAAS }, context);
      expect(findings.map(({ rule, message }) => `${codec}: ${rule} ${message}`)).toEqual([]);
      expect(notes).toEqual([]);
    }
  });
});

describe.skipIf(!HAVE)('what verify tells', () => {
  test('SARIF has the shape its schema asks for, and an allowed finding is suppressed', async () => {
    const tree = debianTree();
    tree.delete('usr/sbin/netplan');
    tree.delete('usr/lib/grub/i386-pc/normal.mod');
    await writeFile(at('bad.tar.gz'), gzipSync(tarOf(tree)));
    const allow = [{ rule: 'boot.bios', reason: 'UEFI <only> & "no BIOS"' }];
    const report = await verify({ path: at('bad.tar.gz'), maas: MAAS, allow }, context);
    const log = JSON.parse(sarif([report], '0.1.0'));
    expect(log.version).toBe('2.1.0');
    const [{ tool, results, artifacts }] = log.runs;
    expect(tool.driver.rules.map((one: { id: string }) => one.id)).toEqual(RULES.map(({ id }) => id));
    expect(artifacts[0]).toMatchObject({ location: { uri: 'bad.tar.gz' }, hashes: { 'sha-256': report.sha256 } });
    for (const result of results) {
      expect(tool.driver.rules[result.ruleIndex].id).toBe(result.ruleId);
      expect(['error', 'warning']).toContain(result.level);
      expect(result.message.text).not.toBe('');
    }
    const suppressed = results.filter((one: { suppressions?: unknown }) => one.suppressions !== undefined);
    expect(suppressed.map((one: { ruleId: string }) => one.ruleId)).toEqual(['boot.bios']);
    const text = verifyText(report);
    expect(text).toMatch(/^FAIL {2}bad\.tar\.gz {2}1 error, 1 allowed, \d+ rules hold\n/);
    expect(text).toContain('because UEFI <only> & "no BIOS"');
    await writeFile(at('report.xml'), junit([report, report]));
    const count =
      'import sys, xml.etree.ElementTree as e; r = e.parse(sys.argv[1]).getroot(); print(len(r), r.get("tests"), len(r.findall(".//testcase")), r.get("failures"), len(r.findall(".//failure")), len(r.findall(".//skipped")))';
    const { stdout } = await run('python3', ['-c', count, at('report.xml')]);
    const [suites, tests, cases, failures, failed, skipped] = stdout.trim().split(' ').map(Number);
    expect({ suites, failures, failed, skipped }).toEqual({ suites: 2, failures: 2, failed: 2, skipped: 2 });
    expect(tests).toBe(cases);
  });

  test('rules are known by their ids, and a reason is asked for', async () => {
    const path = at('disk.raw');
    const allow = (rule: string, reason: string) => verify({ path, allow: [{ rule, reason }] }, context);
    await expect(allow('boot.bois', 'x')).rejects.toMatchObject({ code: 'verify.rule' });
    await expect(allow('boot.bios', ' ')).rejects.toMatchObject({ code: 'verify.reason' });
    await expect(verify({ path, target: 'maas-2.9' }, context)).rejects.toMatchObject({ code: 'verify.target' });
    await writeFile(at('unnamed'), tarOf(debianTree()));
    await expect(verify({ path: at('unnamed') }, context)).rejects.toMatchObject({ code: 'verify.filetype' });
    await expect(verify({ path: at('none') }, context)).rejects.toMatchObject({ code: 'verify.unreadable' });
  });

  test('an image of another kind is called by its name', async () => {
    for (const [head, what] of [
      ['QFI\xfb', 'a qcow2 image'],
      ['hsqs', 'a squashfs'],
      ['\x28\xb5\x2f\xfd', 'compressed by zstd'],
    ]) {
      await writeFile(at('artifact'), Buffer.alloc(4096).fill(head ?? '', 0, 4, 'latin1'));
      const { findings } = await verify({ path: at('artifact'), filetype: 'ddraw', maas: MAAS }, context);
      expect(findings).toMatchObject([{ rule: 'filetype.content', message: expect.stringContaining(what ?? '') }]);
    }
  });

  test('what only some releases of MAAS ask for depends on the target', async () => {
    await writeFile(at('artifact'), gzipSync(tarOf(debianTree())));
    const judged = async (target: string): Promise<string[]> => {
      const maas = { ...MAAS, base_image: 'ol/9' };
      return (await verify({ path: at('artifact'), filetype: 'tgz', maas, target }, context)).findings.map(
        ({ rule }) => rule,
      );
    };
    expect(await judged('maas-3.4')).toEqual(['base-image.known']);
    expect(await judged('maas-3.5')).toEqual([]);
  });
});

/** Damaged artifacts: a report or an error that compose explains, in bounded time. */
describe.skipIf(!HAVE)('damaged artifacts', () => {
  const SEEDS = Array.from({ length: 40 }, (_, seed) => seed + 1);

  test('tars end in a report or an explained error', async () => {
    const tree = debianTree();
    put(tree, 'loop', link('loop'));
    const whole = tarOf(tree);
    for (const seed of SEEDS) {
      const next = random(seed);
      const bytes = seed % 3 === 0 ? mutate(gzipSync(whole), next) : gzipSync(mutate(whole, next));
      await writeFile(at('fuzzed'), bytes);
      await explained(verify({ path: at('fuzzed'), filetype: 'tgz', maas: MAAS }, context), seed);
    }
  });

  test('disks end in a report or an explained error', async () => {
    const whole = readFileSync(at('disk.raw'));
    for (const seed of SEEDS.slice(0, 12)) {
      const next = random(seed);
      const disk = Buffer.from(whole);
      for (const [start, length] of [
        [0, 34 * 512],
        [1024 * 1024, 64 * 1024],
        [8 * 1024 * 1024, 512 * 1024],
      ] as const) {
        disk.set(mutate(disk.subarray(start, start + length), next).subarray(0, length), start);
      }
      await writeFile(at('fuzzed'), disk);
      await explained(verify({ path: at('fuzzed'), filetype: 'ddraw', maas: MAAS }, context), seed);
    }
  });

  test('compressed disks end in a report or an explained error', async () => {
    await shell('pigz -1ic disk.raw >disk.gz; xz -0c --block-size=4MiB disk.raw >disk.xz');
    for (const [file, filetype] of [
      ['disk.gz', 'ddgz'],
      ['disk.xz', 'ddxz'],
    ] as const) {
      const whole = readFileSync(at(file));
      for (const seed of SEEDS.slice(0, 8)) {
        await writeFile(at('fuzzed'), mutate(whole, random(seed)));
        await explained(verify({ path: at('fuzzed'), filetype, maas: MAAS }, context), seed);
      }
    }
  });
});

async function explained(work: Promise<unknown>, seed: number): Promise<void> {
  try {
    await work;
  } catch (error) {
    expect(isComposeError(error), `seed ${seed}: ${(error as Error).stack}`).toBe(true);
  }
}
