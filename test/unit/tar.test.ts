import { expect, test } from 'vitest';
import { mutate, random } from '../../fixtures/fuzz.ts';
import { isComposeError } from '../../src/errors.ts';
import { readNumber, writeNumber } from '../../src/formats/tar/number.ts';
import { decodePax, encodePax, paxRecord } from '../../src/formats/tar/pax.ts';
import { readTar, type TarEntry } from '../../src/formats/tar/reader.ts';
import { archiveEnd, decimalTime, memberHeader, type TarMember } from '../../src/formats/tar/writer.ts';

const bytes = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0));
const text = (data: Uint8Array): string => Buffer.from(data).toString('latin1');

test.each([
  [0, 'zero'],
  [0o7777777, 'the largest octal of seven digits'],
  [0o10000000, 'one more: base-256'],
  [2 ** 40, 'a large one'],
])('the number %d survives (%s)', (value) => {
  const field = new Uint8Array(8);
  writeNumber(field, 0, 8, value);
  expect(readNumber(field, 0, 8)).toBe(value);
});

test('a PAX record counts its own digits, also where they make it longer', () => {
  for (let length = 1; length < 1100; length++) {
    const body = encodePax([paxRecord('path', 'x'.repeat(length))]);
    expect(Number.parseInt(text(body), 10)).toBe(body.length);
  }
});

test('a PAX value keeps NUL, newline and equals signs', () => {
  const value = bytes('a=b\n\0c=');
  const records = decodePax(encodePax([paxRecord('SCHILY.xattr.user.x', value), paxRecord('path', 'p')]));
  expect(records?.map((record) => [text(record.key), text(record.value)])).toEqual([
    ['SCHILY.xattr.user.x', 'a=b\n\0c='],
    ['path', 'p'],
  ]);
});

test.each([
  ['no length', 'path=x\n'],
  ['a length past the end', '99 path=x\n'],
  ['no newline at the end of the record', '10 path=xx'],
  ['no equals sign', '9 pathxx\n'],
])('a PAX body with %s is refused', (_, body) => expect(decodePax(bytes(body))).toBeUndefined());

test.each([
  [1_500_000_000n, '1.5'],
  [-1_500_000_000n, '-1.5'],
  [-1n, '-0.000000001'],
  [5_000_000_000_000_000_000n, '5000000000'],
])('%d ns is written as %s s', (time, written) => expect(decimalTime(time)).toBe(written));

const MEMBERS: TarMember[] = [
  { name: bytes('./'), type: 'directory', mode: 0o755, uid: 0, gid: 0, mtime: 0n, size: 0 },
  {
    name: bytes(`./${'n'.repeat(255)}`),
    type: 'file',
    mode: 0o4755,
    uid: 3_000_000_000,
    gid: 2 ** 21,
    mtime: -5n,
    size: 3,
  },
  {
    name: bytes(`./\xff\xfe${'d/'.repeat(2100)}x\n`),
    type: 'fifo',
    mode: 0o600,
    uid: 1,
    gid: 2,
    mtime: 4_300_000_000_123_456_789n,
    size: 0,
  },
  {
    name: bytes('./link'),
    type: 'symlink',
    mode: 0o777,
    uid: 0,
    gid: 0,
    mtime: 1n,
    size: 0,
    linkName: bytes('t/'.repeat(300)),
  },
  { name: bytes('./again'), type: 'hardLink', mode: 0o644, uid: 0, gid: 0, mtime: 1n, size: 0, linkName: bytes('./x') },
  {
    name: bytes('./dev'),
    type: 'block',
    mode: 0o660,
    uid: 0,
    gid: 6,
    mtime: 0n,
    size: 0,
    device: { major: 4095, minor: 1048575 },
  },
  {
    name: bytes('./sparse'),
    type: 'file',
    mode: 0o644,
    uid: 0,
    gid: 0,
    mtime: 7n,
    size: 2 ** 40,
    sparse: [
      { offset: 0, length: 3 },
      { offset: 2 ** 39, length: 600 },
    ],
    xattrs: [{ name: bytes('security.capability'), value: bytes('\x01\0\0\x02\0 \0\0=\n') }],
  },
];

function archive(): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const member of MEMBERS) {
    parts.push(memberHeader(member));
    const stored = member.sparse?.reduce((sum, run) => sum + run.length, 0) ?? member.size;
    parts.push(new Uint8Array(Math.ceil(stored / 512) * 512).fill(0x61, 0, stored));
  }
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([...parts, new Uint8Array(archiveEnd(length))]);
}

async function* cut(data: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < data.length; at += size) yield data.subarray(at, at + size);
}

async function readAll(data: Uint8Array, size = 777): Promise<TarEntry[]> {
  const entries: TarEntry[] = [];
  for await (const entry of readTar(cut(data, size))) entries.push(entry);
  return entries;
}

test.each([1, 511, 777, 1 << 20])('what the writer says the reader hears, in pieces of %d bytes', async (size) => {
  const entries = await readAll(archive(), size);
  expect(
    entries.map(({ name, type, mode, uid, gid, mtime }) => ({ name: text(name), type, mode, uid, gid, mtime })),
  ).toEqual(
    MEMBERS.map(({ name, type, mode, uid, gid, mtime }) => ({ name: text(name), type, mode, uid, gid, mtime })),
  );
  expect(entries.map((entry) => entry.size)).toEqual(MEMBERS.map((member) => member.size));
  expect(entries.at(-1)?.sparse).toEqual(MEMBERS.at(-1)?.sparse);
  expect(entries.at(-1)?.xattrs).toEqual(MEMBERS.at(-1)?.xattrs);
  expect(entries[5]?.device).toEqual({ major: 4095, minor: 1048575 });
});

test('an archive is a whole number of records', () => expect(archive().length % 10240).toBe(0));

test('an archive cut short is truncated, not shorter', async () => {
  const whole = archive();
  const end = whole.length - 10240;
  await expect(readAll(whole.subarray(0, end - 100))).rejects.toMatchObject({ code: 'tar.truncated' });
});

test('damaged archives end in entries or in an error of ours', async () => {
  const whole = archive();
  let refused = 0;
  for (let seed = 1; seed <= 3000; seed++) {
    const next = random(seed);
    try {
      await readAll(mutate(whole.subarray(0, 1024 * (1 + (next() % 20))), next), 4096);
    } catch (error) {
      if (!isComposeError(error)) throw error;
      refused++;
    }
  }
  expect(refused).toBeGreaterThan(100);
});
