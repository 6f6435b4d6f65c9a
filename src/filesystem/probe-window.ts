import { type BlockSource, readBytes } from '../disk/block-source.ts';

export interface FileSystemProbe {
  /** blkid's TYPE: ext2, ext3, ext4, xfs, vfat, btrfs, swap, LVM2_member, … */
  readonly kind: string;
  /** As blkid prints it, which is not always a UUID: `1A2B-3C4D` for vfat. */
  readonly uuid?: string;
  readonly label?: string;
}

const HEAD = 128 * 1024;

/** The bytes a probe looks at: the first 128 KiB are read once, what lies after them when asked for. */
export class Window {
  readonly size: number;
  readonly #source: BlockSource;
  #head: Promise<Uint8Array> | undefined;

  constructor(source: BlockSource) {
    this.size = source.size;
    this.#source = source;
  }

  /** The bytes, or undefined when the source ends before them. */
  async bytes(position: number, length: number): Promise<Uint8Array | undefined> {
    if (position < 0 || position + length > this.size) return undefined;
    if (position + length > HEAD) return readBytes(this.#source, position, length);
    this.#head ??= readBytes(this.#source, 0, Math.min(HEAD, this.size));
    return (await this.#head).subarray(position, position + length);
  }

  /** True when the ASCII `text` stands at `position`. */
  async holds(position: number, text: string): Promise<boolean> {
    const bytes = await this.bytes(position, text.length);
    return bytes !== undefined && Buffer.from(bytes).toString('latin1') === text;
  }
}

/** A probe's answer; an empty label or UUID is left out. */
export function found(kind: string, uuid?: string, label?: string): FileSystemProbe {
  return { kind, ...(uuid ? { uuid } : {}), ...(label ? { label } : {}) };
}

/** Text of a field padded with NULs or spaces. */
export function fieldText(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end)).trimEnd();
}

export function hex(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, '0');
}

/** Four little-endian bytes as FAT and exFAT show their serial number: `1A2B-3C4D`. */
export function serialText(bytes: Uint8Array): string {
  return `${hex(bytes[3]!, 2)}${hex(bytes[2]!, 2)}-${hex(bytes[1]!, 2)}${hex(bytes[0]!, 2)}`;
}
