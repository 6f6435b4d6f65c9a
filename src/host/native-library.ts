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
