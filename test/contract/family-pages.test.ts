/** The pages of the families: each command of theirs can be planned as it stands, with the recipes that are on the page. */
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compose } from '../../fixtures/cli.ts';
import { packageRoot } from '../../src/host/built-module.ts';
import { plan } from '../../src/recipe/plan.ts';

const PAGES = ['debian', 'enterprise-linux', 'azure-linux', 'ubuntu', 'suse'];

const docs = join(packageRoot(), 'docs');
const page = (name: string): string => readFileSync(join(docs, `${name}.md`), 'utf8');
const blocks = (name: string, language: string): string[] =>
  [...page(name).matchAll(/^```(\w+)\n([\s\S]*?)^```/gm)]
    .filter((match) => match[1] === language)
    .map((match) => match[2] ?? '');

/** What commands of the pages name beside media, which a plan does not read. */
const FILES: Readonly<Record<string, string>> = {
  'mine.yaml': 'storage: { swap: { size: 1024 } }\n',
  'mine.xml': '<timezone><timezone>Europe/Berlin</timezone></timezone>\n',
  'mine.json': '{"localization": {"timezone": "Europe/Berlin"}}\n',
  'kernel/linux-image.deb': 'none\n',
};

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-pages-'));
  for (const [path, text] of Object.entries(FILES)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  for (const recipe of PAGES.flatMap((name) => blocks(name, 'yaml'))) {
    const [, name] = /^name: (\S+)$/m.exec(recipe) ?? [];
    if (name !== undefined) await writeFile(join(folder, `${name}.yaml`), recipe);
  }
});
afterAll(() => rm(folder, { recursive: true }));

/** Words of a command line, without quotes and without what the shell passes over. */
const words = (line: string): string[] =>
  [...line.replace(/\s#.*/, '').matchAll(/"([^"]*)"|(\S+)/g)].map((match) => match[1] ?? match[2] ?? '');

describe.each(PAGES)('docs/%s.md', (name) => {
  const lines = blocks(name, 'sh').flatMap((text) => text.split('\n').filter((line) => line.startsWith('compose ')));

  test.each(lines)('%s', async (line) => {
    const [, verb = '', ...args] = words(line);
    expect(['plan', 'build']).toContain(verb);
    const out = args.indexOf('--out');
    const planned = out < 0 ? args : args.toSpliced(out, 2);
    const { status, stderr } = await compose(['plan', ...planned], { cwd: folder });
    expect(status, stderr).toBe(0);
  });

  test('its links lead somewhere, and README.md leads to it', () => {
    for (const [, target = ''] of page(name).matchAll(/\]\((?!https?:)([^)#]+)\)/g)) {
      expect(existsSync(join(docs, target)), target).toBe(true);
    }
    expect(readFileSync(join(packageRoot(), 'README.md'), 'utf8')).toContain(`](docs/${name}.md)`);
  });
});

test('own files of a kernel are there when it is installed, gone at the end, and curtin is kept from another', () => {
  const steps = (recipe: string, layout: string) =>
    plan({ recipe: join(folder, recipe), layout, mediumLater: true }).steps.map((step) =>
      step.kind === 'packages' ? step.install.join(' ') : step.kind === 'upload' ? step.to : JSON.stringify(step),
    );
  const order = (all: readonly string[], ...parts: readonly string[]): number[] =>
    parts.map((part) => all.findLastIndex((step) => step.includes(part)));
  const cloud = order(
    steps('own-kernel.yaml', 'cloudimg'),
    ...['/var/tmp/kernel', 'purge-kernels', '/var/tmp/kernel/linux-image-6.12', '/curtin/curtin-hooks', 'rm -r'],
  );
  // The folder is named by the first and by the last of them.
  expect(cloud.slice(1)).toEqual(cloud.slice(1).toSorted((a, b) => a - b));
  expect(cloud).not.toContain(-1);
  expect(steps('own-kernel.yaml', 'cloudimg')[0]).toBe('/var/tmp/kernel');
  const installed = steps('own-kernel-installed.yaml', 'flat');
  expect(order(installed, '/curtin/curtin-hooks')).not.toContain(-1);
  expect(installed[0]).toBe('/var/tmp/kernel');
  expect(installed[1]).toContain('apt-get install -y /var/tmp/kernel/*.deb');
});
