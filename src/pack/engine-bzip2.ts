import { openFilter } from '../host/filter.ts';
import { openLibbz2 } from '../host/libbz2.ts';
import type { Engine } from './codec.ts';
import { joined } from './joined.ts';

/**
 * Bytes of output in a bzip2 stream: what a block of `level` holds (compress.c: 100 kB each level less 19), so that a
 * stream is one block unless its data has many runs of exactly four.
 */
const chunkSize = (level: number): number => level * 100_000 - 19;

/** @throws Error where koffi or the library is missing */
export async function libbz2Engine(level: number): Promise<Engine> {
  const { version, compress } = await openLibbz2();
  return {
    name: 'libbz2',
    codec: 'bzip2',
    version: `libbz2 ${version}`,
    level,
    chunk: chunkSize(level),
    member: (parts, length) => compress(joined(parts, length), level),
    close: () => {},
  };
}

/** The program, once for each stream. @throws Error where it is not installed */
export async function bzip2Engine(level: number): Promise<Engine> {
  const filter = openFilter('bzip2', ['--help'], /version ([\d.]+)/i);
  return {
    name: 'bzip2',
    codec: 'bzip2',
    version: `bzip2 ${filter.version}`,
    level,
    chunk: chunkSize(level),
    member: (parts, length) => filter.run([`-${level}`, '-c'], joined(parts, length)),
    close: () => {},
  };
}
