import { crc64 } from '../formats/crc64.ts';
import { BLOCK_HEAD, blockInPlace, makeBlock } from '../formats/xz/block.ts';
import { openFilter } from '../host/filter.ts';
import { openLiblzma } from '../host/liblzma.ts';
import type { Engine } from './codec.ts';
import { joined } from './joined.ts';

const MIB = 1024 * 1024;

/**
 * Dictionaries in MiB: up to level 2 those of the presets (lzma_encoder_presets.c), from 7 on half of them. An encoder needs
 * eleven and a half times this: at level 6 36 MiB a worker and not 94, so that all filetypes of a large tree, with every
 * record, stay within 300 MiB on two cores.
 */
const DICTIONARY = [0.25, 1, 2, 3, 3, 3, 3, 8, 16, 32];

const dictionarySize = (level: number): number => (DICTIONARY[level] ?? 3) * MIB;

/**
 * Bytes of output in a block. Each worker has one in the making, twice: as it was read, and what becomes of it. `xz -6 -T`
 * makes 24 MiB; on a Debian tree blocks of 14 MiB were 0.3 % larger.
 */
const blockSize = (level: number): number => Math.max(12 * MIB, 3 * dictionarySize(level));

/** Bytes after the data of a block: padding and check. */
const TAIL = 16;

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
    member: (parts, length, room) => {
      let check = 0n;
      const checked = function* (): Generator<Uint8Array> {
        for (const part of parts) {
          check = lzma.crc64(part, check);
          yield part;
        }
      };
      const place = room?.subarray(BLOCK_HEAD, -TAIL);
      const data = encoder.encode(checked(), place);
      const block = { uncompressedSize: length, dictionary, check };
      if (room === undefined || data.buffer !== room.buffer) return makeBlock(data, block);
      return blockInPlace(room, data.length, block);
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
      return makeBlock(filter.run(args, input), { uncompressedSize: length, dictionary, check: crc64(input) });
    },
    close: () => {},
  };
}
