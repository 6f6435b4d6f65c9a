/** The boot catalogue of an ISO image ("El Torito" Bootable CD-ROM Format Specification 1.0, section 2). */
import { SECTOR } from './iso9660/layout.ts';
import { type IsoSource, isoDamaged, readIso } from './iso9660-records.ts';

/** An image a firmware would start. */
export interface BootImage {
  readonly platform: 'bios' | 'powerpc' | 'mac' | 'efi' | 'unknown';
  readonly bootable: boolean;
  readonly media: 'no-emulation' | 'floppy' | 'hard-disk';
  /** Bytes. */
  readonly position: number;
  /** Bytes that are loaded at first. A UEFI image may be longer: its FAT says. */
  readonly size: number;
}

const ENTRY = 32;
const HEADER_ID = 0x01;
const SECTION = 0x90;
const LAST_SECTION = 0x91;
const BOOTABLE = 0x88;
const EXTENSION = 0x44;
const KEY_AT = 30;
const KEY = 0xaa55;
/** Virtual sectors an entry counts in. */
const VIRTUAL_SECTOR = 512;
const PLATFORMS: Readonly<Record<number, BootImage['platform']>> = {
  0: 'bios',
  1: 'powerpc',
  2: 'mac',
  239: 'efi',
};

/**
 * The images in the catalogue at `sector`, the default one first. Real catalogues fit a sector, and so must this one.
 * @throws FormatError `iso9660.damaged`, `iso9660.truncated`
 */
export async function readBootCatalogue(source: IsoSource, sector: number): Promise<BootImage[]> {
  const bytes = await readIso(source, sector * SECTOR, SECTOR, 'the boot catalogue');
  const view = new DataView(bytes.buffer);
  let sum = 0;
  for (let at = 0; at < ENTRY; at += 2) sum = (sum + view.getUint16(at, true)) & 0xffff;
  if (view.getUint8(0) !== HEADER_ID || view.getUint16(KEY_AT, true) !== KEY || sum !== 0) {
    throw isoDamaged('the boot catalogue', 'its validation entry is wrong');
  }
  const images = [bootImage(view, ENTRY, view.getUint8(1))];
  for (let at = 2 * ENTRY; at + ENTRY <= SECTOR; ) {
    const id = view.getUint8(at);
    if (id !== SECTION && id !== LAST_SECTION) break;
    const platform = view.getUint8(at + 1);
    let count = view.getUint16(at + 2, true);
    at += ENTRY;
    while (count > 0 && at + ENTRY <= SECTOR) {
      if (view.getUint8(at) !== EXTENSION) {
        images.push(bootImage(view, at, platform));
        count--;
      }
      at += ENTRY;
    }
    if (id === LAST_SECTION) break;
  }
  return images;
}

function bootImage(view: DataView, at: number, platform: number): BootImage {
  const media = view.getUint8(at + 1) & 0x0f;
  return {
    platform: PLATFORMS[platform] ?? 'unknown',
    bootable: view.getUint8(at) === BOOTABLE,
    media: media === 0 ? 'no-emulation' : media === 4 ? 'hard-disk' : 'floppy',
    position: view.getUint32(at + 8, true) * SECTOR,
    size: view.getUint16(at + 6, true) * VIRTUAL_SECTOR,
  };
}
