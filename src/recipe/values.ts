/** Values of variables, as texts. */
import type { Arch } from '../machine/arch.ts';

export type Values = Readonly<Record<string, string>>;

/** What the architecture is called: `arch` by Debian and MAAS, `uname_arch` by `uname -m` and the RPM world. */
export function archValues(arch: Arch): Values {
  return { arch, uname_arch: arch === 'amd64' ? 'x86_64' : 'aarch64' };
}

/** Items of a variable of type list; nothing for one that is empty or not there. */
export function listOf(value: string | undefined): string[] {
  return (value ?? '')
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}
