import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { efi, elf, kernel } from '../../fixtures/good-tree.ts';
import { elfMachine, kernelMachine, readPe } from '../../src/formats/executable.ts';
import { openGunzipMember } from '../../src/host/gzip-member.ts';

const NONE = new Uint8Array(0);

function at(position: number, text: string, size = 0x11000): Buffer {
  const bytes = Buffer.alloc(size);
  bytes.write(text, position, 'latin1');
  return bytes;
}

function elfOf(machine: number, bigEndian = false): Buffer {
  const bytes = elf(machine);
  if (!bigEndian) return bytes;
  bytes[5] = 2;
  bytes.writeUInt16BE(machine, 18);
  return bytes;
}

test.each([
  ['x86-64', elfOf(62), 'amd64'],
  ['arm64', elfOf(183), 'arm64'],
  ['POWER, little-endian', elfOf(21), 'ppc64el'],
  ['POWER, big-endian, which MAAS does not deploy', elfOf(21, true), undefined],
  ['System z', elfOf(22, true), 's390x'],
  ['a script', Buffer.from('#!/bin/sh\nexit 0 # a longer line\n'), undefined],
  ['nothing', NONE, undefined],
])('a program of %s', (_, bytes, machine) => expect(elfMachine(bytes)).toBe(machine));

const old = kernel();
old.writeUInt16LE(0, 0x236);

test.each([
  ['x86-64', kernel(), 'amd64'],
  ['32-bit x86', old, 'i386'],
  ['arm64', at(56, 'ARMd'), 'arm64'],
  ['RISC-V', at(56, 'RSC\x05'), 'riscv64'],
  ['System z', at(0x10008, 'S390EP'), 's390x'],
  ['POWER, an ELF file', elfOf(21), 'ppc64el'],
  ['arm64 in an EFI program that unpacks it', efi({ machine: 0xaa64 }), 'arm64'],
  ['nothing known', Buffer.alloc(0x300), undefined],
  ['nothing', NONE, undefined],
])('a kernel of %s', (_, bytes, machine) => expect(kernelMachine(bytes)).toBe(machine));

test('an EFI program says its machine, and whether it is signed', () => {
  expect(readPe(efi())).toEqual({ machine: 'amd64', signed: true });
  expect(readPe(efi({ signed: false, machine: 0x14c }))).toEqual({ machine: 'i386', signed: false });
  expect(readPe(elf())).toBeUndefined();
  expect(readPe(efi().subarray(0, 70))).toBeUndefined();
});

describe.each([[{}], [{ withoutLibraries: true }]])('a member of a gzip file, read with %j', (options) => {
  const content = Buffer.from('content '.repeat(1000));
  const one = gzipSync(content);

  test('is unpacked alone, and tells where the next one begins', async () => {
    const gunzip = await openGunzipMember(options);
    const room = Buffer.alloc(content.length);
    expect(gunzip(Buffer.concat([one, one]), room)).toEqual({ read: one.length, written: content.length });
    expect(room.equals(content)).toBe(true);
  });

  test('may have a name in its header', async () => {
    const gunzip = await openGunzipMember(options);
    const named = Buffer.concat([one.subarray(0, 10), Buffer.from('disk.raw\0'), one.subarray(10)]);
    named[3] = 8;
    expect(gunzip(named, Buffer.alloc(content.length))).toMatchObject({ written: content.length });
  });

  test('that is damaged, cut short or too long is none', async () => {
    const gunzip = await openGunzipMember(options);
    const damaged = Buffer.from(one);
    damaged[one.length - 6] = (damaged[one.length - 6] ?? 0) ^ 1;
    for (const bytes of [damaged, one.subarray(0, -1), NONE, content]) {
      expect(gunzip(bytes, Buffer.alloc(content.length))).toBeUndefined();
    }
    expect(gunzip(one, Buffer.alloc(content.length - 1))).toBeUndefined();
  });
});
