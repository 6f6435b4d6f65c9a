/** The header of a package as rpm keeps it in its database (rpm, docs/manual/format_header.md; rpmtag.h). */

import { FormatError } from '../../errors.ts';
import type { PackageFacts } from '../package-list.ts';

/** Tags of rpmtag.h that are read. */
const TAG = {
  sha256Header: 273,
  name: 1000,
  version: 1001,
  release: 1002,
  epoch: 1003,
  summary: 1004,
  installTime: 1008,
  size: 1009,
  vendor: 1011,
  license: 1014,
  arch: 1022,
  sourceRpm: 1044,
  longSize: 5009,
} as const;
const TYPE = { int32: 4, int64: 5, string: 6, stringArray: 8, i18nString: 9 } as const;

/** Two big-endian counts: index entries, and bytes of data. */
const PREAMBLE = 8;
/** Tag, type, offset, count; 32-bit big-endian. */
const ENTRY = 16;
/** rpm refuses more (header.c, headerMaxbytes). */
const MAX_DATA = 256 * 1024 * 1024;
const MAX_ENTRIES = 65_535;
/** Longest text that is believed; a summary has a line. */
const MAX_TEXT = 1024 * 1024;

/** What a header tells of its package. */
export interface RpmHeader {
  readonly name: string;
  readonly version: string;
  readonly release: string;
  readonly epoch: number | undefined;
  /** Empty for what has none, such as the keys rpm trusts. */
  readonly arch: string;
  readonly license: string | undefined;
  /** File name of the source package. */
  readonly sourceRpm: string | undefined;
  readonly vendor: string | undefined;
  readonly summary: string | undefined;
  /** Bytes of the installed files. */
  readonly size: bigint | undefined;
  /** Seconds since 1970. */
  readonly installTime: number | undefined;
  /** Digest of the header as it was built, in hexadecimal digits. */
  readonly sha256Header: string | undefined;
}

interface IndexEntry {
  readonly type: number;
  readonly offset: number;
  readonly count: number;
}

/** Reads a header blob: no lead and no magic before its counts. @throws FormatError `rpm.damaged-header` */
export function parseRpmHeader(blob: Uint8Array): RpmHeader {
  const view = new DataView(blob.buffer, blob.byteOffset, blob.length);
  if (blob.length < PREAMBLE) throw damaged(`it has ${blob.length} bytes`);
  const entries = view.getUint32(0);
  const length = view.getUint32(4);
  if (entries > MAX_ENTRIES || length > MAX_DATA || PREAMBLE + entries * ENTRY + length !== blob.length) {
    throw damaged(`${entries} entries and ${length} bytes of data do not make ${blob.length} bytes`);
  }
  const data = blob.subarray(PREAMBLE + entries * ENTRY);
  const index = new Map<number, IndexEntry>();
  for (let at = PREAMBLE; at < PREAMBLE + entries * ENTRY; at += ENTRY) {
    // Later ones win: what rpm adds at installation comes behind the region that was signed.
    index.set(view.getUint32(at), {
      type: view.getUint32(at + 4),
      offset: view.getUint32(at + 8),
      count: view.getUint32(at + 12),
    });
  }
  const text = (tag: number): string | undefined => readText(data, index.get(tag), tag);
  const number = (tag: number): bigint | undefined => readNumber(data, index.get(tag), tag);
  const [name, version] = [text(TAG.name), text(TAG.version)];
  if (!name || version === undefined) throw damaged('it has no name or no version');
  const [epoch, installTime] = [number(TAG.epoch), number(TAG.installTime)];
  return {
    name,
    version,
    release: text(TAG.release) ?? '',
    epoch: epoch === undefined ? undefined : Number(epoch),
    arch: text(TAG.arch) ?? '',
    license: text(TAG.license) || undefined,
    sourceRpm: text(TAG.sourceRpm) || undefined,
    vendor: text(TAG.vendor) || undefined,
    summary: text(TAG.summary) || undefined,
    size: number(TAG.longSize) ?? number(TAG.size),
    installTime: installTime === undefined ? undefined : Number(installTime),
    sha256Header: text(TAG.sha256Header) || undefined,
  };
}

/** What a package list says of a header. */
export function packageFacts(header: RpmHeader): PackageFacts {
  const { name, version, release, epoch, arch, license, vendor, summary, sourceRpm } = header;
  // <name>-<version>-<release>.src.rpm, where a version and a release hold no dash.
  const source = /^(.+)-([^-]+-[^-]+)\.(?:no)?src\.rpm$/.exec(sourceRpm ?? '');
  return {
    name,
    version,
    release,
    ...(epoch === undefined ? {} : { epoch }),
    arch,
    ...(license === undefined ? {} : { license }),
    ...(source === null ? {} : { source: source[1] ?? '', sourceVersion: source[2] ?? '' }),
    ...(vendor === undefined ? {} : { supplier: vendor }),
    ...(summary === undefined ? {} : { summary }),
  };
}

/** A string, or the first of several: translations begin with that of the C locale. */
function readText(data: Uint8Array, entry: IndexEntry | undefined, tag: number): string | undefined {
  if (entry === undefined) return undefined;
  const { type, offset, count } = entry;
  const known = type === TYPE.string || type === TYPE.stringArray || type === TYPE.i18nString;
  if (!known || count === 0 || offset >= data.length) throw damaged(`tag ${tag} is no text`);
  const end = data.indexOf(0, offset);
  if (end < 0 || end - offset > MAX_TEXT) throw damaged(`the text of tag ${tag} has no end`);
  return new TextDecoder().decode(data.subarray(offset, end));
}

function readNumber(data: Uint8Array, entry: IndexEntry | undefined, tag: number): bigint | undefined {
  if (entry === undefined) return undefined;
  const { type, offset, count } = entry;
  const width = type === TYPE.int32 ? 4 : type === TYPE.int64 ? 8 : 0;
  if (width === 0 || count === 0 || offset + width > data.length) throw damaged(`tag ${tag} is no number`);
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  return width === 4 ? BigInt(view.getUint32(offset)) : view.getBigUint64(offset);
}

function damaged(why: string): FormatError {
  return new FormatError(
    'rpm.damaged-header',
    `Cannot read a package of the rpm database: its header is damaged: ${why}`,
    {
      hint: 'Run "rpmdb --rebuilddb" in the guest and pack again.',
    },
  );
}
