/** What the C library does with freed memory, once it is asked to give it back. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const MIB = 1024 * 1024;

/** Bytes that a process has of the kernel for itself alone (mallinfo(3), hblkhd) by 20 pieces of 1 MiB, after it freed one of 30. */
async function mapped(before: string): Promise<number> {
  const script = `
    import koffi from 'koffi';
    ${before}
    const libc = koffi.load('libc.so.6');
    const fields = 'arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost'.split(' ');
    koffi.struct('mallinfo_t', Object.fromEntries(fields.map((field) => [field, 'int'])));
    const mallinfo = libc.func('mallinfo_t mallinfo()');
    const malloc = libc.func('void *malloc(size_t size)');
    libc.func('void free(void *piece)')(malloc(30 * ${MIB}));
    const { hblkhd } = mallinfo();
    for (let at = 0; at < 20; at++) malloc(${MIB});
    console.log(mallinfo().hblkhd - hblkhd);`;
  const cwd = new URL('../..', import.meta.url);
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script], { cwd });
  return Number(stdout);
}

test('memory that is freed is the kernel’s again, however much was freed before', async () => {
  const module = new URL('../../dist/src/host/small-malloc.js', import.meta.url).href;
  const asked = `import { keepMallocSmall } from ${JSON.stringify(module)}; await keepMallocSmall();`;
  expect(await mapped('')).toBe(0);
  expect(await mapped(asked)).toBeGreaterThanOrEqual(20 * MIB);
});
