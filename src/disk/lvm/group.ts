import { lvmUuidText } from '../../formats/lvm-label.ts';
import type { LvmSection } from '../../formats/lvm-metadata.ts';
import { damagedGroup, problem, unsupportedType } from './problems.ts';
import { type GroupFacts, type Layout, type Member, readLayout, SECTOR } from './segments.ts';

/** A logical volume as the metadata describe it, before its physical volumes were looked for. */
export interface PlannedVolume extends Layout {
  readonly name: string;
  /** With dashes. */
  readonly uuid: string;
  /** Classic snapshots of it; what they keep of its old content lies elsewhere in the group. */
  readonly snapshots: readonly string[];
}

export interface PlannedGroup extends GroupFacts {
  /** With dashes. */
  readonly uuid: string;
  readonly seqno: number;
  /** Those an administrator sees, in the order of the metadata. */
  readonly volumes: readonly PlannedVolume[];
}

/**
 * The group that `section` describes. Volumes of a kind that is not read carry their failure.
 * @throws FormatError `lvm.damaged`
 */
export function readGroup(section: LvmSection): PlannedGroup {
  const extentSize = section.count('extent_size') * SECTOR;
  if (extentSize === 0) throw damagedGroup(section.name, 'its extents have no size');
  const members = [...(section.sections.get('physical_volumes')?.sections.values() ?? [])].map(readMember);
  const memberOf = new Map(members.map((member, index) => [member.name, index]));
  const facts = { name: section.name, extentSize, members, memberOf };
  const sections = [...(section.sections.get('logical_volumes')?.sections.values() ?? [])];
  const all = sections.map((one) => ({ section: one, layout: readLayout(facts, one) }));
  checkAllocations(facts, all);
  const snapshots = readSnapshots(facts, sections);
  const exported = section.list('status').includes('EXPORTED');
  const volumes = all
    .filter(({ section: one }) => one.list('status').includes('VISIBLE'))
    .map(({ section: one, layout }): PlannedVolume => {
      const failure = exported ? exportedGroup(facts, one.name) : (snapshots.failures.get(one.name) ?? layout.failure);
      return {
        ...layout,
        failure,
        name: one.name,
        uuid: one.text('id'),
        snapshots: snapshots.of.get(one.name) ?? [],
      };
    });
  return { ...facts, uuid: section.text('id'), seqno: section.count('seqno'), volumes };
}

function readMember(section: LvmSection): Member {
  const device = section.values.get('device');
  return {
    name: section.name,
    uuid: section.text('id').replaceAll('-', ''),
    device: typeof device === 'string' ? device : undefined,
    dataStart: section.count('pe_start') * SECTOR,
    extents: section.count('pe_count'),
    missing: [...section.list('flags'), ...section.list('status')].includes('MISSING'),
  };
}

/** An extent belongs to one volume: edits of one must not change another. */
function checkAllocations(facts: GroupFacts, all: readonly { section: LvmSection; layout: Layout }[]): void {
  const used = all.flatMap(({ section, layout }) => layout.allocations.map((one) => ({ ...one, name: section.name })));
  used.sort((a, b) => a.member - b.member || a.first - b.first);
  for (const [index, one] of used.entries()) {
    const next = used[index + 1];
    if (next !== undefined && next.member === one.member && next.first < one.first + one.count) {
      throw damagedGroup(
        facts.name,
        `${one.name} and ${next.name} share extent ${next.first} of ${facts.members[one.member]!.name}`,
      );
    }
  }
}

interface Snapshots {
  /** Names of the snapshots of a volume. */
  readonly of: ReadonlyMap<string, readonly string[]>;
  readonly failures: ReadonlyMap<string, unknown>;
}

/** A classic snapshot is a hidden volume that names its origin and the visible one that stores what changed. */
function readSnapshots(facts: GroupFacts, sections: readonly LvmSection[]): Snapshots {
  const of = new Map<string, string[]>();
  const failures = new Map<string, unknown>();
  for (const section of sections) {
    for (const segment of section.sections.values()) {
      if (segment.values.get('type') !== 'snapshot') continue;
      const origin = segment.text('origin');
      const merging = segment.values.get('merging_store');
      const store = merging === undefined ? segment.text('cow_store') : segment.text('merging_store');
      failures.set(store, unsupportedType(`${facts.name}/${store}`, 'snapshot'));
      of.set(origin, [...(of.get(origin) ?? []), store]);
      if (merging === undefined) continue;
      const hint = 'Activate it with lvchange -ay and let the merge finish (lvs -a shows how far it is).';
      failures.set(
        origin,
        problem('lvm.unsupported', `${facts.name}/${origin}`, `the snapshot ${store} is being merged into it`, hint),
      );
    }
  }
  return { of, failures };
}

function exportedGroup(facts: GroupFacts, name: string): Error {
  const hint = `Take the group back into use with vgimport ${facts.name}.`;
  return problem('lvm.exported', `${facts.name}/${name}`, 'its volume group is exported', hint);
}

/** With dashes, whatever it was. */
export function uuidText(uuid: string): string {
  return lvmUuidText(uuid.replaceAll('-', ''));
}
