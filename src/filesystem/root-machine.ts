import { elfMachine, type Machine } from '../formats/executable.ts';
import type { FileData, FileTree } from './file-tree.ts';

/** Read for the machine they are of, the first that is there. */
export const PROGRAMS = ['bin/bash', 'bin/sh', 'usr/bin/bash', 'bin/busybox', 'bin/systemctl'];
/** Bytes of an ELF header that tell. */
const HEAD = 20;

/** The machine that the programs of a root are for; undefined where none of them tells. */
export async function machineOfRoot(tree: FileTree): Promise<Machine | undefined> {
  for (const path of PROGRAMS) {
    const entry = await tree.lookup(path, { follow: true });
    const machine = entry?.data === undefined ? undefined : elfMachine(await headOf(entry.data));
    if (machine !== undefined) return machine;
  }
  return undefined;
}

async function headOf({ extents, source, inline }: FileData): Promise<Uint8Array> {
  if (inline !== undefined) return inline;
  const [first] = extents;
  if (first === undefined || first.logical !== 0 || source === undefined) return new Uint8Array(0);
  const head = new Uint8Array(Math.min(HEAD, first.length));
  await source.read(first.position, head);
  return head;
}
