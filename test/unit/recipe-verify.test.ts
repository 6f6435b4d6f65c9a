import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { verifySettings } from '../../src/build/verify-settings.ts';
import { plan } from '../../src/recipe/plan.ts';

const folder = mkdtempSync(join(tmpdir(), 'compose-recipe-verify-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function planned(name: string, verify: string): ReturnType<typeof plan> {
  const path = join(folder, `${name}.yaml`);
  writeFileSync(path, `extends: debian-12\nname: ${name}\n${verify}`);
  return plan({ recipe: path });
}

test('what a recipe lets pass is in its plan, and a build adds its own', () => {
  const own = planned('allows', 'verify: { allow: [{ rule: boot.bios, reason: UEFI only }], off: [hygiene.logs] }\n');
  expect(own.verify).toEqual({ allow: [{ rule: 'boot.bios', reason: 'UEFI only' }], off: ['hygiene.logs'] });
  const told = { allow: [{ rule: 'netplan.*', reason: 'none here' }], target: 'maas-3.5' };
  expect(verifySettings(own.verify, told, { http: 'http://me:word@proxy.example:3128/' })).toEqual({
    target: 'maas-3.5',
    allow: [...(own.verify?.allow ?? []), ...told.allow],
    off: ['hygiene.logs'],
    forbidden: ['proxy.example:3128'],
  });
  expect(planned('plain', '')).not.toHaveProperty('verify');
});

test.each([
  ['a rule that is not there', 'verify: { allow: [{ rule: boot.bois, reason: x }] }\n'],
  ['a rule that is not there, off', 'verify: { off: [boot.bois] }\n'],
])('%s is told when the recipe is read', (_, verify) => {
  expect(() => planned('wrong', verify)).toThrow(expect.objectContaining({ code: 'recipe.verify', exitCode: 2 }));
});
