import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { mutate, random } from '../../fixtures/fuzz.ts';
import { isComposeError } from '../../src/errors.ts';
import { encodePng } from '../../src/formats/png.ts';
import { type Picture, parsePpm } from '../../src/formats/ppm.ts';
import { which } from '../../src/host/tools.ts';

const bytes = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0));

function picture(width: number, height: number, colors: number): Picture {
  const next = random(colors);
  const palette = Array.from({ length: colors }, () => [next() & 0xff, next() & 0xff, next() & 0xff]);
  const rgb = new Uint8Array(width * height * 3);
  for (let at = 0; at < rgb.length; at += 3) rgb.set(palette[next() % colors]!, at);
  return { width, height, rgb };
}

describe('ppm', () => {
  test('a picture is read, comments and all', () => {
    const read = parsePpm(bytes('P6\n# made by hand\n2 1\n255\n\n\x01\x02\x03\x04\x05'));
    expect([read.width, read.height, [...read.rgb]]).toEqual([2, 1, [10, 1, 2, 3, 4, 5]]);
  });

  test.each([
    ['P5 1 1 255 abc', 'ppm.damaged'],
    ['P6 1', 'ppm.damaged'],
    ['P6 2 2 255\nabc', 'ppm.damaged'],
    ['P6 99999999 99999999 255\n', 'ppm.damaged'],
    ['P6 99999999999999999999 1 255\n', 'ppm.damaged'],
    ['P6 1 1 65535\nabcdef', 'ppm.unsupported'],
  ])('%s is refused', (text, code) => {
    expect(() => parsePpm(bytes(text))).toThrowError(expect.objectContaining({ code }));
  });

  test('damaged ones end in an error or a whole picture', () => {
    const next = random(7);
    const good = bytes(`P6\n4 3\n255\n${'abc'.repeat(12)}`);
    for (let round = 0; round < 2000; round++) {
      try {
        const { width, height, rgb } = parsePpm(mutate(good, next));
        expect(rgb.length).toBe(width * height * 3);
      } catch (error) {
        expect(isComposeError(error), String(error)).toBe(true);
      }
    }
  });
});

const python = which('python3');
const READ = `
import struct, sys, zlib
d = open(sys.argv[1], 'rb').read()
assert d[:8] == b'\\x89PNG\\r\\n\\x1a\\n'
at, chunks = 8, {}
while at < len(d):
    n, kind = struct.unpack('>I4s', d[at:at+8])
    assert zlib.crc32(d[at+4:at+8+n]) == struct.unpack('>I', d[at+8+n:at+12+n])[0]
    chunks[kind] = d[at+8:at+8+n]; at += 12 + n
w, h, bits, kind = struct.unpack('>IIBB', chunks[b'IHDR'][:10])
raw = zlib.decompress(chunks[b'IDAT']); step = w * (3 if kind == 2 else 1)
out = b''
for y in range(h):
    row = raw[y*(step+1):(y+1)*(step+1)]; assert row[0] == 0
    out += row[1:] if kind == 2 else b''.join(chunks[b'PLTE'][3*i:3*i+3] for i in row[1:])
sys.stdout.buffer.write(out)
`;

describe('png', () => {
  for (const [colors, what] of [
    [16, 'a palette'],
    [256, 'a full palette'],
    [4000, 'true colour'],
  ] as const) {
    test.skipIf(python === undefined)(`${what}: the pixels are there again (python3)`, () => {
      const folder = mkdtempSync(join(tmpdir(), 'compose-png-'));
      try {
        const made = picture(61, 47, colors);
        const file = join(folder, 'x.png');
        writeFileSync(file, encodePng(made, deflateSync));
        const read = execFileSync(python ?? '', ['-c', READ, file], { maxBuffer: 1e8 });
        expect(Buffer.compare(read, Buffer.from(made.rgb))).toBe(0);
        const pngcheck = which('pngcheck');
        if (pngcheck !== undefined)
          expect(execFileSync(pngcheck, [file], { encoding: 'utf8' })).toMatch(/^OK: .*61x47/);
      } finally {
        rmSync(folder, { recursive: true });
      }
    });
  }
});
