import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { compose } from '../../fixtures/cli.ts';
import { packageRoot } from '../../src/host/built-module.ts';
import { catalogueNames } from '../../src/recipe/catalogue.ts';
import { gradesOf, gradeText } from '../../src/recipe/grades.ts';
import { allRecipes, sourceKinds } from '../../src/recipe/list-text.ts';
import { plan } from '../../src/recipe/plan.ts';

const run = promisify(execFile);
const root = packageRoot();
const readme = readFileSync(join(root, 'README.md'), 'utf8');
const block = (language: string, containing: string): string => {
  const blocks = [...readme.matchAll(/```(\w+)\n([\s\S]*?)```/g)].filter((match) => match[1] === language);
  return blocks.map((match) => match[2] ?? '').find((text) => text.includes(containing)) ?? '';
};

test('CI runs the test command of the README and nothing else of substance', () => {
  const command = block('sh', 'npm test').trim();
  const lines = readFileSync(join(root, '.ci/run'), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  expect(lines).toEqual(['set -euo pipefail', 'cd "$(dirname "$0")/.."', command]);
});

test('the main command is made of scripts and verbs that exist', () => {
  const command = block('sh', 'compose -- build').trim();
  expect(command.split(' && ')).toEqual([
    'npm ci --ignore-scripts',
    'npm run build',
    'npm run -s compose -- doctor debian-12 --source packages --install',
    'npm run -s compose -- build debian-12 --source packages --out images',
  ]);
});

test('npm runs compose in a clone, and hands on its exit status', async () => {
  const { stdout } = await run('npm', ['run', '-s', 'compose', '--', '--version'], { cwd: root });
  expect(stdout.trim()).toMatch(/^\d+\.\d+\.\d+$/);
  const refused = run('npm', ['run', '-s', 'compose', '--', 'show', 'debain-12'], { cwd: root });
  await expect(refused).rejects.toMatchObject({ code: 2 });
});

test('every command of the examples is one that compose knows', async () => {
  const commands = block('sh', 'compose list')
    .split('\n')
    .filter((line) => line.startsWith('compose '));
  expect(commands.length).toBeGreaterThan(8);
  for (const line of commands) {
    const verb = line.split(' ')[1] ?? '';
    if (verb === 'completion') continue;
    const { stdout } = await compose([verb, '--help']);
    for (const [flag] of line.replace(/#.*/, '').matchAll(/--[a-z-]+/g)) {
      expect(stdout, `${verb} ${flag}`).toContain(flag.replace('--no-seal', '--seal'));
    }
  }
});

test('the recipe of the README can be planned', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'compose-readme-'));
  try {
    const path = join(folder, 'web-node.yaml');
    await writeFile(path, block('yaml', 'extends:'));
    expect(plan({ recipe: path }).maas).toMatchObject({ name: 'web-node', title: 'Web node' });
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('the library example runs as it stands, in at most 20 lines', async () => {
  const example = block('js', "from 'image-compose'");
  expect(example.trim().split('\n').length).toBeLessThanOrEqual(20);
  const folder = await mkdtemp(join(tmpdir(), 'compose-library-'));
  try {
    const tree = join(folder, 'tree');
    await mkdir(join(tree, 'etc'), { recursive: true });
    await writeFile(join(tree, 'etc/os-release'), 'PRETTY_NAME="Test OS"\n');
    await writeFile(join(folder, 'disk.raw'), '');
    await truncate(join(folder, 'disk.raw'), 8 * 1024 * 1024);
    await run('mke2fs', ['-q', '-F', '-t', 'ext4', '-d', tree, join(folder, 'disk.raw')]);
    await run('qemu-img', ['convert', '-O', 'qcow2', join(folder, 'disk.raw'), join(folder, 'disk.qcow2')]);
    await mkdir(join(folder, 'node_modules'));
    await symlink(root, join(folder, 'node_modules/image-compose'));
    await writeFile(join(folder, 'example.mjs'), example);
    const { stdout } = await run(process.execPath, ['example.mjs'], { cwd: folder });
    expect(stdout).toMatch(/web-node\.tar\.gz [0-9a-f]{64}/);
    expect(stdout).toContain('Test OS');
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('the catalogue of the README is the catalogue, each entry with its grades', () => {
  const rows = [...readme.matchAll(/^\| (\S+) \| ([\w, ]+) \| ([\w, ]+) \| (.+) \|$/gm)].map((match) => match.slice(1));
  const table = rows.filter(([name = '']) => catalogueNames().includes(name));
  const real = allRecipes().map((recipe) => [
    recipe.name,
    sourceKinds(recipe).join(', '),
    recipe.outputs.join(', '),
    gradeText(gradesOf(recipe)),
  ]);
  expect(table).toEqual(real);
  expect(table.length).toBeGreaterThan(30);
});

test('links within the documentation lead somewhere', () => {
  for (const file of [
    'README.md',
    'docs/packing.md',
    'docs/recipes.md',
    'docs/maas.md',
    'docs/debugging.md',
    'docs/catalogue.md',
    'docs/from-maas-image-builder.md',
    'docs/installers.md',
  ]) {
    const text = readFileSync(join(root, file), 'utf8');
    for (const [, target = ''] of text.matchAll(/\]\((?!https?:)([^)#]+)\)/g)) {
      expect(existsSync(join(root, dirname(file), target)), `${file}: ${target}`).toBe(true);
    }
  }
});

test('the generated reference is current', async () => {
  await run(process.execPath, ['scripts/reference.mjs', '--check'], { cwd: root });
});
