import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CANARIES, plant } from '../../fixtures/canaries.ts';
import { diskOf, ROOT } from '../../fixtures/good-artifact.ts';
import { debianTree, file, put } from '../../fixtures/good-tree.ts';
import { quietContext } from '../../src/events.ts';
import { which } from '../../src/host/tools.ts';
import { type PackOptions, type PackResult, pack } from '../../src/pack/pack.ts';
import { verify } from '../../src/verify/verify.ts';

const HAVE = which('mke2fs') !== undefined;
const MAAS = { title: 'Web node', architecture: 'amd64/generic', base_image: 'ubuntu/jammy' };
const context = quietContext();

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-hygiene-'));
  if (!HAVE) return;
  const tree = debianTree();
  plant(tree);
  const left = CANARIES.find(({ path }) => path === undefined)?.marker ?? '';
  const change = (disk: Buffer): void => void disk.write(left, ROOT.start + ROOT.size - 64 * 1024);
  await writeFile(join(folder, 'planted.raw'), await diskOf(folder, tree, { change }));
  await writeFile(join(folder, 'good.raw'), await diskOf(folder, debianTree()));
  const bad = debianTree();
  put(bad, 'etc/agent.conf', file('token = "q7Xv2LmZ9pRt4KwB8sHd3NfY"\n'));
  await writeFile(join(folder, 'bad.raw'), await diskOf(folder, bad));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function packed(disk: string, more: Partial<PackOptions>): Promise<PackResult & { readonly out: string }> {
  const out = join(folder, `out-${Math.random().toString(36).slice(2)}`);
  await mkdir(out);
  const common = { disk: join(folder, disk), out, name: 'web-node', filetypes: ['tgz', 'ddgz'], maas: MAAS } as const;
  return { ...(await pack({ ...common, workers: 1, ...more }, context)), out };
}

const contentOf = (path: string): Buffer => gunzipSync(readFileSync(path));

describe.skipIf(!HAVE)('hygiene', () => {
  test('every planted canary is found in an unsealed tgz and in an unsealed ddgz', async () => {
    const { artifacts } = await packed('planted.raw', { seal: false, freeBlocks: 'keep' });
    expect(CANARIES).toHaveLength(15);
    for (const { path, filetype } of artifacts) {
      const forbidden = CANARIES.map(({ marker }) => marker);
      const { findings, verdict } = await verify({ path, forbidden }, context);
      expect(verdict).toBe('fail');
      const raw = contentOf(path);
      for (const canary of CANARIES) {
        if (canary.path === undefined && filetype === 'tgz') continue;
        expect(raw.includes(canary.marker), `${canary.marker} is in the bytes`).toBe(true);
        const own = findings.filter(({ rule }) => rule === canary.rule);
        const place = own.some(
          (one) => canary.path === undefined || one.path === undefined || canary.path.startsWith(one.path),
        );
        expect(place, `${filetype}: ${canary.rule} ${canary.path}`).toBe(true);
        if (filetype === 'ddgz') {
          const told = findings.filter(({ rule }) => rule === 'hygiene.build-host').map(({ message }) => message);
          expect(told).toContain(`the bytes of the disk have "${canary.marker}" in them`);
        }
      }
    }
  });

  test('the seal takes out every one: none is found, and none is in the raw bytes', async () => {
    const { artifacts } = await packed('planted.raw', {});
    for (const { path } of artifacts) {
      const { findings } = await verify({ path }, context);
      expect(findings).toEqual([]);
      const raw = contentOf(path);
      expect(CANARIES.filter(({ marker }) => raw.includes(marker))).toEqual([]);
    }
  });

  test('a row that is off is neither sealed nor told', async () => {
    const off = ['hygiene.history', 'hygiene.logs'];
    const { artifacts, verified } = await packed('planted.raw', { verify: { off } });
    expect(verified?.map(({ verdict }) => verdict)).toEqual(['pass', 'pass']);
    for (const { path } of artifacts) {
      const raw = contentOf(path);
      const kept = CANARIES.filter(({ marker }) => raw.includes(marker)).map(({ rule }) => rule);
      expect(kept).toEqual(off);
    }
  });

  test('what fails is not packed, and nothing is written', async () => {
    const failing = packed('bad.raw', { verify: {} });
    await expect(failing).rejects.toMatchObject({ code: 'verify.failed', exitCode: 8 });
    const error = await failing.catch((one: { evidence: { findings: string[] } }) => one);
    expect((error as { evidence: { findings: string[] } }).evidence.findings.join('\n')).toMatch(
      /hygiene\.tokens: .*\/etc\/agent\.conf/,
    );
    expect(
      readdirSync(folder)
        .filter((name) => name.startsWith('out-'))
        .flatMap((name) => readdirSync(join(folder, name)))
        .filter((name) => name.includes('partial')),
    ).toEqual([]);
  });

  test('a rule that is let pass is in the record with its reason', async () => {
    const reason = 'an example from the manual';
    const { artifacts, verified } = await packed('bad.raw', { verify: { allow: [{ rule: 'hygiene.*', reason }] } });
    expect(verified?.[0]?.findings).toMatchObject([{ rule: 'hygiene.tokens', allowed: reason }]);
    for (const { path } of artifacts) {
      const record = JSON.parse(readFileSync(`${path}.maas.json`, 'utf8'));
      expect(record.verified).toMatchObject({ warnings: [], allowed: [{ rule: 'hygiene.tokens', reason }] });
    }
  });

  test('free blocks that were kept are not told: they were asked for', async () => {
    const { verified } = await packed('good.raw', { freeBlocks: 'keep', verify: {}, filetypes: ['ddgz'] });
    expect(verified?.[0]?.rules).toContainEqual({ id: 'hygiene.free-space', state: 'off' });
  });
});
