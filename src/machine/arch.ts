/** Architectures of guests, by Debian's names. */
export type Arch = 'amd64';

/** QEMU programs by architecture. */
export const QEMU: Readonly<Record<Arch, string>> = { amd64: 'qemu-system-x86_64' };
