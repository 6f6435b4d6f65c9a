/** ECMA-119 (ISO 9660) sizes and field encodings shared by the writer and the reader. */

export const SECTOR = 2048;
/** Volume descriptors begin after a system area of 16 sectors (ECMA-119 6.2.1). */
export const FIRST_DESCRIPTOR = 16;

export const DESCRIPTOR = { boot: 0, primary: 1, supplementary: 2, terminator: 255 } as const;
export const STANDARD_ID = 'CD001';

/** Escape sequence of UCS-2 level 3 in a supplementary descriptor: Joliet. Levels 1 and 2 end in @ and C. */
export const JOLIET_ESCAPE = Uint8Array.of(0x25, 0x2f, 0x45);

export const FLAG_DIRECTORY = 0x02;
export const FLAG_MULTI_EXTENT = 0x80;

/** Fixed part of a directory record (ECMA-119 9.1). */
export const RECORD_HEAD = 33;
export const RECORD_MAX = 255;

/** 16 and 32 bits in both byte orders, as most numbers are held (ECMA-119 7.2.3, 7.3.3). */
export function both16(view: DataView, at: number, value: number): void {
  view.setUint16(at, value, true);
  view.setUint16(at + 2, value, false);
}

export function both32(view: DataView, at: number, value: number): void {
  view.setUint32(at, value, true);
  view.setUint32(at + 4, value, false);
}

export function sectors(bytes: number): number {
  return Math.ceil(bytes / SECTOR);
}

/** Seven-byte date of a directory record (ECMA-119 9.1.5), UTC. */
export function recordDate(seconds: number): Uint8Array {
  const date = new Date(seconds * 1000);
  return Uint8Array.of(
    Math.max(0, Math.min(255, date.getUTCFullYear() - 1900)),
    date.getUTCMonth() + 1,
    date.getUTCDate(),
    date.getUTCHours(),
    date.getUTCMinutes(),
    date.getUTCSeconds(),
    0,
  );
}

/** Seventeen-byte date of a volume descriptor (ECMA-119 8.4.26.1), UTC. */
export function volumeDate(seconds: number): Uint8Array {
  const digits = new Date(seconds * 1000).toISOString().replace(/\D/g, '').slice(0, 14).padEnd(16, '0');
  return Uint8Array.from([...digits].map((digit) => digit.charCodeAt(0)).concat(0));
}
