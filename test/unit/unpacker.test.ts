import { deflateRawSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { mutate, random } from '../../fixtures/fuzz.ts';
import { openUnpacker } from '../../src/disk/unpacker.ts';
import { isComposeError } from '../../src/errors.ts';
import { zstdFrameLength } from '../../src/formats/zstd-frame.ts';

const best = await openUnpacker();
const plain = await openUnpacker({ withoutLibraries: true });
const noZstd = best.engines.zstd === undefined ? ' (skipped: neither Node nor libzstd unpacks zstd here)' : '';

/** A frame of one segment: raw blocks, or blocks of one repeated byte, put together by hand. */
function frame(...blocks: (Uint8Array | { byte: number; times: number })[]): Uint8Array {
  const parts: number[] = [0x28, 0xb5, 0x2f, 0xfd];
  const total = blocks.reduce((sum, block) => sum + (block instanceof Uint8Array ? block.length : block.times), 0);
  parts.push(0xa0, total & 0xff, (total >> 8) & 0xff, (total >> 16) & 0xff, 0);
  for (const [index, block] of blocks.entries()) {
    const last = index === blocks.length - 1 ? 1 : 0;
    const size = block instanceof Uint8Array ? block.length : block.times;
    const header = (size << 3) | (block instanceof Uint8Array ? 0 : 2) | last;
    parts.push(header & 0xff, (header >> 8) & 0xff, header >> 16);
    parts.push(...(block instanceof Uint8Array ? block : [block.byte]));
  }
  return Uint8Array.from(parts);
}
const skippable = Uint8Array.from([0x53, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9]);
const hello = new TextEncoder().encode('hello, cluster');
const joined = (...parts: Uint8Array[]): Uint8Array => Buffer.concat(parts);

test('the length of a frame is told from its headers', () => {
  const one = frame(hello, { byte: 7, times: 100 });
  expect(zstdFrameLength(joined(one, Buffer.alloc(50)))).toBe(one.length);
  expect(zstdFrameLength(skippable)).toBe(10);
  for (let cut = 0; cut < one.length; cut++) expect(zstdFrameLength(one.subarray(0, cut))).toBeUndefined();
  expect(zstdFrameLength(skippable.subarray(0, 9))).toBeUndefined();
  expect(zstdFrameLength(Buffer.alloc(100))).toBeUndefined();
});

test.skipIf(noZstd !== '')(`zstd: one frame, several, skippable ones, and what follows them${noZstd}`, () => {
  const into = new Uint8Array(114);
  const expected = joined(hello, Buffer.alloc(100, 7));
  for (const stored of [
    frame(hello, { byte: 7, times: 100 }),
    joined(frame(hello), frame({ byte: 7, times: 100 })),
    joined(skippable, frame(hello), skippable, frame({ byte: 7, times: 100 }), Buffer.alloc(300, 0xee)),
  ]) {
    best.unpack('zstd', stored, into.fill(0));
    expect(Buffer.compare(into, expected)).toBe(0);
  }
  for (const [stored, why] of [
    [frame(hello), 'too few bytes'],
    [frame(hello, { byte: 7, times: 101 }), 'too many bytes'],
    [skippable, 'nothing'],
    [Buffer.alloc(40), 'no frame'],
    [Buffer.alloc(0), 'empty'],
  ] as const) {
    expect(() => best.unpack('zstd', stored, into), why).toThrow();
  }
});

test('without Node and library zstd is refused by what to install', () => {
  if (plain.engines.zstd !== undefined) return;
  expect(() => plain.unpack('zstd', frame(hello), new Uint8Array(14))).toThrow(
    expect.objectContaining({ code: 'zstd.missing', hint: expect.stringContaining('libzstd1') }),
  );
});

test('deflate: both engines take the same streams and refuse the same', () => {
  const content = Uint8Array.from({ length: 4096 }, (_, at) => (at * at) >> 5);
  const stored = deflateRawSync(content);
  const withoutEnd = deflateRawSync(content, { finishFlush: 2 });
  for (const { unpack } of [best, plain]) {
    const into = new Uint8Array(4096);
    for (const bytes of [stored, joined(stored, Buffer.alloc(99, 0xff)), withoutEnd]) {
      unpack('deflate', bytes, into.fill(0));
      expect(Buffer.compare(into, content)).toBe(0);
    }
    expect(() => unpack('deflate', stored, new Uint8Array(4095))).toThrow();
    expect(() => unpack('deflate', stored, new Uint8Array(4097))).toThrow();
    expect(() => unpack('deflate', stored.subarray(0, 100), into)).toThrow();
    expect(() => unpack('deflate', Buffer.alloc(0), into)).toThrow();
    expect(() => unpack('deflate', Buffer.alloc(64, 0xff), into)).toThrow();
  }
});

test('damaged streams end in an error or in a whole cluster, and the engine works on', () => {
  const content = Uint8Array.from({ length: 4096 }, (_, at) => (at * at) >> 5);
  const streams = { deflate: deflateRawSync(content), zstd: frame(content.subarray(0, 4000), { byte: 1, times: 96 }) };
  for (const codec of ['deflate', 'zstd'] as const) {
    if (codec === 'zstd' && noZstd !== '') continue;
    let refused = 0;
    for (let seed = 1; seed <= 1500; seed++) {
      try {
        best.unpack(codec, mutate(streams[codec], random(seed)), new Uint8Array(4096));
      } catch (error) {
        if (isComposeError(error)) throw error;
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(100);
    best.unpack(codec, streams[codec], new Uint8Array(4096));
  }
});
