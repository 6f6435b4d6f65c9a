import type { LvmSection } from '../../formats/lvm-metadata.ts';
import type { MappedSegment } from '../mapped.ts';
import { damagedGroup, problem, unsupportedType } from './problems.ts';

/** LVM counts in sectors of 512 bytes whatever the disk has. */
export const SECTOR = 512;

/** A physical volume as the metadata of its group know it. */
export interface Member {
  /** LVM's name for it in the metadata: `pv0`. */
  readonly name: string;
  /** Without dashes. */
  readonly uuid: string;
  /** The device it was on last. */
  readonly device: string | undefined;
  /** Bytes from its start to its first extent. */
  readonly dataStart: number;
  readonly extents: number;
  /** It was not there when the group was last used, so its bytes may be of before. */
  readonly missing: boolean;
}

/** A run of extents of one physical volume that a logical volume uses. */
export interface Allocation {
  readonly member: number;
  readonly first: number;
  readonly count: number;
}

export interface Layout {
  /** Bytes. */
  readonly size: number;
  /** `source` of an area is an index into the group's members. Empty when `failure` is set. */
  readonly segments: readonly MappedSegment[];
  readonly allocations: readonly Allocation[];
  /** Why it cannot be read. */
  readonly failure: unknown;
}

export interface GroupFacts {
  readonly name: string;
  /** Bytes. */
  readonly extentSize: number;
  readonly members: readonly Member[];
  /** Index of a member by its name. */
  readonly memberOf: ReadonlyMap<string, number>;
}

/**
 * Where the logical volume of `section` lies.
 * @throws FormatError `lvm.damaged` when its segments do not follow each other, or leave their physical volumes
 */
export function readLayout(group: GroupFacts, section: LvmSection): Layout {
  const volume = `${group.name}/${section.name}`;
  const ordered = [...section.sections.values()]
    .filter((one) => /^segment\d+$/.test(one.name))
    .map((one) => ({ section: one, first: one.count('start_extent'), count: one.count('extent_count') }))
    .sort((a, b) => a.first - b.first);
  const segments: MappedSegment[] = [];
  const allocations: Allocation[] = [];
  let failure: unknown;
  let next = 0;
  for (const { section: segment, first, count } of ordered) {
    if (first !== next || count === 0) {
      throw damagedGroup(group.name, `the segments of ${section.name} leave a gap or overlap at extent ${next}`);
    }
    next += count;
    // What follows the plus are features of the type, which change the layout.
    const type = segment.text('type');
    if (type !== 'striped' && type !== 'linear') {
      failure ??= unsupportedType(volume, type.split('+')[0]!);
      continue;
    }
    const stripes = readStripes(group, volume, segment);
    if (!Array.isArray(stripes)) {
      failure ??= stripes;
      continue;
    }
    const perArea = count / stripes.length;
    if (!Number.isInteger(perArea)) {
      throw damagedGroup(
        group.name,
        `${count} extents of ${section.name} do not fit on ${stripes.length} stripes evenly`,
      );
    }
    for (const { member, first: start } of stripes) {
      if (start + perArea > group.members[member]!.extents) {
        throw damagedGroup(
          group.name,
          `${section.name} uses extents that ${group.members[member]!.name} does not have`,
        );
      }
      allocations.push({ member, first: start, count: perArea });
    }
    segments.push({
      start: first * group.extentSize,
      length: count * group.extentSize,
      stripeSize: stripeSizeOf(group, section, segment, stripes.length, count * group.extentSize),
      areas: stripes.map(({ member, first: start }) => ({
        source: member,
        position: group.members[member]!.dataStart + start * group.extentSize,
      })),
    });
  }
  const size = next * group.extentSize;
  if (!Number.isSafeInteger(size)) throw damagedGroup(group.name, `${section.name} has ${next} extents`);
  return { size, segments: failure === undefined ? segments : [], allocations, failure };
}

interface Stripe {
  readonly member: number;
  readonly first: number;
}

/** The stripes of a segment: pairs of a physical volume and its first extent. An error when one is no such volume. */
function readStripes(group: GroupFacts, volume: string, segment: LvmSection): Stripe[] | Error {
  const list = segment.list('stripes');
  const expected = segment.count('stripe_count');
  if (list.length === 0 || list.length !== 2 * expected) {
    throw damagedGroup(group.name, `a segment of ${volume} has ${list.length / 2} stripes and counts ${expected}`);
  }
  const stripes: Stripe[] = [];
  for (let at = 0; at < list.length; at += 2) {
    const [name, first] = [list[at], list[at + 1]];
    if (typeof name !== 'string' || typeof first !== 'number' || !Number.isSafeInteger(first) || first < 0) {
      throw damagedGroup(group.name, `a stripe of ${volume} names no physical volume and extent`);
    }
    const member = group.memberOf.get(name);
    if (member === undefined) {
      const hint = 'Let pvmove finish, or end it with pvmove --abort, and pack then.';
      return problem('lvm.unsupported', volume, `it lies on another logical volume (${name})`, hint);
    }
    stripes.push({ member, first });
  }
  return stripes;
}

function stripeSizeOf(
  group: GroupFacts,
  section: LvmSection,
  segment: LvmSection,
  count: number,
  length: number,
): number {
  if (count === 1) return length;
  const size = segment.count('stripe_size') * SECTOR;
  if (size === 0 || (length / count) % size !== 0) {
    throw damagedGroup(group.name, `the stripes of ${section.name} are ${size} bytes long`);
  }
  return size;
}
