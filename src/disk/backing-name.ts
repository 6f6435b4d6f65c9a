import { dirname, resolve } from 'node:path';
import { FormatError } from '../errors.ts';
import type { DiskFormat } from './image-format.ts';

/** Where a backing or data file is, and what it is where that was said. */
export interface FileReference {
  /** Absolute. */
  readonly path: string;
  readonly format: DiskFormat | undefined;
}

/** Names QEMU gives formats that are more than their bytes. */
const FORMAT_DRIVERS: ReadonlyMap<string, DiskFormat> = new Map([
  ['qcow2', 'qcow2'],
  ['vmdk', 'vmdk'],
  ['vhdx', 'vhdx'],
  ['vpc', 'vhd'],
  ['vdi', 'vdi'],
]);

/** Names QEMU gives formats and protocols whose bytes are the disk. */
const RAW_DRIVERS = new Set(['raw', 'file', 'host_device']);
const PROTOCOL_DRIVERS = new Set(['file', 'host_device']);

/** Keys of a `json:` name that say how QEMU should open a file, not what is in it. */
const HARMLESS_KEYS = new Set([
  'aio',
  'auto-read-only',
  'cache',
  'detect-zeroes',
  'discard',
  'force-share',
  'locking',
  'node-name',
  'read-only',
]);

type Json = { readonly [key: string]: unknown };

/**
 * What `name` in the header of `overlay` refers to, as QEMU understands it: a path, absolute or from the overlay's
 * folder; or `file:PATH` or `json:{…}` of local files, where a relative path begins in the working folder.
 * @param format the backing format of the header, when it has one
 * @throws FormatError `disk.backing-name` for anything else, a network protocol for instance
 */
export function resolveReference(overlay: string, name: string, format: string | undefined): FileReference {
  if (name.startsWith('json:')) {
    const node = unfold(overlay, name, parseJson(overlay, name));
    return node.format === undefined ? { ...node, format: formatNamed(overlay, name, format) } : node;
  }
  const known = formatNamed(overlay, name, format);
  if (name.startsWith('file:')) return { path: resolve(name.slice('file:'.length)), format: known };
  // As in QEMU, a colon before the first slash ends a protocol's name.
  const protocol = /^([^/:]*):/.exec(name)?.[1];
  if (protocol !== undefined) throw refused(overlay, name, `${protocol || 'an empty protocol'} is not a local file`);
  return { path: resolve(dirname(overlay), name), format: known };
}

function formatNamed(overlay: string, name: string, format: string | undefined): DiskFormat | undefined {
  if (format === undefined || format === '') return undefined;
  const known = FORMAT_DRIVERS.get(format);
  if (known !== undefined) return known;
  if (RAW_DRIVERS.has(format)) return 'raw';
  throw refused(overlay, name, `its format is ${format}, which compose does not read`);
}

function parseJson(overlay: string, name: string): Json {
  try {
    const value: unknown = JSON.parse(name.slice('json:'.length));
    if (isObject(value)) return nested(overlay, name, value);
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
  }
  throw refused(overlay, name, 'its json: is not an object');
}

/** `{"file.filename": "x"}` as `{"file": {"filename": "x"}}`, which QEMU takes for the same. */
function nested(overlay: string, name: string, flat: Json): Json {
  const out: Record<string, unknown> = Object.create(null);
  for (const [key, value] of Object.entries(flat)) {
    const [first = '', ...rest] = key.split('.');
    const inner = isObject(value) ? nested(overlay, name, value) : value;
    if (rest.length === 0) out[first] = isObject(inner) && isObject(out[first]) ? { ...out[first], ...inner } : inner;
    else {
      const under = isObject(out[first]) ? out[first] : {};
      out[first] = { ...under, ...nested(overlay, name, { [rest.join('.')]: value }) };
    }
  }
  return out;
}

/** Follows `file` from a format node to the protocol node that names a path. */
function unfold(overlay: string, name: string, node: Json): FileReference {
  const { driver, file, filename, ...others } = node;
  if (driver !== undefined && typeof driver !== 'string') throw refused(overlay, name, 'its driver is not a name');
  const strange = Object.keys(others).find((key) => !HARMLESS_KEYS.has(key));
  if (strange !== undefined) throw refused(overlay, name, `it sets "${strange}"`);
  if (typeof filename === 'string' && file === undefined && (driver === undefined || PROTOCOL_DRIVERS.has(driver))) {
    return { path: resolve(filename), format: driver === undefined ? undefined : 'raw' };
  }
  if (isObject(file) && filename === undefined) {
    const inner = unfold(overlay, name, file);
    const under = inner.format;
    if (under !== undefined && under !== 'raw') throw refused(overlay, name, `it puts a format over ${under}`);
    return { path: inner.path, format: formatNamed(overlay, name, driver) };
  }
  throw refused(overlay, name, 'it names no local file');
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function refused(overlay: string, name: string, why: string): FormatError {
  return new FormatError('disk.backing-name', `Cannot follow the backing file name of ${overlay}: ${why} (${name})`, {
    hint: `Make one image of the chain with \`qemu-img convert -O qcow2 ${overlay} flat.qcow2\` and use that.`,
    evidence: { file: overlay, name },
  });
}
