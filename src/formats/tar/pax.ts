/** PAX extended header records: "length keyword=value\n", the length counting itself (POSIX pax, "pax Header"). */

const SPACE = 0x20;
const EQUALS = 0x3d;
const NEWLINE = 0x0a;
const encoder = new TextEncoder();

export interface PaxRecord {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

export function paxRecord(key: string | Uint8Array, value: string | Uint8Array): PaxRecord {
  return {
    key: typeof key === 'string' ? encoder.encode(key) : key,
    value: typeof value === 'string' ? encoder.encode(value) : value,
  };
}

const PERCENT = 0x25;

/**
 * A name as part of a key: `%` as `%25` and `=` as `%3D`, because a key ends at the first `=` (GNU tar does so for
 * `SCHILY.xattr.*`; see its src/xheader.c).
 */
export function escapeKey(name: Uint8Array): Uint8Array {
  if (!name.includes(EQUALS) && !name.includes(PERCENT)) return name;
  const out: number[] = [];
  for (const byte of name) {
    if (byte === PERCENT) out.push(PERCENT, 0x32, 0x35);
    else if (byte === EQUALS) out.push(PERCENT, 0x33, 0x44);
    else out.push(byte);
  }
  return Uint8Array.from(out);
}

/** Bytes of one record. The length field may gain a digit by counting its own digits. */
export function paxRecordLength(record: PaxRecord): number {
  const rest = record.key.length + record.value.length + 3;
  let length = rest + String(rest).length;
  if (rest + String(length).length !== length) length = rest + String(length).length;
  return length;
}

/** The body of an extended header: all records one after another. */
export function encodePax(records: readonly PaxRecord[]): Uint8Array {
  const body = new Uint8Array(records.reduce((sum, record) => sum + paxRecordLength(record), 0));
  let at = 0;
  for (const record of records) {
    const digits = String(paxRecordLength(record));
    for (let i = 0; i < digits.length; i++) body[at++] = digits.charCodeAt(i);
    body[at++] = SPACE;
    body.set(record.key, at);
    at += record.key.length;
    body[at++] = EQUALS;
    body.set(record.value, at);
    at += record.value.length;
    body[at++] = NEWLINE;
  }
  return body;
}

/** The records in `body`, or undefined where it does not follow the grammar. A key ends at the first `=`. */
export function decodePax(body: Uint8Array): PaxRecord[] | undefined {
  const records: PaxRecord[] = [];
  let at = 0;
  while (at < body.length) {
    if (body[at] === 0) break;
    let length = 0;
    let digits = 0;
    while (at + digits < body.length && digits < 10) {
      const byte = body[at + digits] ?? 0;
      if (byte < 0x30 || byte > 0x39) break;
      length = length * 10 + (byte - 0x30);
      digits++;
    }
    const end = at + length;
    if (digits === 0 || body[at + digits] !== SPACE || end > body.length || length < digits + 3) return undefined;
    if (body[end - 1] !== NEWLINE) return undefined;
    const equals = body.indexOf(EQUALS, at + digits + 1);
    if (equals < 0 || equals >= end - 1) return undefined;
    records.push({ key: body.slice(at + digits + 1, equals), value: body.slice(equals + 1, end - 1) });
    at = end;
  }
  return records;
}
