import { crc64 } from '../formats/crc64.ts';
import { blockHeader } from '../formats/xz/block.ts';
import { CHECK_SIZE } from '../formats/xz/stream.ts';
import { openFilter } from '../host/filter.ts';
import { openLiblzma } from '../host/liblzma.ts';
import type { Engine } from './codec.ts';
import { joined } from './joined.ts';

const MIB = 1024 * 1024;

/** Dictionaries of the presets in MiB (lzma_encoder_presets.c); a quarter for level 0. */
const DICTIONARY = [0.25, 1, 2, 4, 4, 8, 8, 16, 32, 64];

const LEAST_BLOCK = 12 * MIB;

/** An encoder needs eleven and a half times this and a little: 94 MiB at level 6. */
const dictionarySize = (level: number): number => (DICTIONARY[level] ?? 8) * MIB;

/** Bytes of output in a block. At level 6 blocks of 12 MiB cost 0.5 % of size beside the 24 MiB of `xz -T`, and 24 cost memory. */
const blockSize = (level: number): number => Math.max(LEAST_BLOCK, 1.5 * dictionarySize(level));

/** @throws Error where koffi or the library is missing */
export async function liblzmaEngine(level: number): Promise<Engine> {
  const lzma = await openLiblzma();
  const dictionary = dictionarySize(level);
  const encoder = lzma.encoder(level, dictionary);
  return {
    name: 'liblzma',
    codec: 'xz',
    version: `liblzma ${lzma.version}`,
    level,
    chunk: blockSize(level),
    member: (parts, length) => {
      let check = 0n;
      const checked = function* (): Generator<Uint8Array> {
        for (const part of parts) {
          check = lzma.crc64(part, check);
          yield part;
        }
      };
      const data = encoder.encode(checked());
      return block(data, length, dictionary, check);
    },
    close: () => encoder.close(),
  };
}

/** The program, once for each block: the same bytes as liblzma of its version. @throws Error where it is not installed */
export async function xzEngine(level: number): Promise<Engine> {
  const filter = openFilter('xz', ['--version'], /XZ Utils\D+([\d.]+\w*)/);
  const dictionary = dictionarySize(level);
  const args = ['--format=raw', `--lzma2=preset=${level},dict=${dictionary}`, '--threads=1', '--compress', '--stdout'];
  return {
    name: 'xz',
    codec: 'xz',
    version: `xz ${filter.version}`,
    level,
    chunk: blockSize(level),
    member: (parts, length) => {
      const input = joined(parts, length);
      return block(filter.run(args, input), length, dictionary, crc64(input));
    },
    close: () => {},
  };
}

/** A block of an xz stream without its padding: header, data, check. */
function block(data: Uint8Array, uncompressedSize: number, dictionary: number, check: bigint): Uint8Array<ArrayBuffer> {
  const header = blockHeader({ compressedSize: data.length, uncompressedSize, dictionary });
  const whole = new Uint8Array(header.length + data.length + CHECK_SIZE);
  whole.set(header);
  whole.set(data, header.length);
  new DataView(whole.buffer).setBigUint64(whole.length - CHECK_SIZE, check, true);
  return whole;
}
