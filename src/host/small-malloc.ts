import { loadNativeLibrary } from './native-library.ts';

const LIBC = ['libc.so.6'] as const;

/** malloc.h */
const M_TRIM_THRESHOLD = -1;
const M_MMAP_THRESHOLD = -3;
/** Bytes of a piece that is the kernel's again when it is freed, and of free memory at the end of a heap. */
const THRESHOLD = 256 * 1024;

/**
 * Has the C library give memory back when it is freed. Its bound for that rises with what is freed, up to 32 MiB (mallopt(3)):
 * after the first encoder or buffer for a name list nearly everything comes from heaps that are full of holes. A Debian tree in
 * six filetypes with every record takes 13 MiB less, and the same time. For a program of its own only: the bound is the whole
 * process's. Does nothing where the library is another one.
 */
export async function keepMallocSmall(): Promise<void> {
  try {
    const { library } = await loadNativeLibrary(LIBC);
    const mallopt = library.func('int mallopt(int param, int value)');
    for (const param of [M_TRIM_THRESHOLD, M_MMAP_THRESHOLD]) mallopt(param, THRESHOLD);
  } catch {
    // Neither needed for a right result nor there on every system: musl and macOS have none.
  }
}
