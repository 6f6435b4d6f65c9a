/** What an ISO 9660 volume has: its descriptors, and whether its primary tree carries Rock Ridge. */
import { FormatError } from '../errors.ts';
import { DESCRIPTOR, FIRST_DESCRIPTOR, SECTOR } from './iso9660/layout.ts';
import {
  catalogueOf,
  descriptorType,
  directoryRecords,
  type IsoDescriptor,
  type IsoDescriptors,
  type IsoSource,
  isoDamaged,
  parseDescriptor,
  readIso,
} from './iso9660-records.ts';
import { readSystemUse } from './iso9660-susp.ts';

const MAX_DESCRIPTORS = 64;
/** Identifiers of a volume recognition sequence (ECMA-167 2/9.1): ISO 9660's own, then those that announce UDF. */
const RECOGNISED = ['CD001', 'BEA01', 'BOOT2', 'CDW02', 'NSR02', 'NSR03', 'TEA01'];
const UDF = ['NSR02', 'NSR03'];
const latin1 = new TextDecoder('latin1');

/**
 * The volume descriptors of `source`.
 * @throws FormatError `iso9660.not-iso9660`, `iso9660.udf`, `iso9660.damaged`, `iso9660.truncated`
 */
export async function readDescriptors(source: IsoSource): Promise<IsoDescriptors> {
  let primary: IsoDescriptor | undefined;
  let joliet: IsoDescriptor | undefined;
  let bootCatalogue: number | undefined;
  for (let index = 0; index < MAX_DESCRIPTORS; index++) {
    const position = (FIRST_DESCRIPTOR + index) * SECTOR;
    if (position + SECTOR > source.size) break;
    const bytes = await readIso(source, position, SECTOR, 'a volume descriptor');
    const type = descriptorType(bytes);
    if (type === undefined || type === DESCRIPTOR.terminator) break;
    if (type === DESCRIPTOR.boot) bootCatalogue ??= catalogueOf(bytes);
    const parsed = parseDescriptor(bytes);
    if (parsed?.kind === 'primary') primary ??= parsed;
    if (parsed?.kind === 'joliet') joliet ??= parsed;
  }
  const udf = await hasUdf(source);
  if (primary === undefined && udf) {
    throw new FormatError('iso9660.udf', 'Cannot read the ISO image: it has a UDF file system only', {
      hint: 'Start it as an optical drive; its files cannot be taken out without it.',
    });
  }
  if (primary === undefined) {
    throw new FormatError('iso9660.not-iso9660', 'Cannot read the ISO image: it has no primary volume descriptor', {
      hint: 'It is no ISO 9660 image, or it is shorter than 34 KiB.',
    });
  }
  return { primary, joliet, bootCatalogue, udf };
}

/** Whether the volume has a UDF file system, alone or beside ISO 9660 as on the media of Windows. */
async function hasUdf(source: IsoSource): Promise<boolean> {
  for (let index = 0; index < MAX_DESCRIPTORS; index++) {
    const position = (FIRST_DESCRIPTOR + index) * SECTOR;
    if (position + SECTOR > source.size) return false;
    const head = await readIso(source, position, 6, 'a volume descriptor');
    const identifier = latin1.decode(head.subarray(1));
    if (UDF.includes(identifier)) return true;
    if (!RECOGNISED.includes(identifier)) return false;
  }
  return false;
}

/** Bytes to skip in every system use area, when the volume has Rock Ridge. CD-ROM XA puts 14 before the entries. */
export async function rockRidgeSkip(source: IsoSource, volume: IsoDescriptor): Promise<number | undefined> {
  const position = volume.root.location * volume.blockSize;
  const bytes = await readIso(source, position, Math.min(SECTOR, volume.root.length), 'the root directory');
  const { value: dot } = directoryRecords(bytes, position).next();
  if (dot === undefined) throw isoDamaged('the root directory', 'it is empty');
  const area = (block: number, offset: number, length: number): Promise<Uint8Array> =>
    readIso(source, block * volume.blockSize + offset, length, 'a continuation area');
  for (const skip of [0, 14]) {
    const use = await readSystemUse(dot.use, skip, area);
    if (use.skip !== undefined && use.rockRidge) return use.skip;
  }
  return undefined;
}
