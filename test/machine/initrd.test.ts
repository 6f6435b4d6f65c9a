import { execFileSync } from 'node:child_process';
import { appendFile, copyFile, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { microGuest } from '../../fixtures/micro-guest.ts';
import { haveTools, scratch } from '../../fixtures/qemu-disk.ts';
import { quietContext } from '../../src/events.ts';
import { writeCpio } from '../../src/formats/cpio.ts';
import { startMachine } from '../../src/machine/start.ts';
import { appendToInitrd } from '../../src/seed/initrd.ts';

const LONG = 300_000;
const text = (value: string): Uint8Array => new TextEncoder().encode(value);

/** Compressors of initrds as vendors call them; the kernel takes xz with a CRC32 and the legacy frames of LZ4. */
const COMPRESSORS: readonly (readonly [name: string, args: readonly string[]])[] = [
  ['cat', []],
  ['gzip', ['-n']],
  ['xz', ['--check=crc32']],
  ['zstd', ['-q']],
  ['lz4', ['-l', '-c']],
  ['bzip2', []],
];

test(
  'a real kernel finds what was appended to an initrd, whatever that is compressed by',
  async () => {
    await using folder = await scratch();
    const script = `
for file in $(busybox find /answers -type f | busybox sort); do echo "seen $(busybox stat -c '%n %a %s' $file) $(busybox md5sum < $file)"; done
echo "vendor's file says $(busybox cat /vendor.txt)"
sleep 1; poweroff -f`;
    const spec = await microGuest(folder.path, script);
    const vendor = spec.kernel?.initrd ?? '';
    const whole = folder.file('whole');
    const present = COMPRESSORS.filter(([name]) => haveTools(name));
    const odd = new Uint8Array(70_003).map((_, at) => at % 253);
    await writeFile(folder.file('odd'), odd);
    // One boot for all: each compressor's archive, and behind it what compose appends, one after the other.
    for (const [at, [name, args]] of present.entries()) {
      const part = folder.file('part');
      if (name === 'gzip') await copyFile(vendor, part);
      else {
        const archive = writeCpio([{ path: 'vendor.txt', content: text(`as ${name} left it`) }]);
        await writeFile(part, execFileSync(name, args, { input: archive }));
      }
      await appendToInitrd(
        part,
        [
          { path: `answers/${name}`, content: text('x'.repeat(at)), mode: 0o600 },
          { path: `answers/sub/${name}.bin`, content: { file: folder.file('odd') } },
          { path: 'vendor.txt', content: text('replaced') },
        ],
        folder.file('appended'),
        quietContext(),
      );
      await appendFile(whole, await readFile(folder.file('appended')));
    }
    await rename(whole, vendor);
    await using machine = await startMachine(spec, { runDir: folder.path, policy: 'tcg' }, quietContext());
    await machine.failure.catch((error) => expect(error).toMatchObject({ code: 'machine.powered-off' }));
    const serial = await readFile(join(folder.path, 'serial.log'), 'utf8');
    const seen = [...serial.matchAll(/^seen (.*?) +-?\r?$/gm)].map((match) => match[1]?.trim());
    const sum = (bytes: Uint8Array): string => execFileSync('md5sum', { input: bytes, encoding: 'utf8' }).slice(0, 32);
    const expected = present.flatMap(([name], at) => [
      `/answers/${name} 600 ${at} ${sum(text('x'.repeat(at)))}`,
      `/answers/sub/${name}.bin 644 ${odd.length} ${sum(odd)}`,
    ]);
    expect(seen.sort()).toEqual(expected.sort());
    expect(serial).toContain("vendor's file says replaced");
    expect(present.length).toBeGreaterThanOrEqual(4);
  },
  LONG,
);
