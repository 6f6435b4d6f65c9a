import { gunzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { random } from '../../fixtures/fuzz.ts';
import type { Engine } from '../../src/pack/codec.ts';
import { waysOf } from '../../src/pack/effort.ts';
import { openEngine } from '../../src/pack/engine.ts';
import { content } from '../../src/tune/content.ts';

const MIB = 1024 * 1024;
const missing = await openEngine({ engine: 'isal' }).then(
  () => '',
  () => ' (skipped: libisal2 or koffi is not installed)',
);

/** Contents an encoder may trip over. */
function contents(): Buffer[] {
  const next = random(3);
  const mixed = Buffer.concat([...content(5, 4 * MIB)].map(({ bytes }) => bytes));
  const noise = Buffer.from(Uint8Array.from({ length: 300_000 }, () => next()));
  return [
    Buffer.alloc(0),
    Buffer.from('a'),
    Buffer.alloc(3 * MIB),
    mixed,
    noise,
    Buffer.from(noise.map((byte) => byte | 0xf0)),
  ];
}

function member(engine: Engine, bytes: Buffer): Uint8Array {
  return engine.member(bytes.length === 0 ? [] : [bytes], bytes.length).slice();
}

test.skipIf(missing)(
  `ISA-L makes whole gzip members, the same each time, at each of its levels${missing}`,
  async () => {
    for (const level of [0, 1, 2, 3]) {
      const engine = await openEngine({ engine: 'isal', level });
      const made = contents().map((bytes) => member(engine, bytes));
      for (const [at, bytes] of contents().entries()) {
        expect(gunzipSync(made[at]!).equals(bytes)).toBe(true);
        expect(Buffer.compare(member(engine, bytes), made[at]!)).toBe(0);
        expect(made[at]![9]).toBe(255);
      }
      engine.close();
    }
  },
);

test.skipIf(missing)(`a member of ISA-L does not depend on those before it${missing}`, async () => {
  const [used, fresh] = [
    await openEngine({ engine: 'isal', level: 2 }),
    await openEngine({ engine: 'isal', level: 2 }),
  ];
  const all = contents();
  for (const bytes of all) member(used, bytes);
  expect(Buffer.compare(member(used, all[3]!), member(fresh, all[3]!))).toBe(0);
});

test.skipIf(missing)(`levels above 3 count as 3${missing}`, async () => {
  expect((await openEngine({ engine: 'isal', level: 12 })).level).toBe(3);
});

test('the best engine of gzip is never ISA-L by itself', async () => {
  expect((await openEngine()).name).not.toBe('isal');
});

test('the level of an effort is the same on every host', () => {
  expect(waysOf('small', 'gzip')).toEqual([{ level: 12 }]);
  expect(waysOf('small', 'xz')).toEqual([{ level: 6 }]);
  expect(waysOf('small', 'bzip2')).toEqual([{ level: 9 }]);
  expect(waysOf('fast', 'xz')).toEqual([{ level: 0 }]);
  expect(waysOf('fast', 'bzip2')).toEqual([{ level: 1 }]);
  expect(waysOf('fast', 'gzip')).toEqual([{ engine: 'isal', level: 2 }, { level: 1 }]);
});
