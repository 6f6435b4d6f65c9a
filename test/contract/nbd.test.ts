import { expect, test } from 'vitest';
import { useRunningTime } from '../../fixtures/clock.ts';
import { chunk, type FakeNbd, fakeNbd, goodReply, optionReply, u32s, u64 } from '../../fixtures/fake-nbd.ts';
import { random } from '../../fixtures/fuzz.ts';
import { disk, withServer, zeros } from '../../fixtures/nbd-sessions.ts';
import { NbdSession } from '../../src/disk/nbd.ts';

useRunningTime();

const KiB = 1024;

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
