import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { LibraryHandle } from 'koffi';

/** Names libdeflate has on the systems compose runs on. */
export const LIBDEFLATE = ['libdeflate.so.0', 'libdeflate.0.dylib', 'libdeflate.dylib'] as const;
/** Names libzstd has on the systems compose runs on. */
export const LIBZSTD = ['libzstd.so.1', 'libzstd.1.dylib', 'libzstd.dylib'] as const;

type Koffi = typeof import('koffi')['default'];

/** A shared library of the system, called through koffi. */
export interface NativeLibrary {
  readonly library: LibraryHandle;
  /** Address of the first byte of `bytes`; good as long as `bytes` is referenced. */
  readonly address: (bytes: Uint8Array) => bigint;
  readonly pointerSize: number;
}

/**
 * Loads the first of `names` that is here.
 * @throws Error of koffi's import or of the loader for the first name
 */
export async function loadNativeLibrary(names: readonly string[]): Promise<NativeLibrary> {
  const koffi: Koffi = (await import('koffi')).default;
  const library = firstLibrary(koffi.load, names);
  return { library, address: (bytes) => koffi.address(bytes), pointerSize: koffi.sizeof('void *') };
}

/** Digits of a file's SHA-256 that tell one build from another. */
const DIGITS = 12;

/**
 * `<name> (sha256 <digits>)` of the file that is loaded as one of `names`: what a record says of a library that tells nobody
 * its version. `name` alone where the host has no /proc (proc(5), maps), or the file was replaced since.
 */
export function loadedBuild(name: string, names: readonly string[]): string {
  try {
    const paths = readFileSync('/proc/self/maps', 'latin1')
      .split('\n')
      .map((line) => line.slice(line.indexOf('/')));
    const path = paths.find((one) => names.some((known) => `${basename(one)}.`.startsWith(`${known}.`)));
    if (path === undefined) return name;
    const digest = createHash('sha256').update(readFileSync(path)).digest('hex');
    return `${name} (sha256 ${digest.slice(0, DIGITS)})`;
  } catch {
    return name;
  }
}

/** The first of `names` that `load` finds. @throws what `load` threw for the first name when it finds none */
export function firstLibrary<T>(load: (name: string) => T, names: readonly string[]): T {
  let failure: unknown;
  for (const name of names) {
    try {
      return load(name);
    } catch (error) {
      failure ??= error;
    }
  }
  throw failure;
}
