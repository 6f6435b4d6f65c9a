import { type FileSystemProbe, fieldText, found, serialText, type Window } from './probe-window.ts';
import { uuidText } from './uuid.ts';

/** File systems that one magic number tells, as bytes in Latin-1. Positions are bytes from the start. */
interface Magic {
  readonly kind: string;
  readonly position: number;
  readonly magic: string;
  readonly uuid?: number;
  /** Of a 32-bit serial number. */
  readonly serial?: number;
  readonly label?: { readonly position: number; readonly length: number };
}

const MAGICS: readonly Magic[] = [
  { kind: 'linux_raid_member', position: 4096, magic: '\xfc\x4e\x2b\xa9', label: { position: 4096 + 32, length: 32 } },
  { kind: 'linux_raid_member', position: 0, magic: '\xfc\x4e\x2b\xa9', label: { position: 32, length: 32 } },
  { kind: 'bcache', position: 4096 + 24, magic: '\xc6\x85\x73\xf6\x4e\x1a\x45\xca' },
  { kind: 'BitLocker', position: 3, magic: '-FVE-FS-' },
  { kind: 'exfat', position: 3, magic: 'EXFAT   ', serial: 0x64 },
  {
    kind: 'f2fs',
    position: 1024,
    magic: '\x10\x20\xf5\xf2',
    uuid: 1024 + 108,
  },
  {
    kind: 'erofs',
    position: 1024,
    magic: '\xe2\xe1\xf5\xe0',
    uuid: 1024 + 48,
    label: { position: 1024 + 64, length: 16 },
  },
  { kind: 'squashfs', position: 0, magic: 'hsqs' },
  { kind: 'zfs_member', position: 131072, magic: '\x0c\xb1\xba\x00\x00\x00\x00\x00' },
];

/** The first of the table whose magic number is there. */
export async function byMagic(window: Window): Promise<FileSystemProbe | undefined> {
  for (const { kind, position, magic, uuid, serial, label } of MAGICS) {
    if (!(await window.holds(position, magic))) continue;
    const id = uuid === undefined ? undefined : await window.bytes(uuid, 16);
    const number = serial === undefined ? undefined : await window.bytes(serial, 4);
    const name = label === undefined ? undefined : await window.bytes(label.position, label.length);
    return found(kind, (id && uuidText(id)) ?? (number && serialText(number)), name && fieldText(name));
  }
  return undefined;
}
