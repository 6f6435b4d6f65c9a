import { expect, test } from 'vitest';
import { useRunningTime } from '../../fixtures/clock.ts';
import { chunk, exportInfo, type FakeNbd, fakeNbd, optionReply, u32s, u64 } from '../../fixtures/fake-nbd.ts';
import { mutate, random } from '../../fixtures/fuzz.ts';
import { disk, withServer, zeros } from '../../fixtures/nbd-sessions.ts';
import { NbdSession } from '../../src/disk/nbd.ts';
import { isComposeError } from '../../src/errors.ts';

useRunningTime();

const simple = (cookie: bigint, error: number): Buffer => Buffer.concat([u32s(0x67446698, error), u64(Number(cookie))]);
const data = (at: number, length: number): Buffer => Buffer.concat([u64(at), Buffer.alloc(length, 1)]);

const broken: { why: string; fake: Partial<FakeNbd>; code: string; says?: string }[] = [
  { why: 'no NBD at all', fake: { greeting: Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n') }, code: 'nbd.damaged' },
  {
    why: 'the old handshake',
    fake: { greeting: Buffer.from('NBDMAGIC\0\0\x42\x02\x81\x86\x12\x53\0\0\0\0\0\0\0\0', 'latin1') },
    code: 'nbd.damaged',
    says: 'old style',
  },
  { why: 'nothing is said', fake: { greeting: zeros }, code: 'nbd.silent' },
  { why: 'silence after the greeting', fake: { onOption: () => zeros }, code: 'nbd.silent' },
  { why: 'an answer to another option', fake: { onOption: () => optionReply(3, 1) }, code: 'nbd.damaged' },
  {
    why: 'an answer of 4 GiB to an option',
    fake: { onOption: () => Buffer.concat([optionReply(8, 1).subarray(0, 16), u32s(0xffffffff)]) },
    code: 'nbd.damaged',
    says: '4294967295',
  },
  {
    why: 'answers without end',
    fake: { onOption: (option) => Buffer.concat(Array.from({ length: 200 }, () => optionReply(option, 3, u32s(0)))) },
    code: 'nbd.damaged',
    says: 'no end',
  },
  {
    why: 'an export of 2^63 bytes',
    fake: { onOption: (option) => (option === 7 ? optionReply(7, 3, exportInfo(1n << 63n)) : undefined) },
    code: 'nbd.damaged',
    says: 'impossible',
  },
  {
    why: 'no size',
    fake: { onOption: (option) => (option === 7 ? optionReply(7, 1) : undefined) },
    code: 'nbd.damaged',
  },
  { why: 'a wrong cookie', fake: { onRequest: () => chunk(999n, 1, data(0, 10)) }, code: 'nbd.damaged', says: '999' },
  {
    why: 'a cookie of 2^64 - 1',
    fake: { onRequest: () => chunk(0xffff_ffff_ffff_ffffn, 1, data(0, 10)) },
    code: 'nbd.damaged',
  },
  {
    why: 'half of the data',
    fake: { onRequest: ({ cookie }) => chunk(cookie, 1, data(0, 50)) },
    code: 'nbd.damaged',
    says: 'not whole',
  },
  {
    why: 'more than was asked for',
    fake: { onRequest: ({ cookie }) => chunk(cookie, 1, data(0, 101)) },
    code: 'nbd.damaged',
    says: 'not asked for',
  },
  {
    why: 'data from before the request',
    fake: { onRequest: ({ cookie }) => chunk(cookie, 1, data(5000, 10)) },
    code: 'nbd.damaged',
    says: 'not asked for',
  },
  {
    why: 'the same bytes twice',
    fake: {
      onRequest: ({ cookie }) =>
        Buffer.concat([chunk(cookie, 1, data(0, 60), { done: false }), chunk(cookie, 1, data(0, 60))]),
    },
    code: 'nbd.damaged',
    says: 'twice',
  },
  {
    why: 'a chunk of 4 GiB',
    fake: { onRequest: ({ cookie }) => chunk(cookie, 1, data(0, 10), { length: 0xffffffff }) },
    code: 'nbd.damaged',
    says: '4294967295',
  },
  {
    why: 'a status of 1 GiB',
    fake: { onRequest: ({ cookie }) => chunk(cookie, 5, u32s(1), { length: 2 ** 30 }) },
    code: 'nbd.damaged',
  },
  { why: 'an unknown chunk', fake: { onRequest: ({ cookie }) => chunk(cookie, 77, u32s(1)) }, code: 'nbd.damaged' },
  {
    why: 'a hole that leads outside',
    fake: { onRequest: ({ cookie }) => chunk(cookie, 2, Buffer.concat([u64(0), u32s(2 ** 31)])) },
    code: 'nbd.damaged',
  },
  {
    why: 'a read answered by block status',
    fake: { onRequest: ({ cookie }) => chunk(cookie, 5, u32s(1, 100, 0)) },
    code: 'nbd.damaged',
  },
  {
    why: 'a simple reply',
    fake: { onRequest: ({ cookie }) => simple(cookie, 0) },
    code: 'nbd.damaged',
    says: 'simple',
  },
  {
    why: 'a simple reply with an error',
    fake: { onRequest: ({ cookie }) => simple(cookie, 5) },
    code: 'nbd.read-failed',
  },
  { why: 'noise', fake: { onRequest: () => Buffer.alloc(64, 0x55) }, code: 'nbd.damaged', says: '0x55555555' },
  {
    why: 'an error whose text leaves it',
    fake: { onRequest: ({ cookie }) => chunk(cookie, 0x8001, Buffer.concat([u32s(5), Buffer.from([9, 9])])) },
    code: 'nbd.damaged',
  },
  {
    why: 'the peer closes instead',
    fake: {
      onRequest: (_, socket) => {
        socket.destroy();
        return zeros;
      },
    },
    code: 'nbd.closed',
  },
  {
    why: 'the peer closes within the data',
    fake: {
      onRequest: ({ cookie }, socket) => {
        socket.end(chunk(cookie, 1, data(0, 50), { length: 108 }));
        return zeros;
      },
    },
    code: 'nbd.closed',
  },
  { why: 'silence', fake: { onRequest: () => zeros }, code: 'nbd.silent' },
  {
    why: 'silence within the data',
    fake: { onRequest: ({ cookie }) => chunk(cookie, 1, data(0, 50), { length: 108 }) },
    code: 'nbd.silent',
  },
];
test.each(broken)('a misbehaving server is an error, not a hang: $why', async ({ fake, code, says }) => {
  const reading = withServer(fake, (session) => session.read(0, new Uint8Array(100)), 300);
  await expect(reading).rejects.toMatchObject({ code, message: expect.stringContaining(says ?? '') });
});

test('a status answer of nothing, of another context or with an empty run is damage', async () => {
  for (const words of [
    [2, 100, 0],
    [1, 0, 0],
  ]) {
    const fake: Partial<FakeNbd> = { onRequest: ({ cookie }) => chunk(cookie, 5, u32s(...words)) };
    await expect(withServer(fake, (session) => session.status(0, 100))).rejects.toMatchObject({ code: 'nbd.damaged' });
  }
  const none: Partial<FakeNbd> = { onRequest: ({ cookie }) => chunk(cookie, 0, zeros) };
  await expect(withServer(none, (session) => session.status(0, 100))).rejects.toMatchObject({ code: 'nbd.damaged' });
});

test('a damaged conversation is an error or right bytes, never a hang', async () => {
  let failed = 0;
  let read = 0;
  for (let seed = 1; seed <= 400; seed++) {
    const next = random(seed);
    const rate = 2 + (next() % 8);
    const small = disk.subarray(0, 20_000);
    await using server = await fakeNbd({
      disk: small,
      piece: 1 + (next() % 3000),
      mangle: (bytes) => (next() % rate === 0 ? mutate(bytes, next) : bytes),
    });
    try {
      await using session = await NbdSession.connect(server.path, { idleMs: 60 });
      // A damaged answer may claim any size.
      const length = Math.min(session.size, 20_000);
      await session.status(0, length);
      await session.read(0, new Uint8Array(length));
      read++;
    } catch (error) {
      if (!isComposeError(error)) throw new Error(`seed ${seed}`, { cause: error });
      failed++;
    }
  }
  expect(failed).toBeGreaterThan(100);
  expect(read).toBeGreaterThan(10);
}, 240_000);
