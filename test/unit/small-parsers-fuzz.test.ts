/** Parsers of what is short: the fstab of an image, and the heads of programs, loaders and kernels. */
import { expect, test } from 'vitest';
import { mutate, random } from '../../fixtures/fuzz.ts';
import { efi, elf, kernel } from '../../fixtures/good-tree.ts';
import { diskOfSpec, parseFstab, resolveSpec } from '../../src/filesystem/fstab.ts';
import { elfMachine, kernelMachine, readPe } from '../../src/formats/executable.ts';

const SEEDS = 4000;
const FSTAB = `# what is mounted
UUID=6f1c-77 / ext4 errors=remount-ro 0 1
LABEL="a\\040b"\t/home\\040x xfs defaults,noatime 0 2
PARTUUID=0a /boot/efi vfat umask=0077 0 1
/dev/disk/by-partlabel/srv\\x20data /srv btrfs
/dev/mapper/vg-swap none swap sw
/dev/nvme0n1p2 /var
`;
const PLACES = [
  { number: 2, uuid: '6f1c-77', label: 'a b', partUuid: '0A', partLabel: 'srv data', devices: ['/dev/mapper/vg-swap'] },
];

test('what an fstab was made of, however it is damaged, is entries of whole fields', () => {
  const next = random(5);
  const good = new TextEncoder().encode(FSTAB);
  let resolved = 0;
  for (let seed = 0; seed < SEEDS; seed++) {
    const text = new TextDecoder().decode(mutate(good, next));
    for (const entry of parseFstab(text)) {
      expect(entry.spec).not.toBe('');
      expect(entry.mountPoint).not.toBe('');
      expect(entry.options.length).toBeGreaterThan(0);
      diskOfSpec(entry.spec);
      if (resolveSpec(entry.spec, PLACES) !== undefined) resolved++;
    }
  }
  // Most lines are whole: damage is small.
  expect(resolved).toBeGreaterThan(SEEDS);
});

test('a damaged or short head of a program is of a machine that is known, or of none', () => {
  const next = random(6);
  const known = new Set([undefined, 'amd64', 'i386', 'arm64', 'armhf', 'ppc64el', 'riscv64', 's390x']);
  for (const good of [elf(62), efi(), kernel()]) {
    for (let seed = 0; seed < SEEDS; seed++) {
      const head = mutate(good.subarray(0, 1 + (next() % good.length)), next);
      expect(known).toContain(elfMachine(head));
      expect(known).toContain(kernelMachine(head));
      expect(known).toContain(readPe(head)?.machine);
    }
  }
});
