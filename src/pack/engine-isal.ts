import { loadedBuild, loadNativeLibrary } from '../host/native-library.ts';
import type { Engine } from './codec.ts';
import { GZIP_CHUNK, GZIP_OS, OS_UNKNOWN } from './engine-gzip.ts';
import { joined } from './joined.ts';

const LIBRARIES = ['libisal.so.2', 'libisal.2.dylib', 'libisal.dylib'];

/** `isal_zstream` of libisal 2 on 64-bit hosts (igzip_lib.h): the bytes at which its public fields begin. */
const FIELD = { in: 0, inLeft: 8, out: 16, outLeft: 24, made: 28, level: 40, room: 44, buffer: 48, last: 56, gzip: 60 };
/** More than the structure with its private part has, which is 82 kB. */
const STREAM_SIZE = 256 * 1024;
/** More than the levels need at least; the bytes depend on it, because tokens are gathered here for one block. */
const LEVEL_BUFFER = 1024 * 1024;
/** `IGZIP_GZIP`: header and trailer of RFC 1952. */
const GZIP = 1;
const MOST_LEVEL = 3;

/**
 * Intel's ISA-L, a fraction of the time of libdeflate's first level for an output that is a little larger. Its levels
 * end at 3; one above it counts as that. It looks for matches in another way where the CPU has other vector
 * instructions, so that two hosts may make different bytes of the same content.
 * @throws Error where koffi or the library is missing, or the host is not a 64-bit one
 */
export async function isalEngine(level: number, chunk = GZIP_CHUNK): Promise<Engine> {
  const { library, address, pointerSize } = await loadNativeLibrary(LIBRARIES);
  if (pointerSize !== 8) throw new Error('ISA-L is called on 64-bit hosts only');
  const init = library.func('void isal_deflate_init(void *stream)');
  const deflate = library.func('int isal_deflate(void *stream)');
  const most = Math.min(MOST_LEVEL, level);
  const stream = new Uint8Array(STREAM_SIZE);
  const fields = new DataView(stream.buffer);
  const buffer = new Uint8Array(most === 0 ? 0 : LEVEL_BUFFER);
  let room = new Uint8Array(0);
  return {
    name: 'isal',
    codec: 'gzip',
    get version() {
      return loadedBuild('libisal 2', LIBRARIES);
    },
    level: most,
    chunk,
    member: (parts, length) => {
      const input = joined(parts, length);
      // Level 0 codes with a fixed table, which makes up to twice as much of bytes that it holds for rare.
      const bound = 2 * length + 4096;
      if (room.length < bound) room = new Uint8Array(bound);
      init(stream);
      fields.setBigUint64(FIELD.in, length === 0 ? 0n : address(input), true);
      fields.setUint32(FIELD.inLeft, length, true);
      fields.setBigUint64(FIELD.out, address(room), true);
      fields.setUint32(FIELD.outLeft, room.length, true);
      fields.setUint32(FIELD.level, most, true);
      fields.setUint32(FIELD.room, buffer.length, true);
      fields.setBigUint64(FIELD.buffer, most === 0 ? 0n : address(buffer), true);
      fields.setUint16(FIELD.last, 1, true);
      fields.setUint16(FIELD.gzip, GZIP, true);
      const returned = deflate(stream) as number;
      const whole = fields.getUint32(FIELD.inLeft, true) === 0 && fields.getUint32(FIELD.outLeft, true) > 0;
      if (returned !== 0 || !whole) throw new RangeError(`ISA-L could not compress ${length} bytes (${returned})`);
      const member = room.subarray(0, fields.getUint32(FIELD.made, true));
      member[GZIP_OS] = OS_UNKNOWN;
      return member;
    },
    close: () => {},
  };
}
