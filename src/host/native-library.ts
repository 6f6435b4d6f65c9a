import type { LibraryHandle } from 'koffi';

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
  let failure: unknown;
  for (const name of names) {
    try {
      const library = koffi.load(name);
      return { library, address: (bytes) => koffi.address(bytes), pointerSize: koffi.sizeof('void *') };
    } catch (error) {
      failure ??= error;
    }
  }
  throw failure;
}
