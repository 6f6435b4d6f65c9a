/** Names libdeflate has on the systems compose runs on. */
export const LIBDEFLATE = ['libdeflate.so.0', 'libdeflate.0.dylib', 'libdeflate.dylib'] as const;
/** Names libzstd has on the systems compose runs on. */
export const LIBZSTD = ['libzstd.so.1', 'libzstd.1.dylib', 'libzstd.dylib'] as const;

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
