import { expect, test } from 'vitest';
import { embedGrubBios } from '../../src/formats/grub-bios.ts';

const boot = new Uint8Array(512);
boot.set([0xeb, 0x0a], 0x66);
boot.set([0x55, 0xaa], 510);
const core = Uint8Array.from({ length: 2000 }, (_, at) => at & 0xff);

test('the first sector knows where the core is, and the core where its second sector is', () => {
  const { bootCode, core: placed } = embedGrubBios(boot, core, 40, 4096);
  expect(bootCode).toHaveLength(440);
  expect(new DataView(bootCode.buffer).getBigUint64(0x5c, true)).toBe(40n);
  expect([...bootCode.subarray(0x66, 0x68)]).toEqual([0x90, 0x90]);
  expect(new DataView(placed.buffer).getBigUint64(500, true)).toBe(41n);
  const same = placed.slice();
  same.set(core.subarray(500, 508), 500);
  expect(same).toEqual(core);
  expect(boot[0x66], 'what was given stays').toBe(0xeb);
});

test.each([
  ['a boot image of another length', boot.subarray(0, 440), core, 4096, /is not GRUB's/],
  ['a boot image without its signature', new Uint8Array(512), core, 4096, /is not GRUB's/],
  ['a core of one sector', boot, core.subarray(0, 512), 4096, /no second sector/],
  ['a core that is too long', boot, core, 1024, /2000 bytes does not fit into 1024/],
] as const)('%s is refused', (_, first, image, room, message) => {
  expect(() => embedGrubBios(first, image, 40, room)).toThrow(message);
});
