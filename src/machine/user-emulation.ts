import type { Arch } from './arch.ts';
import { BOARDS } from './board.ts';

/**
 * What `qemu-user` is told of the CPU that programs of another architecture see; the operator's own `QEMU_CPU` goes before it.
 * Its default for arm64, `max`, computes pointer authentication with the architecture's cipher at each function's begin and
 * end: perl of Debian 13, which is built with it, takes ten times as long as on a CPU without it (QEMU 7.2).
 */
export function userEmulation(arch: Arch): { readonly QEMU_CPU?: string } {
  if (arch !== 'arm64') return {};
  return { QEMU_CPU: process.env.QEMU_CPU ?? BOARDS.arm64.cpu.tcg };
}
