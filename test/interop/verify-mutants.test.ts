import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { diskOf, tarOf } from '../../fixtures/good-artifact.ts';
import { lvmArtifact } from '../../fixtures/good-lvm.ts';
import { debianTree, rockyTree } from '../../fixtures/good-tree.ts';
import { MUTANTS, type Mutant } from '../../fixtures/mutants.ts';
import { quietContext } from '../../src/events.ts';
import { which } from '../../src/host/tools.ts';
import type { VerifyReport } from '../../src/verify/judge.ts';
import { RULES } from '../../src/verify/rules/index.ts';
import { verify } from '../../src/verify/verify.ts';

const MAAS = { name: 'web-node', title: 'Web node', architecture: 'amd64/generic', base_image: 'ubuntu/jammy' };
const HAVE = ['mke2fs', 'debugfs'].every((tool) => which(tool) !== undefined);

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-mutants-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function judged(mutant: Omit<Mutant, 'rule'>): Promise<VerifyReport> {
  const { of, tree: change, rename, disk, bytes, settings, record } = mutant;
  const isDisk = of === 'disk' || of === 'lvm';
  const filetype = mutant.filetype ?? (isDisk ? 'ddgz' : 'tgz');
  const tree = of === 'rocky' ? rockyTree() : debianTree();
  change?.(tree);
  const content =
    of === 'lvm'
      ? await lvmArtifact(folder, tree)
      : of === 'disk'
        ? await diskOf(folder, tree, disk)
        : tarOf(tree, rename);
  const packed = gzipSync(content, { level: 1 });
  const path = join(folder, 'artifact');
  await writeFile(path, bytes?.(packed) ?? packed);
  if (record === undefined) await rm(`${path}.maas.json`, { force: true });
  else await writeFile(`${path}.maas.json`, JSON.stringify(record));
  return verify({ path, filetype, maas: { ...MAAS, ...mutant.maas }, ...settings }, quietContext());
}

function told({ findings }: VerifyReport): string[] {
  return findings.map(({ rule, path = '', message }) => `${rule} ${path} ${message}`);
}

describe.skipIf(!HAVE)('verify', () => {
  test.each(['debian', 'rocky', 'disk'] as const)('a good artifact (%s) passes without a word', async (of) => {
    const report = await judged({ of });
    expect(told(report)).toEqual([]);
    expect(report.verdict).toBe('pass');
    expect(report.sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(report.boots).toEqual(of === 'disk' ? ['uefi'] : undefined);
  });

  test.each(MUTANTS)('$rule alone is told where it alone does not hold ($of)', async (mutant) => {
    const report = await judged(mutant);
    expect([...new Set(report.findings.map(({ rule }) => rule))], told(report).join('\n')).toEqual([mutant.rule]);
    const severity = RULES.find(({ id }) => id === mutant.rule)?.severity;
    expect(report.verdict).toBe(severity === 'error' ? 'fail' : 'pass');
  });

  test('every rule has a mutant', () => {
    expect(MUTANTS.map(({ rule }) => rule).sort()).toEqual(RULES.map(({ id }) => id).sort());
  });
});
