/** Trees as recipes of the catalogue make them, judged as their builds judge them before they pack. */
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { tarOf } from '../../fixtures/good-artifact.ts';
import { file, put, rockyTree, type TreeItems } from '../../fixtures/good-tree.ts';
import { quietContext } from '../../src/events.ts';
import { plan } from '../../src/recipe/plan.ts';
import type { VerifyReport } from '../../src/verify/judge.ts';
import { verify } from '../../src/verify/verify.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-verify-catalogue-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function judged(recipe: string, tree: TreeItems): Promise<VerifyReport> {
  const { maas, verify: settings } = plan({ recipe, mediumLater: true });
  const path = join(folder, `${recipe}.tar.gz`);
  await writeFile(path, gzipSync(tarOf(tree), { level: 1 }));
  return verify({ path, filetype: 'tgz', maas, ...settings }, quietContext());
}

const errors = ({ findings }: VerifyReport): string[] =>
  findings
    .filter(({ severity, allowed }) => severity === 'error' && allowed === undefined)
    .map(({ rule, message }) => `${rule}: ${message}`);

function without(tree: TreeItems, ...paths: readonly RegExp[]): void {
  for (const path of [...tree.keys()]) if (paths.some((one) => one.test(path))) tree.delete(path);
}

const hooks = (path: string) => file(readFileSync(path), 0o755);

test('CentOS 6 passes: GRUB Legacy, a BIOS alone, and a cloud-init from before its numbers were years', async () => {
  const tree = rockyTree();
  without(tree, /os-release$/, /^usr\/lib\/grub/, /grub2-install$/, /efi/i, /netplan$/, /oauthlib/, /^var\/lib\/dpkg/);
  put(tree, 'etc/redhat-release', file('CentOS release 6.10 (Final)\n'));
  put(tree, 'usr/share/grub/x86_64-redhat/stage1', file('stage1'));
  put(tree, 'usr/lib/python3/dist-packages/cloudinit/version.py', file('__VERSION__ = "0.7.5"\n'));
  put(tree, 'curtin/curtin-hooks', hooks('recipes/el/curtin-hooks-el6'));
  const report = await judged('centos-6', tree);
  expect(errors(report)).toEqual([]);
  expect(report.verdict).toBe('pass');
});

test.each(['opensuse-15', 'opensuse-16', 'sles-12', 'sles-15', 'sles-16'])(
  '%s passes without netplan',
  async (name) => {
    const tree = rockyTree();
    without(tree, /netplan$/);
    put(tree, 'etc/os-release', file('ID="opensuse-leap"\nID_LIKE="suse opensuse"\nVERSION_ID="15.6"\n'));
    put(tree, 'curtin/curtin-hooks', hooks('recipes/suse/curtin-hooks'));
    expect(errors(await judged(name, tree))).toEqual([]);
  },
);
