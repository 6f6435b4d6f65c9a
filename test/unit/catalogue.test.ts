import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { goldenText } from '../../fixtures/plan-golden.ts';
import { packageRoot } from '../../src/host/built-module.ts';
import { catalogueNames, catalogueRecipe } from '../../src/recipe/catalogue.ts';
import { everyPlan } from '../../src/recipe/every-plan.ts';

const STANDARD = ['packages', 'timezone', 'locale', 'keyboard'];

/** Where the evidence of a grade may be; the first two are machines that ran. */
const EVIDENCE = {
  built: /^(test\/machine\/|docs\/|README\.md)/,
  driven: /^test\/machine\//,
  checked: /^(test\/|docs\/)/,
} as const;

/** What is wrong with the evidence of a grade, a line each. */
function evidenceProblems(
  name: string,
  { grade, evidence }: { readonly grade: keyof typeof EVIDENCE; readonly evidence: readonly string[] },
  read: (path: string) => string | undefined,
): string[] {
  const wrong = evidence.flatMap((path) => {
    const text = read(path);
    if (text === undefined) return [`${path}: is not there`];
    return text.includes(name) ? [] : [`${path}: does not name ${name}`];
  });
  return evidence.some((path) => EVIDENCE[grade].test(path)) ? wrong : [...wrong, `nothing is behind "${grade}"`];
}

const read = (path: string): string | undefined => {
  const whole = join(packageRoot(), path);
  return existsSync(whole) ? readFileSync(whole, 'utf8') : undefined;
};

describe.each(catalogueNames())('%s', (name) => {
  const recipe = catalogueRecipe(name);

  test('plans as recorded, for every architecture, layout and source', async () => {
    await expect(goldenText(recipe)).toMatchFileSnapshot(`golden/plans/${name}.json`);
  });

  test('has evidence behind each of its grades', () => {
    const problems = everyPlan(recipe).flatMap((one) =>
      evidenceProblems(name, one.plan, read).map((problem) => `${one.name}: ${problem}`),
    );
    expect(problems).toEqual([]);
  });

  test('has a base whose tools are in it: MAAS runs "netplan info" in an image based on Ubuntu', () => {
    const withNetplan = ['debian', 'ubuntu'].includes(recipe.family);
    for (const { plan } of everyPlan(recipe)) expect(plan.maas.base_image.startsWith('ubuntu/')).toBe(withNetplan);
  });

  test('tells MAAS whole: title, account, the least releases of MAAS and curtin, maturity', () => {
    for (const { plan } of everyPlan(recipe)) {
      expect(plan.maas).toMatchObject({
        title: expect.stringMatching(/./),
        user: expect.stringMatching(/^[a-z-]+$/),
        minimum_maas: expect.stringMatching(/^\d+\.\d+$/),
        minimum_curtin: expect.stringMatching(/^\d+\.\d+$/),
        maturity: expect.stringMatching(/./),
      });
    }
  });

  test('has the variables that every entry has', () => {
    expect(Object.keys(recipe.variables)).toEqual(expect.arrayContaining(STANDARD));
    expect(recipe.variables.packages?.type).toBe('list');
    expect(recipe.packages).toContain('${packages}');
  });
});

test('no custom image for arm64 has the name of one for amd64', () => {
  for (const name of catalogueNames()) {
    const custom = everyPlan(catalogueRecipe(name)).filter(({ plan }) => !plan.maas.name.includes('/'));
    const named = (arch: string): string[] =>
      custom.filter(({ plan }) => plan.arch === arch).map(({ plan }) => plan.maas.name);
    expect(named('arm64').filter((one) => named('amd64').includes(one))).toEqual([]);
  }
});

test('names below suse/ are those MAAS reads a product and its number in', () => {
  const names = catalogueNames().flatMap((name) => everyPlan(catalogueRecipe(name)).map(({ plan }) => plan.maas.name));
  const suse = names.filter((name) => name.startsWith('suse/'));
  expect(suse).toContain('suse/opensuse15.6');
  for (const name of suse) expect(name).toMatch(/^suse\/(sles|opensuse)\d+(\.\d+)?$/);
});

test.each([
  ['a file that is not there', 'checked', ['test/gone.ts'], 'test/gone.ts: is not there'],
  ['a file that does not name the entry', 'checked', ['test/other.ts'], 'test/other.ts: does not name rocky-9'],
  ['a page where a machine should have run', 'driven', ['docs/rocky.md'], 'nothing is behind "driven"'],
  ['no evidence at all', 'built', [], 'nothing is behind "built"'],
] as const)('a grade with %s is refused', (_, grade, evidence, problem) => {
  const files: Record<string, string> = { 'test/other.ts': 'rocky-8', 'docs/rocky.md': 'rocky-9' };
  expect(evidenceProblems('rocky-9', { grade, evidence }, (path) => files[path])).toEqual([problem]);
});
