import { expect, test } from 'vitest';
import { useRunningTime } from '../../fixtures/clock.ts';
import {
  chunk,
  exportInfo,
  type FakeNbd,
  fakeNbd,
  goodReply,
  optionReply,
  u32s,
  u64,
} from '../../fixtures/fake-nbd.ts';
import { mutate, random } from '../../fixtures/fuzz.ts';
import { NbdSession } from '../../src/disk/nbd.ts';
import { isComposeError } from '../../src/errors.ts';

useRunningTime();

const KiB = 1024;
const disk = Uint8Array.from({ length: 3 * 1024 * KiB + 77 }, (_, at) => ((at >> 14) % 3 === 0 ? 0 : (at * 31) & 0xff));
const zeros = Buffer.alloc(0);

async function withServer<T>(
  fake: Partial<FakeNbd>,
  use: (session: NbdSession) => Promise<T>,
  idleMs = 2000,
): Promise<T> {
  await using server = await fakeNbd({ disk, ...fake });
  await using session = await NbdSession.connect(server.path, { idleMs });
  return await use(session);
}

const readAll = async (session: NbdSession): Promise<Uint8Array> => {
  const into = new Uint8Array(session.size).fill(0xa5);
  await session.read(0, into);
  return into;
};

test('a disk is read whole, whatever pieces the answers come in', async () => {
  for (const piece of [undefined, 1013, 65536]) {
    await withServer(piece === undefined ? {} : { piece }, async (session) => {
      expect(session.size).toBe(disk.length);
      expect(Buffer.compare(await readAll(session), disk)).toBe(0);
    });
  }
  await withServer({ piece: 1 }, async (session) => {
    const into = new Uint8Array(2000);
    await session.read(16_000, into);
    expect(Buffer.compare(into, disk.subarray(16_000, 18_000))).toBe(0);
  });
});

test('allocation is told in runs that cover the question exactly, joined where they are alike', async () => {
  await withServer({}, async (session) => {
    expect(await session.status(0, disk.length)).toHaveLength(129);
    expect(await session.status(10, 16 * KiB)).toEqual([
      { length: 16 * KiB - 10, zero: true },
      { length: 10, zero: false },
    ]);
    expect(await session.status(5, 0)).toEqual([]);
  });
  // A server may answer for less than it was asked, or for more.
  const crumbs = {
    onRequest: ({ command, cookie }: { command: number; cookie: bigint }) =>
      command === 7 ? chunk(cookie, 5, u32s(1, 1000, 3)) : undefined,
  };
  await withServer(crumbs, async (session) => {
    expect(await session.status(0, 2500)).toEqual([{ length: 2500, zero: true }]);
  });
});

test('runs without end do not fill the memory', async () => {
  const words = Array.from({ length: 4000 }, (_, index) => [1, index % 2 === 0 ? 0 : 2]).flat();
  const fake = { onRequest: ({ cookie }: { cookie: bigint }) => chunk(cookie, 5, u32s(1, ...words)) };
  await withServer(fake, async (session) => {
    const runs = await session.status(0, 1024 * KiB);
    expect(runs.length).toBeLessThan(75_000);
    expect(runs.reduce((sum, run) => sum + run.length, 0)).toBe(1024 * KiB);
  });
});

test('a server without contexts has no holes, and one without structured replies is refused', async () => {
  const refuse = (which: number) => ({
    onOption: (option: number) => (option === which ? optionReply(which, 0x8000_0001, Buffer.from('no')) : undefined),
  });
  await withServer(refuse(10), async (session) => {
    expect(await session.status(0, 5000)).toEqual([{ length: 5000, zero: false }]);
  });
  await expect(withServer(refuse(8), readAll)).rejects.toMatchObject({ code: 'nbd.refused' });
  await expect(withServer(refuse(7), readAll)).rejects.toMatchObject({
    code: 'nbd.refused',
    message: expect.stringContaining('does not know the option: no'),
  });
});

test('requests in flight are bounded, and all of them are answered', async () => {
  const held: (() => void)[] = [];
  let most = 0;
  const fake: Partial<FakeNbd> = {
    onRequest: (asked, socket) => {
      held.push(() => socket.write(goodReply(disk, asked)));
      most = Math.max(most, held.length);
      // Answers the last one first, once no more come.
      setTimeout(() => held.pop()?.(), 5);
      return zeros;
    },
  };
  await withServer(fake, async (session) => {
    const next = random(1);
    await Promise.all(
      Array.from({ length: 100 }, async () => {
        const at = next() % (disk.length - 5000);
        const into = new Uint8Array(1 + (next() % 5000));
        await session.read(at, into);
        expect(Buffer.compare(into, disk.subarray(at, at + into.length))).toBe(0);
      }),
    );
  });
  expect(most).toBeGreaterThan(4);
  expect(most).toBeLessThanOrEqual(16);
});

test('a hole reads as zeros', async () => {
  const fake: Partial<FakeNbd> = {
    onRequest: ({ cookie, offset, length }) => chunk(cookie, 2, Buffer.concat([u64(offset), u32s(length)])),
  };
  await withServer(fake, async (session) => {
    const into = new Uint8Array(100).fill(1);
    await session.read(7, into);
    expect(into).toEqual(new Uint8Array(100));
  });
});

test('an error of the server ends its request and no other', async () => {
  const fake: Partial<FakeNbd> = {
    onRequest: ({ cookie, offset }) =>
      offset === 0
        ? chunk(cookie, 0x8001, Buffer.concat([u32s(5), Buffer.from('\0\x08no medium'.slice(0, 10), 'latin1')]))
        : undefined,
  };
  await withServer(fake, async (session) => {
    await expect(session.read(0, new Uint8Array(10))).rejects.toMatchObject({
      code: 'nbd.read-failed',
      message: expect.stringContaining('EIO: no mediu'),
    });
    const into = new Uint8Array(10);
    await session.read(20_000, into);
    expect(into).toEqual(disk.slice(20_000, 20_010));
  });
});

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

test('a signal ends a silent server at once, with its own reason', async () => {
  await using server = await fakeNbd({ disk, onRequest: () => zeros });
  const controller = new AbortController();
  await using session = await NbdSession.connect(server.path, { signal: controller.signal });
  const reading = session.read(0, new Uint8Array(10));
  setTimeout(() => controller.abort(new Error('enough')), 20);
  await expect(reading).rejects.toThrow('enough');
  await expect(session.read(0, new Uint8Array(10))).rejects.toThrow('enough');
  await using quiet = await fakeNbd({ disk, greeting: zeros });
  await expect(NbdSession.connect(quiet.path, { signal: AbortSignal.timeout(20) })).rejects.toThrow('timeout');
});

test('a closed session rejects what waits and what comes, and closes once', async () => {
  await using server = await fakeNbd({ disk, onRequest: () => zeros });
  const session = await NbdSession.connect(server.path);
  const reading = session.read(0, new Uint8Array(10));
  const rejected = expect(reading).rejects.toMatchObject({ code: 'nbd.closed' });
  await session[Symbol.asyncDispose]();
  await session[Symbol.asyncDispose]();
  await rejected;
  await expect(session.read(0, new Uint8Array(1))).rejects.toMatchObject({ code: 'nbd.closed' });
  await expect(NbdSession.connect('/nowhere/at/all')).rejects.toMatchObject({ code: 'nbd.closed' });
  await expect(session.read(disk.length, new Uint8Array(1))).rejects.toThrow(RangeError);
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
