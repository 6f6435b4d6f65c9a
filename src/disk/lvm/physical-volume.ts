import { FormatError } from '../../errors.ts';
import {
  LVM_AREA_HEADER,
  LVM_LABEL_SECTORS,
  LVM_SECTOR,
  type LvmArea,
  type LvmLabel,
  type LvmRange,
  lvmChecksum,
  lvmTextPieces,
  parseLvmArea,
  parseLvmLabel,
} from '../../formats/lvm-label.ts';
import { type LvmSection, parseLvmText } from '../../formats/lvm-metadata.ts';
import { type BlockSource, readBytes } from '../block-source.ts';

/** LVM's own default for a whole area is 1 MiB. */
const MAX_TEXT = 16 * 1024 * 1024;

/** The metadata of a group as one area of one physical volume has it. */
export interface Metadata {
  /** The name of the section is that of the group. */
  readonly group: LvmSection;
  readonly id: string;
  /** Grows by one with every change. */
  readonly seqno: number;
  /** Of the text, so that two areas can be compared. */
  readonly checksum: number;
}

export interface PhysicalVolume extends LvmLabel {
  readonly metadata: readonly Metadata[];
  /** Why an area could not be read, an error each. */
  readonly failures: readonly unknown[];
}

/**
 * The label of the physical volume that fills `source`, and what its metadata areas hold; undefined when it is none.
 * @throws FormatError `lvm.damaged`, `lvm.checksum` for the label; what is wrong with an area is in `failures`
 */
export async function readPhysicalVolume(source: BlockSource): Promise<PhysicalVolume | undefined> {
  const label = await readLabel(source);
  if (label === undefined) return undefined;
  const metadata: Metadata[] = [];
  const failures: unknown[] = [];
  for (const range of label.metadataAreas) {
    try {
      const read = await readArea(source, range);
      if (read !== undefined) metadata.push(read);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      failures.push(error);
    }
  }
  return { ...label, metadata, failures };
}

async function readLabel(source: BlockSource): Promise<LvmLabel | undefined> {
  for (let index = 0; index < LVM_LABEL_SECTORS && (index + 1) * LVM_SECTOR <= source.size; index++) {
    const label = parseLvmLabel(await readBytes(source, index * LVM_SECTOR, LVM_SECTOR), index);
    if (label !== undefined) return label;
  }
  return undefined;
}

async function readArea(source: BlockSource, range: LvmRange): Promise<Metadata | undefined> {
  if (range.position + LVM_AREA_HEADER > source.size) throw outside(range, source);
  const area = parseLvmArea(await readBytes(source, range.position, LVM_AREA_HEADER), range);
  if (area.text === undefined || area.text.ignored) return undefined;
  const bytes = await readText(source, { ...area, text: area.text });
  const computed = lvmChecksum(bytes);
  if (computed !== area.text.checksum) {
    throw new FormatError(
      'lvm.checksum',
      'Cannot trust the metadata of the LVM volume group: its checksum does not match its text',
      { hint: 'Run pvck on a copy of the disk; vgcfgrestore brings back metadata of before.' },
    );
  }
  return metadataOf(new TextDecoder().decode(bytes), computed);
}

async function readText(
  source: BlockSource,
  area: LvmArea & { readonly text: NonNullable<LvmArea['text']> },
): Promise<Uint8Array> {
  if (area.position + area.size > source.size) throw outside(area, source);
  if (area.text.size > MAX_TEXT) {
    throw new FormatError(
      'lvm.unsupported',
      `Cannot read the metadata of the LVM volume group: its text of ${area.text.size} bytes is longer than ${MAX_TEXT}`,
      { hint: 'Split the group with vgsplit.' },
    );
  }
  const bytes = new Uint8Array(area.text.size);
  let at = 0;
  for (const { position, size } of lvmTextPieces(area)) {
    await source.read(position, bytes.subarray(at, at + size));
    at += size;
  }
  return bytes;
}

function metadataOf(text: string, checksum: number): Metadata {
  const top = parseLvmText(text);
  const group = top.sections.values().next().value;
  if (top.values.get('contents') !== 'Text Format Volume Group' || group === undefined) {
    throw new FormatError('lvm.damaged', 'Cannot read the metadata of the LVM volume group: the text holds no group', {
      hint: 'Run pvck on a copy of the disk.',
    });
  }
  return { group, id: group.text('id'), seqno: group.count('seqno'), checksum };
}

function outside(range: LvmRange, source: BlockSource): FormatError {
  return new FormatError(
    'lvm.truncated',
    `Cannot read the metadata of the LVM volume group: its area of ${range.size} bytes at ${range.position} ` +
      `is outside the ${source.size} bytes of the physical volume`,
    { hint: 'The disk was cut short, or its partition was made smaller than the physical volume; copy it again.' },
  );
}
