import { expect, test } from 'vitest';
import { random } from '../../fixtures/fuzz.ts';
import { retainedBy } from '../../fixtures/retained.ts';
import { NameList } from '../../src/filesystem/name-list.ts';

const twice = (name: Uint8Array) => new Error(`twice: ${Buffer.from(name)}`);

/** Names of 1 to 765 bytes of any value, many alike at their beginning. */
function someNames(count: number): Buffer[] {
  const next = random(3);
  const all = new Map<string, Buffer>();
  while (all.size < count) {
    const most = next() % 20 === 0 ? 765 : 12;
    const name = Buffer.from(Array.from({ length: 1 + (next() % most) }, () => [0x61, 0x62, 0, 0xff][next() % 4] ?? 0));
    all.set(name.toString('latin1'), name);
  }
  return [...all.values()];
}

test.each([0, 1, 2, 15, 16, 17, 40, 1000, 60_000])(
  '%i names come in the order of their bytes, each with its inode',
  (count) => {
    const names = someNames(count);
    const list = new NameList();
    for (const [at, name] of names.entries()) {
      const given = Buffer.from(name);
      list.add(given, 2 ** 44 + at);
      given.fill(0x7a);
    }
    list.sort(twice);
    const expected = names.map((name, at) => ({ name, inode: 2 ** 44 + at }));
    expected.sort((a, b) => Buffer.compare(a.name, b.name));
    expect(list.length).toBe(count);
    const found = [...list];
    expect(found.length).toBe(count);
    for (const [at, { name, inode }] of expected.entries()) {
      const same = found[at]!.inode === inode && Buffer.compare(found[at]!.name, name) === 0;
      if (!same) expect.unreachable(`${at} is ${Buffer.from(found[at]!.name)}`);
      if (list.find(name)?.inode !== inode) expect.unreachable(`${at} is not found`);
    }
    expect(list.find(Buffer.from('abababx'))).toBeUndefined();
    expect(list.find(Buffer.alloc(0))).toBeUndefined();
  },
);

test('a name that is there twice is told', () => {
  const list = new NameList();
  for (const name of ['b', 'a', 'ab', 'a\0', 'b', 'c']) list.add(Buffer.from(name), 1);
  expect(() => list.sort(twice)).toThrow('twice: b');
});

test('a name takes its bytes and few more', () => {
  const count = 200_000;
  const bytes = retainedBy(() => {
    const list = new NameList();
    for (let at = 0; at < count; at++) list.add(Buffer.from(`a-name-of-thirty-bytes-${at + 1e5}`), at);
    return list.sort(twice);
  });
  expect(bytes / count).toBeGreaterThan(30);
  // 51 they are; with an object and a view for each they would be 180.
  expect(bytes / count).toBeLessThan(80);
});
