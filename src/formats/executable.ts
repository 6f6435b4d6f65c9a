/** Which machine a program, a boot loader or a kernel is for, told by its first bytes. */

/** Processor architectures by the names Debian and MAAS give them. */
export type Machine = 'amd64' | 'i386' | 'arm64' | 'armhf' | 'ppc64el' | 's390x' | 'riscv64';

const ELF_MAGIC = 0x7f454c46;
const ELF_LITTLE = 1;
const ELF_64 = 2;
/** `e_machine` (System V ABI, and the supplement of each processor). */
const ELF: Readonly<Record<number, Machine>> = { 3: 'i386', 40: 'armhf', 62: 'amd64', 183: 'arm64', 243: 'riscv64' };
const ELF_PPC64 = 21;
const ELF_S390 = 22;

/** `Machine` of a COFF header (Microsoft PE format). */
const PE: Readonly<Record<number, Machine>> = {
  332: 'i386',
  450: 'armhf',
  452: 'armhf',
  20580: 'riscv64',
  34404: 'amd64',
  43620: 'arm64',
};
const PE_PLUS = 0x20b;
/** Data directories of the optional header: the certificate table is the fifth. */
const CERTIFICATES = 4;

/** The setup header of an x86 kernel (kernel: Documentation/arch/x86/boot.rst). */
const X86 = { magic: 0x202, version: 0x206, loadFlags: 0x236 } as const;
const X86_64_BIT = 1;
/** First version of the protocol that has `xloadflags`. */
const X86_FLAGS_SINCE = 0x20c;
/** Magic number of an arm64 Image (kernel: Documentation/arch/arm64/booting.rst) and where it stands. */
const ARM64 = { magic: 0x644d5241, at: 56 } as const;
const RISCV = { magic: 0x05435352, at: 56 } as const;
/** What a kernel of s390 has after its loader (kernel: arch/s390/boot/head.S). */
const S390 = { magic: 'S390EP', at: 0x10008 } as const;
/** Bytes of a kernel that `kernelMachine` looks at. */
export const KERNEL_HEAD = 0x10010;

/** The machine of an ELF file; undefined where it is none, or of a machine MAAS does not deploy. */
export function elfMachine(head: Uint8Array): Machine | undefined {
  const view = viewOf(head);
  if (head.length < 20 || view.getUint32(0) !== ELF_MAGIC) return undefined;
  const little = view.getUint8(5) === ELF_LITTLE;
  const machine = view.getUint16(18, little);
  if (machine === ELF_PPC64) return little ? 'ppc64el' : undefined;
  if (machine === ELF_S390) return view.getUint8(4) === ELF_64 ? 's390x' : undefined;
  return ELF[machine];
}

export interface PeFacts {
  readonly machine: Machine | undefined;
  /** Whether it carries a signature; by whom is not looked at. */
  readonly signed: boolean;
}

/** What a PE file, such as an EFI boot loader, says of itself; undefined where it is none. */
export function readPe(head: Uint8Array): PeFacts | undefined {
  const view = viewOf(head);
  if (head.length < 0x40 || view.getUint16(0) !== 0x4d5a) return undefined;
  const at = view.getUint32(0x3c, true);
  if (at + 24 > head.length || view.getUint32(at) !== 0x50450000) return undefined;
  const optional = at + 24;
  const plus = optional + 2 <= head.length && view.getUint16(optional, true) === PE_PLUS;
  const certificates = optional + (plus ? 112 : 96) + CERTIFICATES * 8;
  const signed = certificates + 8 <= head.length && view.getUint32(certificates + 4, true) > 0;
  return { machine: PE[view.getUint16(at + 4, true)], signed };
}

/** The machine of a kernel image that is not compressed as a whole; undefined where the bytes are no kernel known here. */
export function kernelMachine(head: Uint8Array): Machine | undefined {
  const view = viewOf(head);
  if (head.length >= X86.loadFlags + 2 && latin1(head, X86.magic, 4) === 'HdrS') {
    if (view.getUint16(X86.version, true) < X86_FLAGS_SINCE) return readPe(head)?.machine ?? 'i386';
    return (view.getUint16(X86.loadFlags, true) & X86_64_BIT) === 0 ? 'i386' : 'amd64';
  }
  const has = (magic: number, at: number): boolean => head.length >= at + 4 && view.getUint32(at, true) === magic;
  if (has(ARM64.magic, ARM64.at)) return 'arm64';
  if (has(RISCV.magic, RISCV.at)) return 'riscv64';
  if (latin1(head, S390.at, S390.magic.length) === S390.magic) return 's390x';
  return readPe(head)?.machine ?? elfMachine(head);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function latin1(bytes: Uint8Array, at: number, length: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + length));
}
