/**
 * Writing the head of an LVM2 physical volume that is a whole volume group: label, one metadata area and the text of the
 * group with linear logical volumes (LVM2 source, lib/label/label.h, lib/format_text/layout.h; lvm.conf(5), SYNTAX).
 */

import {
  LVM_AREA,
  LVM_AREA_HEADER,
  LVM_AREA_MAGIC,
  LVM_LABEL,
  LVM_LABEL_ID,
  LVM_LABEL_TYPE,
  LVM_SECTOR,
  LVM_UUID_LENGTH,
  lvmChecksum,
  lvmUuidText,
} from './lvm-label.ts';

export interface LvmVolumeToWrite {
  readonly name: string;
  /** 32 letters and digits. */
  readonly uuid: string;
  /** Length in extents, which follow those of the volume before. */
  readonly extents: number;
}

export interface LvmGroupToWrite {
  readonly name: string;
  /** 32 letters and digits. */
  readonly uuid: string;
  /** Of its only physical volume. */
  readonly physicalUuid: string;
  /** Bytes of the device; see `lvmExtents` for how many extents it has. */
  readonly deviceSize: number;
  /** Bytes, a multiple of 64 KiB. @default 4 MiB */
  readonly extentSize?: number;
  readonly volumes: readonly LvmVolumeToWrite[];
  /** Seconds since 1970. */
  readonly created: number;
}

export interface LvmImage {
  /** Goes to the start of the device. */
  readonly head: Uint8Array;
  /** Where each volume lies, bytes from the start of the device; in the order they were given. */
  readonly volumes: readonly { readonly name: string; readonly position: number; readonly size: number }[];
}

/** Bytes before the first extent: what pvcreate(8) keeps for label and metadata. */
export const LVM_DATA_START = 1024 * 1024;
export const LVM_EXTENT = 4 * 1024 * 1024;

const LABEL_INDEX = 1;
const PV_HEADER = 32;
const AREA_START = 4096;
const AREA_SIZE = LVM_DATA_START - AREA_START;
/** Version of the header's extension, and the flag that a group uses the volume. Without them LVM calls the header old. */
const EXTENSION = { version: 2, used: 1 } as const;
const NAME = /^[A-Za-z0-9_+.][A-Za-z0-9_+.-]*$/;
/** LVM keeps a name and the group's in one device-mapper name of 127 bytes. */
const MAX_NAME = 60;

/** Whole extents that a device of `deviceSize` bytes has for volumes. */
export function lvmExtents(deviceSize: number, extentSize = LVM_EXTENT): number {
  return Math.max(0, Math.floor((deviceSize - LVM_DATA_START) / extentSize));
}

/**
 * The head of the physical volume `group` describes. The same group gives the same bytes.
 * @throws RangeError for names and UUIDs LVM does not take, and volumes that do not fit
 */
export function writeLvm(group: LvmGroupToWrite): LvmImage {
  const { extentSize = LVM_EXTENT, deviceSize } = group;
  check(group, extentSize);
  const text = new TextEncoder().encode(`${groupText(group, extentSize)}\0`);
  if (text.length > AREA_SIZE - LVM_AREA_HEADER) throw new RangeError(`metadata of ${text.length} bytes do not fit`);
  const head = new Uint8Array(AREA_START + LVM_AREA_HEADER + text.length);
  head.set(labelSector(group.physicalUuid, deviceSize), LABEL_INDEX * LVM_SECTOR);
  head.set(areaHeader(text), AREA_START);
  head.set(text, AREA_START + LVM_AREA_HEADER);
  let position = LVM_DATA_START;
  const volumes = group.volumes.map(({ name, extents }) => {
    const size = extents * extentSize;
    position += size;
    return { name, position: position - size, size };
  });
  return { head, volumes };
}

function check(group: LvmGroupToWrite, extentSize: number): void {
  if (!Number.isSafeInteger(extentSize) || extentSize <= 0 || extentSize % 65536 !== 0) {
    throw new RangeError(`extents of ${extentSize} bytes are no multiple of 64 KiB`);
  }
  for (const name of [group.name, ...group.volumes.map((volume) => volume.name)]) {
    if (!NAME.test(name) || name === '.' || name === '..' || name.length > MAX_NAME) {
      throw new RangeError(`"${name}" is no name LVM takes`);
    }
  }
  const uuids = [group.uuid, group.physicalUuid, ...group.volumes.map((volume) => volume.uuid)];
  for (const uuid of uuids) {
    if (uuid.length !== LVM_UUID_LENGTH || !/^[A-Za-z0-9]+$/.test(uuid)) {
      throw new RangeError(`"${uuid}" is no UUID of LVM: 32 letters and digits`);
    }
  }
  const names = group.volumes.map((volume) => volume.name);
  if (new Set(names).size < names.length) throw new RangeError(`two volumes have one name: ${names.join(', ')}`);
  if (new Set(uuids).size < uuids.length) throw new RangeError('two objects have one UUID');
  const wrong = group.volumes.find(({ extents }) => !Number.isSafeInteger(extents) || extents < 1);
  if (wrong !== undefined) throw new RangeError(`${wrong.name} has ${wrong.extents} extents`);
  const wanted = group.volumes.reduce((sum, { extents }) => sum + extents, 0);
  const there = lvmExtents(group.deviceSize, extentSize);
  if (wanted > there) throw new RangeError(`${wanted} extents do not fit on a device that has ${there}`);
}

/** The label with its physical volume header: device, one data area to the end of the device, one metadata area. */
function labelSector(uuid: string, deviceSize: number): Uint8Array {
  const bytes = new Uint8Array(LVM_SECTOR);
  const view = new DataView(bytes.buffer);
  bytes.set(ascii(LVM_LABEL_ID), LVM_LABEL.id);
  view.setBigUint64(LVM_LABEL.sector, BigInt(LABEL_INDEX), true);
  view.setUint32(LVM_LABEL.offset, PV_HEADER, true);
  bytes.set(ascii(LVM_LABEL_TYPE), LVM_LABEL.type);
  bytes.set(ascii(uuid), PV_HEADER);
  let at = PV_HEADER + LVM_UUID_LENGTH;
  view.setBigUint64(at, BigInt(deviceSize), true);
  at += 8;
  // Each list ends with a pair of zeros; a data area without a length goes to the end of the device.
  for (const [start, size] of [
    [LVM_DATA_START, 0],
    [0, 0],
    [AREA_START, AREA_SIZE],
    [0, 0],
  ] as const) {
    view.setBigUint64(at, BigInt(start), true);
    view.setBigUint64(at + 8, BigInt(size), true);
    at += 16;
  }
  view.setUint32(at, EXTENSION.version, true);
  view.setUint32(at + 4, EXTENSION.used, true);
  view.setUint32(LVM_LABEL.crc, lvmChecksum(bytes.subarray(LVM_LABEL.offset)), true);
  return bytes;
}

/** The header of the metadata area, its text directly behind it. */
function areaHeader(text: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(LVM_AREA_HEADER);
  const view = new DataView(bytes.buffer);
  bytes.set(ascii(LVM_AREA_MAGIC), LVM_AREA.magic);
  view.setUint32(LVM_AREA.version, 1, true);
  view.setBigUint64(LVM_AREA.start, BigInt(AREA_START), true);
  view.setBigUint64(LVM_AREA.size, BigInt(AREA_SIZE), true);
  view.setBigUint64(LVM_AREA.locations, BigInt(LVM_AREA_HEADER), true);
  view.setBigUint64(LVM_AREA.locations + 8, BigInt(text.length), true);
  view.setUint32(LVM_AREA.locations + 16, lvmChecksum(text), true);
  view.setUint32(LVM_AREA.checksum, lvmChecksum(bytes.subarray(LVM_AREA.magic)), true);
  return bytes;
}

const sectors = (bytes: number): number => Math.floor(bytes / LVM_SECTOR);

/** Laid out as LVM does, line by line: GRUB finds its way through it by searching for `name = ` and `name {`. */
function groupText(group: LvmGroupToWrite, extentSize: number): string {
  const { name, uuid, physicalUuid, deviceSize, created } = group;
  let first = 0;
  const volumes = group.volumes.map((volume) => {
    first += volume.extents;
    return volumeText(volume, first - volume.extents, created);
  });
  return `${name} {
id = "${lvmUuidText(uuid)}"
seqno = 1
format = "lvm2"
status = ["RESIZEABLE", "READ", "WRITE"]
flags = []
extent_size = ${sectors(extentSize)}
max_lv = 0
max_pv = 0
metadata_copies = 0

physical_volumes {

pv0 {
id = "${lvmUuidText(physicalUuid)}"
status = ["ALLOCATABLE"]
flags = []
dev_size = ${sectors(deviceSize)}
pe_start = ${sectors(LVM_DATA_START)}
pe_count = ${lvmExtents(deviceSize, extentSize)}
}
}

${volumes.length === 0 ? '' : `logical_volumes {\n\n${volumes.join('\n')}}\n\n`}}
# Generated by compose
contents = "Text Format Volume Group"
version = 1
description = ""
creation_host = "compose"
creation_time = ${created}
`;
}

function volumeText({ name, uuid, extents }: LvmVolumeToWrite, first: number, created: number): string {
  return `${name} {
id = "${lvmUuidText(uuid)}"
status = ["READ", "WRITE", "VISIBLE"]
flags = []
creation_time = ${created}
creation_host = "compose"
segment_count = 1

segment1 {
start_extent = 0
extent_count = ${extents}
type = "striped"
stripe_count = 1
stripes = [
"pv0", ${first}
]
}
}
`;
}

function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}
