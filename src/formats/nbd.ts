/** Messages of the NBD protocol a read-only client needs (NetworkBlockDevice/nbd, doc/proto.md). Numbers are big-endian. */

import { FormatError } from '../errors.ts';

/** "NBDMAGIC" and "IHAVEOPT", as two words each. */
const INIT_MAGIC = [0x4e42444d, 0x41474943] as const;
const OPTION_MAGIC = [0x49484156, 0x454f5054] as const;
const OPTION_REPLY_MAGIC = [0x0003e889, 0x045565a9] as const;
const REQUEST_MAGIC = 0x25609513;

/** Handshake flags, the server's and the client's alike. */
const FIXED_NEWSTYLE = 1;
const NO_ZEROES = 2;

export const NBD_OPTION = { abort: 2, go: 7, structuredReply: 8, setMetaContext: 10 } as const;
export const NBD_REPLY = { ack: 1, info: 3, metaContext: 4 } as const;
export const NBD_COMMAND = { read: 0, disconnect: 2, blockStatus: 7 } as const;

/** Option replies from here on are errors. */
const REPLY_ERROR = 0x8000_0000;
const REPLY_ERRORS: Readonly<Record<number, string>> = {
  1: 'it does not know the option',
  2: 'its settings forbid it',
  3: 'it takes the request for invalid',
  4: 'it is not built for it',
  5: 'it wants TLS',
  6: 'it has no such export',
  7: 'it is shutting down',
  8: 'it wants block sizes to be negotiated',
  9: 'the request is too long for it',
};
const INFO_EXPORT = 0;
const NAME_LIMIT = 4096;
/** Longest option reply that is taken; what is asked for is answered in a few dozen bytes. */
const OPTION_REPLY_LIMIT = 64 * 1024;
const GREETING_LENGTH = 18;
const OPTION_REPLY_HEADER = 20;

export type NbdHandshakeMessage =
  | { readonly type: 'greeting' }
  | { readonly type: 'reply'; readonly option: number; readonly reply: number; readonly data: Uint8Array };

/** The error for a peer whose bytes are not NBD, or not what was asked for. */
export function nbdDamaged(why: string): FormatError {
  return new FormatError('nbd.damaged', `Cannot talk NBD to the disk's server: ${why}`, {
    hint: 'Something else may listen on the socket, or the server is broken; convert the disk with `qemu-img convert`.',
  });
}

/** What the client answers to the greeting. */
export function encodeClientFlags(): Uint8Array {
  const bytes = new Uint8Array(4);
  viewOf(bytes).setUint32(0, FIXED_NEWSTYLE | NO_ZEROES);
  return bytes;
}

export function encodeOption(option: number, data: Uint8Array = new Uint8Array(0)): Uint8Array {
  const bytes = new Uint8Array(16 + data.length);
  const view = viewOf(bytes);
  view.setUint32(0, OPTION_MAGIC[0]);
  view.setUint32(4, OPTION_MAGIC[1]);
  view.setUint32(8, option);
  view.setUint32(12, data.length);
  bytes.set(data, 16);
  return bytes;
}

/** NBD_OPT_SET_META_CONTEXT for one context of the export `name`. */
export function encodeSetMetaContext(name: string, context: string): Uint8Array {
  const query = new TextEncoder().encode(context);
  const data = withName(name, 8 + query.length);
  const view = viewOf(data);
  const at = data.length - 8 - query.length;
  view.setUint32(at, 1);
  view.setUint32(at + 4, query.length);
  data.set(query, at + 8);
  return encodeOption(NBD_OPTION.setMetaContext, data);
}

/** NBD_OPT_GO for the export `name`, without asking for more than its size. */
export function encodeGo(name: string): Uint8Array {
  return encodeOption(NBD_OPTION.go, withName(name, 2));
}

/** `name` with its length before it and `room` zeros after it. */
function withName(name: string, room: number): Uint8Array {
  const encoded = new TextEncoder().encode(name);
  if (encoded.length > NAME_LIMIT) throw new RangeError(`an export name of ${encoded.length} bytes is too long`);
  const data = new Uint8Array(4 + encoded.length + room);
  viewOf(data).setUint32(0, encoded.length);
  data.set(encoded, 4);
  return data;
}

/** One request of the transmission phase. `cookie` comes back with every part of its answer. */
export function encodeRequest(command: number, cookie: number, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(28);
  const view = viewOf(bytes);
  view.setUint32(0, REQUEST_MAGIC);
  view.setUint16(6, command);
  view.setBigUint64(8, BigInt(cookie));
  view.setBigUint64(16, BigInt(offset));
  view.setUint32(24, length);
  return bytes;
}

/** Bytes of the export, and its transmission flags, from an NBD_REP_INFO; undefined when it tells something else. */
export function parseExportInfo(data: Uint8Array): { readonly size: number; readonly flags: number } | undefined {
  const view = viewOf(data);
  if (data.length < 2 || view.getUint16(0) !== INFO_EXPORT) return undefined;
  if (data.length !== 12) throw nbdDamaged(`its description of the export has ${data.length} bytes, not 12`);
  const size = view.getBigUint64(2);
  if (size > BigInt(Number.MAX_SAFE_INTEGER)) throw nbdDamaged(`an export of ${size} bytes is impossible`);
  return { size: Number(size), flags: view.getUint16(10) };
}

/** The number and name of a context, from an NBD_REP_META_CONTEXT. */
export function parseMetaContext(data: Uint8Array): { readonly id: number; readonly name: string } {
  if (data.length < 4) throw nbdDamaged(`its description of a context has ${data.length} bytes`);
  return { id: viewOf(data).getUint32(0), name: new TextDecoder().decode(data.subarray(4)) };
}

/** Why an option was refused, in words; undefined when `reply` is no error. `data` may hold the server's own. */
export function optionError(reply: number, data: Uint8Array): string | undefined {
  if (reply < REPLY_ERROR) return undefined;
  const known = REPLY_ERRORS[reply - REPLY_ERROR] ?? `error ${reply - REPLY_ERROR}`;
  const said = new TextDecoder().decode(data.subarray(0, 200));
  return said === '' ? known : `${known}: ${said}`;
}

/** Takes the handshake apart, whatever pieces it comes in. */
export class NbdHandshakeDecoder {
  #held = new Uint8Array(0);
  #greeted = false;

  /**
   * The messages that are whole now.
   * @throws FormatError `nbd.damaged` for an old-style server, a wrong magic number or an answer that is too long
   */
  push(bytes: Uint8Array): NbdHandshakeMessage[] {
    const all = new Uint8Array(this.#held.length + bytes.length);
    all.set(this.#held);
    all.set(bytes, this.#held.length);
    const found: NbdHandshakeMessage[] = [];
    let at = 0;
    for (let next = this.#next(all); next !== undefined; next = this.#next(all.subarray(at))) {
      found.push(next.message);
      at += next.length;
    }
    this.#held = all.slice(at);
    return found;
  }

  #next(bytes: Uint8Array): { readonly message: NbdHandshakeMessage; readonly length: number } | undefined {
    const view = viewOf(bytes);
    if (!this.#greeted) {
      if (bytes.length < GREETING_LENGTH) return undefined;
      if (!isMagic(view, 0, INIT_MAGIC)) throw nbdDamaged('it does not begin with NBDMAGIC');
      if (!isMagic(view, 8, OPTION_MAGIC)) throw nbdDamaged('it speaks the old style of the handshake');
      if ((view.getUint16(16) & FIXED_NEWSTYLE) === 0) throw nbdDamaged('it does not speak fixed newstyle');
      this.#greeted = true;
      return { message: { type: 'greeting' }, length: GREETING_LENGTH };
    }
    if (bytes.length < OPTION_REPLY_HEADER) return undefined;
    if (!isMagic(view, 0, OPTION_REPLY_MAGIC)) throw nbdDamaged('its answer to an option begins with a wrong number');
    const length = view.getUint32(16);
    if (length > OPTION_REPLY_LIMIT) throw nbdDamaged(`its answer to an option has ${length} bytes`);
    if (bytes.length < OPTION_REPLY_HEADER + length) return undefined;
    const data = bytes.slice(OPTION_REPLY_HEADER, OPTION_REPLY_HEADER + length);
    const message = { type: 'reply', option: view.getUint32(8), reply: view.getUint32(12), data } as const;
    return { message, length: OPTION_REPLY_HEADER + length };
  }

  /** Bytes that belong to no whole message yet. */
  get pending(): number {
    return this.#held.length;
  }
}

function isMagic(view: DataView, at: number, [high, low]: readonly [number, number]): boolean {
  return view.getUint32(at) === high && view.getUint32(at + 4) === low;
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
