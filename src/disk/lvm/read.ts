import { FormatError } from '../../errors.ts';
import { type BlockSource, checkRange } from '../block-source.ts';
import { type MappedSegment, mappedSource } from '../mapped.ts';
import { type PlannedGroup, type PlannedVolume, readGroup, uuidText } from './group.ts';
import { type Metadata, type PhysicalVolume, readPhysicalVolume } from './physical-volume.ts';
import { damagedGroup, problem } from './problems.ts';

/** A place that may hold an LVM physical volume. */
export interface LvmInput {
  readonly source: BlockSource;
  /** For a person: `partition 2`. */
  readonly where: string;
}

export interface LogicalVolume {
  readonly group: string;
  readonly name: string;
  /** With dashes. */
  readonly uuid: string;
  /** What Linux calls it: `/dev/mapper/GROUP-NAME` with doubled hyphens, `/dev/GROUP/NAME`, and udev's links. */
  readonly devices: readonly string[];
  /** Throws `failure` when it is read and has one. */
  readonly source: BlockSource;
  /** Where it lies; `source` of an area is an index into what `readLvm` was given. Empty when `failure` is set. */
  readonly segments: readonly MappedSegment[];
  /** Classic snapshots of it. */
  readonly snapshots: readonly string[];
  /** Why it cannot be read. */
  readonly failure: unknown;
}

export interface VolumeGroup {
  readonly name: string;
  /** With dashes. */
  readonly uuid: string;
  /** Generation of the metadata. */
  readonly seqno: number;
  /** Bytes. */
  readonly extentSize: number;
  readonly logicalVolumes: readonly LogicalVolume[];
  /** What is wrong with the metadata and did not keep them from being read, a sentence each. */
  readonly notes: readonly string[];
}

export interface Lvm {
  readonly groups: readonly VolumeGroup[];
  /** Why an input is not read as a physical volume although it is one, by its index. */
  readonly failures: ReadonlyMap<number, unknown>;
}

interface Candidate {
  readonly index: number;
  readonly where: string;
  readonly volume: PhysicalVolume;
}

/**
 * The volume groups on `inputs`. Of several metadata areas the newest intact one counts. It never throws because of what
 * the metadata say: a volume that cannot be read carries its failure, and so does an input.
 */
export async function readLvm(inputs: readonly LvmInput[]): Promise<Lvm> {
  const failures = new Map<number, unknown>();
  const candidates: Candidate[] = [];
  for (const [index, { source, where }] of inputs.entries()) {
    try {
      const volume = await readPhysicalVolume(source);
      if (volume !== undefined) candidates.push({ index, where, volume });
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      failures.set(index, error);
    }
  }
  const groups: VolumeGroup[] = [];
  const used = new Set<string>();
  for (const newest of newestOf(candidates)) {
    try {
      const plan = readGroup(newest.metadata.group);
      for (const member of plan.members) used.add(member.uuid);
      groups.push(assemble(plan, inputs, candidates, newest.notes, [...failures.values()]));
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      for (const index of newest.inputs) failures.set(index, error);
    }
  }
  for (const { index, volume } of candidates) {
    const failure = volume.failures[0];
    if (failure !== undefined && volume.metadata.length === 0 && !used.has(volume.uuid)) failures.set(index, failure);
  }
  return { groups: distinct(groups), failures };
}

interface Newest {
  readonly metadata: Metadata;
  /** Inputs that hold metadata of this group. */
  readonly inputs: readonly number[];
  readonly notes: readonly string[];
}

/** The newest metadata of every group. Damaged and outdated areas are notes. */
function newestOf(candidates: readonly Candidate[]): Newest[] {
  const groups = new Map<string, { metadata: Metadata; inputs: Set<number>; notes: string[] }>();
  const copies = candidates.flatMap(({ index, where, volume }) =>
    volume.metadata.map((metadata) => ({ metadata, index, where })),
  );
  for (const { metadata, index } of copies) {
    const known = groups.get(metadata.id);
    if (known === undefined) groups.set(metadata.id, { metadata, inputs: new Set([index]), notes: [] });
    else {
      known.inputs.add(index);
      if (metadata.seqno > known.metadata.seqno) known.metadata = metadata;
    }
  }
  for (const { metadata, where } of copies) {
    const known = groups.get(metadata.id)!;
    const { seqno, checksum } = known.metadata;
    if (metadata.seqno < seqno) {
      known.notes.push(`The metadata on ${where} are outdated: generation ${metadata.seqno} of ${seqno}.`);
    } else if (metadata.checksum !== checksum) {
      known.notes.push(`The metadata on ${where} differ from others of the same generation (${seqno}).`);
    }
  }
  for (const known of groups.values()) {
    for (const { index, where, volume } of candidates) {
      if (!known.inputs.has(index)) continue;
      for (const failure of volume.failures) {
        known.notes.push(`A metadata area on ${where} is damaged: ${(failure as Error).message}.`);
      }
    }
  }
  return [...groups.values()].map((known) => ({ ...known, inputs: [...known.inputs] }));
}

/** The volumes of a group, each with its bytes where its physical volumes are all there. */
function assemble(
  plan: PlannedGroup,
  inputs: readonly LvmInput[],
  candidates: readonly Candidate[],
  notes: readonly string[],
  causes: readonly unknown[],
): VolumeGroup {
  const found = plan.members.map(({ uuid }) => candidates.filter(({ volume }) => volume.uuid === uuid));
  const whyAbsent = (volume: PlannedVolume): unknown => {
    const full = `${plan.name}/${volume.name}`;
    for (const member of new Set(volume.allocations.map((one) => one.member))) {
      const { name, uuid, device, dataStart, extents, missing } = plan.members[member]!;
      const evidence = { physicalVolume: uuidText(uuid), device };
      const [first, second] = found[member]!;
      if (first === undefined) {
        const was = device === undefined ? name : `${name}, last seen as ${device}`;
        const hint =
          'Pack a disk that holds the whole group; move what lies on the other disk with pvmove and vgreduce.';
        return problem(
          'lvm.missing',
          full,
          `its physical volume ${was}, is not on this disk`,
          hint,
          evidence,
          causes[0],
        );
      }
      if (second !== undefined) {
        const why = `${first.where} and ${second.where} hold the same physical volume`;
        const hint = 'One is a copy of the other: delete it, or give it an identity of its own with vgimportclone.';
        return problem('lvm.duplicate', full, why, hint, evidence);
      }
      if (missing) {
        const hint = 'If its content is current, vgextend --restoremissing takes it back.';
        return problem('lvm.missing', full, `its physical volume ${name} is marked as missing`, hint, evidence);
      }
      const end = dataStart + extents * plan.extentSize;
      const { size } = inputs[first.index]!.source;
      if (end > size) {
        const why = `its physical volume ends at byte ${end}, ${first.where} at ${size}`;
        return problem('lvm.truncated', full, why, 'The disk was cut short; copy it again.', evidence);
      }
    }
    return undefined;
  };
  const sources = inputs.map(({ source }) => source);
  const logicalVolumes = plan.volumes.map((volume): LogicalVolume => {
    const failure = volume.failure ?? whyAbsent(volume);
    const segments =
      failure === undefined ? volume.segments.map((one) => onInputs(one, (member) => found[member]![0]!.index)) : [];
    return {
      group: plan.name,
      name: volume.name,
      uuid: volume.uuid,
      devices: deviceNames(plan, volume),
      source: failure === undefined ? mappedSource(segments, sources) : refusing(volume.size, failure),
      segments,
      snapshots: volume.snapshots,
      failure,
    };
  });
  const { name, uuid, seqno, extentSize } = plan;
  return { name, uuid, seqno, extentSize, logicalVolumes, notes };
}

function onInputs(segment: MappedSegment, input: (member: number) => number): MappedSegment {
  return { ...segment, areas: segment.areas.map((area) => ({ ...area, source: input(area.source) })) };
}

/** device-mapper joins the names by one hyphen, so those in a name are doubled. */
function deviceNames(group: PlannedGroup, volume: PlannedVolume): string[] {
  const mapped = [group.name, volume.name].map((name) => name.replaceAll('-', '--')).join('-');
  const ids = [group.uuid, volume.uuid].map((uuid) => uuid.replaceAll('-', '')).join('');
  return [
    `/dev/mapper/${mapped}`,
    `/dev/${group.name}/${volume.name}`,
    `/dev/disk/by-id/dm-name-${mapped}`,
    `/dev/disk/by-id/dm-uuid-LVM-${ids}`,
  ];
}

/** An address space that cannot be read. */
function refusing(size: number, failure: unknown): BlockSource {
  return {
    size,
    files: [],
    locate: (position, length) => {
      checkRange(size, position, length);
      throw failure;
    },
    read: async () => {
      throw failure;
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

/** Two groups of one name cannot be active at once, and their volumes have the same names. */
function distinct(groups: readonly VolumeGroup[]): VolumeGroup[] {
  return groups.map((group) => {
    const other = groups.find((one) => one !== group && one.name === group.name);
    if (other === undefined) return group;
    const failure = damagedGroup(group.name, `two groups have this name (${group.uuid} and ${other.uuid})`);
    const logicalVolumes = group.logicalVolumes.map((volume) => ({
      ...volume,
      source: refusing(volume.source.size, failure),
      segments: [],
      failure,
    }));
    return { ...group, logicalVolumes };
  });
}
