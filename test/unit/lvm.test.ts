import { describe, expect, test } from 'vitest';
import { mutate, random } from '../../fixtures/fuzz.ts';
import { DATA_START, EXTENT, groupText, linear, makePhysical } from '../../fixtures/lvm-image.ts';
import { memorySource } from '../../fixtures/memory-source.ts';
import { readBytes } from '../../src/disk/block-source.ts';
import { type LogicalVolume, type Lvm, readLvm } from '../../src/disk/lvm/read.ts';
import { isComposeError } from '../../src/errors.ts';
import { findRoot } from '../../src/filesystem/root.ts';
import { lvmChecksum } from '../../src/formats/lvm-label.ts';
import { parseLvmText } from '../../src/formats/lvm-metadata.ts';

const [A, B] = ['a'.repeat(32), 'b'.repeat(32)];
const PHYSICAL = { pv0: { uuid: A, extents: 4 }, pv1: { uuid: B, extents: 3 } } as const;

const read = (...images: readonly Uint8Array[]): Promise<Lvm> =>
  readLvm(images.map((bytes, index) => ({ source: memorySource(bytes), where: `partition ${index + 1}` })));

/** The one logical volume of a group on two physical volumes. */
async function volume(logical: Readonly<Record<string, readonly string[]>>, status?: string): Promise<LogicalVolume> {
  const text = groupText({ physical: PHYSICAL, logical, ...(status === undefined ? {} : { status }) });
  const { groups, failures } = await read(
    makePhysical({ uuid: A, extents: 4, text }),
    makePhysical({ uuid: B, extents: 3 }),
  );
  for (const failure of failures.values()) throw failure;
  return groups[0]!.logicalVolumes[0]!;
}

async function failureOf(work: Promise<LogicalVolume>): Promise<string> {
  const error: unknown = await work.then(
    (found) => found.failure,
    (thrown: unknown) => thrown,
  );
  if (!isComposeError(error)) throw new Error('it did not fail');
  return `${error.code}: ${error.message}`;
}

const segment = (type: string, rest = ''): string => `start_extent = 0
  extent_count = 2
  type = "${type}"
  ${rest}`;

describe('the text of the metadata', () => {
  test('numbers, strings with escapes, arrays, sections and comments', () => {
    const top = parseLvmText(
      'a = 12 # x = 3\nb = -1.5\n"quoted name" = "q\\"u\\\\o#te"\nc = [ "x", 4, [1,], ]\nd{e{f=[]}}\ng="two\nlines"\0',
    );
    expect(Object.fromEntries(top.values)).toEqual({
      a: 12,
      b: -1.5,
      'quoted name': 'q"u\\o#te',
      c: ['x', 4, [1]],
      g: 'two\nlines',
    });
    expect(top.section('d').section('e').list('f')).toEqual([]);
    expect(top.list('a')).toEqual([12]);
    expect(top.list('none')).toEqual([]);
  });

  test.each([
    ['a section without end', 'a {'],
    ['a brace too many', '}'],
    ['a value that is missing', 'a ='],
    ['a name without value', 'a b'],
    ['a string without end', 'a = "b\\"'],
    ['an array without comma', 'a = [1 2]'],
    ['an array without end', 'a = [1,'],
    ['a character of no token', 'a = \u00a7'],
    ['sections that nest too deep', 'a{'.repeat(1000)],
    ['arrays that nest too deep', `a=${'['.repeat(1000)}`],
  ])('%s is an error', (_, text) => {
    expect(() => parseLvmText(text)).toThrow(expect.objectContaining({ code: 'lvm.damaged' }));
  });

  test('a setting of the wrong kind is an error', () => {
    const top = parseLvmText('n = "text"\nt = 3\nbig = 99999999999999999999\nneg = -1');
    for (const work of [
      () => top.count('n'),
      () => top.text('t'),
      () => top.count('big'),
      () => top.count('neg'),
      () => top.count('none'),
      () => top.section('none'),
    ]) {
      expect(work).toThrow(expect.objectContaining({ code: 'lvm.damaged' }));
    }
  });
});

// The value LVM has for these bytes, from a label its own pvcreate wrote, is checked in the interop ring.
test('the checksum starts with a value of its own', () => {
  expect(lvmChecksum(new Uint8Array(0))).toBe(0xf597a6cf);
});

describe('which metadata count', () => {
  const text = (seqno: number, name = 'lv'): string =>
    groupText({ seqno, physical: PHYSICAL, logical: { [name]: [linear(0, 2, 'pv0', 1)] } });

  test('the newest of two areas and two physical volumes', async () => {
    const { groups } = await read(
      makePhysical({ uuid: A, extents: 4, text: text(3, 'old'), second: text(5, 'new') }),
      makePhysical({ uuid: B, extents: 3, text: text(4, 'middle') }),
    );
    expect(groups.map(({ seqno, logicalVolumes }) => [seqno, logicalVolumes[0]!.name])).toEqual([[5, 'new']]);
    expect(groups[0]!.notes).toEqual([
      'The metadata on partition 1 are outdated: generation 3 of 5.',
      'The metadata on partition 2 are outdated: generation 4 of 5.',
    ]);
  });

  test('a text that goes round the end of its ring buffer', async () => {
    const image = makePhysical({ uuid: A, extents: 4, text: text(1), offset: 64 * 1024 - 512 });
    const { groups, failures } = await read(image);
    expect([...failures]).toEqual([]);
    expect(groups[0]!.logicalVolumes[0]!.failure).toBeUndefined();
  });

  test('an area that is damaged is passed over for one that is not', async () => {
    const image = makePhysical({ uuid: A, extents: 4, text: text(9, 'torn'), second: text(8, 'whole') });
    image[4096 + 600]! ^= 1;
    const { groups, failures } = await read(image);
    expect([...failures]).toEqual([]);
    expect(groups[0]!.logicalVolumes[0]!.name).toBe('whole');
    expect(groups[0]!.notes[0]).toMatch(/^A metadata area on partition 1 is damaged: Cannot trust the metadata/);
  });

  test('an area that is turned off does not count', async () => {
    const { groups } = await read(makePhysical({ uuid: A, extents: 4, text: text(9, 'off'), ignored: true }));
    expect(groups).toEqual([]);
  });

  test('areas of one generation that differ are told', async () => {
    const { groups } = await read(makePhysical({ uuid: A, extents: 4, text: text(2, 'x'), second: text(2, 'y') }));
    expect(groups[0]!.notes).toEqual(['The metadata on partition 1 differ from others of the same generation (2).']);
  });

  test('a physical volume without any intact area or label is a failure of its place', async () => {
    const torn = makePhysical({ uuid: A, extents: 4, text: text(1) });
    torn[4096 + 600]! ^= 1;
    const label = makePhysical({ uuid: B, extents: 3 });
    label[512 + 70]! ^= 1;
    const { groups, failures } = await read(torn, label, new Uint8Array(8192));
    expect(groups).toEqual([]);
    expect([...failures].map(([at, error]) => [at, (error as { code: string }).code])).toEqual([
      [1, 'lvm.checksum'],
      [0, 'lvm.checksum'],
    ]);
  });

  test('two groups of one name are both refused', async () => {
    const make = (id: string, uuid: string): Uint8Array => {
      const physical = { pv0: { uuid, extents: 4 } };
      return makePhysical({
        uuid,
        extents: 4,
        text: groupText({ id, physical, logical: { lv: [linear(0, 1, 'pv0', 0)] } }),
      });
    };
    const { groups } = await read(make('one', A), make('two', B));
    const codes = groups.map(({ logicalVolumes }) => (logicalVolumes[0]!.failure as { code: string }).code);
    expect(codes).toEqual(['lvm.damaged', 'lvm.damaged']);
  });
});

describe('where a volume lies', () => {
  test('segments and stripes', async () => {
    const striped = `start_extent = 2
      extent_count = 4
      type = "striped"
      stripe_count = 2
      stripe_size = 32
      stripes = [ "pv0", 2, "pv1", 0 ]`;
    const text = groupText({ physical: PHYSICAL, logical: { lv: [linear(0, 2, 'pv0', 0), striped] } });
    const images = [makePhysical({ uuid: A, extents: 4, text }), makePhysical({ uuid: B, extents: 3 })] as const;
    for (const [index, image] of images.entries()) {
      for (let at = DATA_START; at < image.length; at += 4096)
        image.fill((index << 7) | ((at - DATA_START) / 4096), at, at + 4096);
    }
    const { groups } = await read(...images);
    const { source } = groups[0]!.logicalVolumes[0]!;
    expect(source.size).toBe(6 * EXTENT);
    const bytes = await readBytes(source, 0, source.size);
    const marks = Array.from({ length: source.size / 4096 }, (_, at) => bytes[at * 4096]!);
    const run = (from: number, count: number): number[] => Array.from({ length: count }, (_, i) => from + i);
    const rounds = Array.from({ length: 8 }, (_, at) => [...run(32 + 4 * at, 4), ...run(0x80 + 4 * at, 4)]).flat();
    expect(marks).toEqual([...run(0, 32), ...rounds]);
    const odd = await readBytes(source, 2 * EXTENT - 100, 33_000);
    expect(Buffer.compare(odd, bytes.subarray(2 * EXTENT - 100, 2 * EXTENT + 32_900))).toBe(0);
    const located = await source.locate(2 * EXTENT - 100, 20_000);
    expect(located.map((extent) => extent.length)).toEqual([16_484, 3_516]);
    expect(() => source.locate(source.size - 1, 2)).toThrow(RangeError);
  });

  test('hidden volumes are not listed', async () => {
    const logical = { shown: [linear(0, 1, 'pv0', 0)], pool_tdata: [linear(0, 1, 'pv0', 1)] };
    const text = groupText({ physical: PHYSICAL, logical, hidden: ['pool_tdata'] });
    const { groups } = await read(makePhysical({ uuid: A, extents: 4, text }));
    expect(groups[0]!.logicalVolumes.map((one) => one.name)).toEqual(['shown']);
  });
});

describe('what is refused, and how it is called', () => {
  test.each([
    ['thin', 'a thin volume'],
    ['thin-pool', 'a pool of thin volumes'],
    ['cache', 'a cached volume'],
    ['cache+METADATA_FORMAT', 'a cached volume'],
    ['writecache', 'a volume with a write cache'],
    ['mirror', 'a mirror'],
    ['raid1', 'a RAID volume (raid1)'],
    ['raid6_zr', 'a RAID volume (raid6_zr)'],
    ['vdo', 'a deduplicated volume (VDO)'],
    ['integrity', 'a volume with integrity data'],
    ['error', 'a volume that lost extents'],
    ['zero', 'a volume of zeros'],
    ['striped+NEW', 'of the type striped'],
    ['novel', 'of the type novel'],
  ])('%s', async (type, what) => {
    const text = await failureOf(volume({ lv: [segment(type)] }));
    expect(text).toBe(`lvm.unsupported: Cannot read the logical volume vg/lv: it is ${what}`);
  });

  test('a snapshot is refused, its origin is read and known to have one', async () => {
    const snapshot =
      'start_extent = 0\nextent_count = 2\ntype = "snapshot"\nchunk_size = 8\norigin = "o"\ncow_store = "s"';
    const logical = { o: [linear(0, 2, 'pv0', 0)], s: [linear(0, 1, 'pv0', 2)], snapshot0: [snapshot] };
    const text = groupText({ physical: PHYSICAL, logical, hidden: ['snapshot0'] });
    const { groups } = await read(makePhysical({ uuid: A, extents: 4, text }));
    const [origin, store] = groups[0]!.logicalVolumes;
    expect(origin).toMatchObject({ name: 'o', failure: undefined, snapshots: ['s'] });
    expect((store!.failure as Error).message).toBe('Cannot read the logical volume vg/s: it is a snapshot');
    await expect(store!.source.read(0, new Uint8Array(1))).rejects.toBe(store!.failure);
    expect(() => store!.source.locate(0, 1)).toThrow(store!.failure as Error);
    const merging = groupText({
      physical: PHYSICAL,
      logical: { ...logical, snapshot0: [snapshot.replace('cow_store', 'merging_store')] },
      hidden: ['snapshot0'],
    });
    const merged = await read(makePhysical({ uuid: A, extents: 4, text: merging }));
    expect((merged.groups[0]!.logicalVolumes[0]!.failure as Error).message).toMatch(/the snapshot s is being merged/);
  });

  test.each([
    ['a volume on another one', [linear(0, 2, 'pvmove0', 0)], 'lvm.unsupported', /lies on another logical volume/],
    ['a gap between segments', [linear(0, 1, 'pv0', 0), linear(2, 1, 'pv0', 2)], 'lvm.damaged', /gap or overlap/],
    ['segments that overlap', [linear(0, 2, 'pv0', 0), linear(1, 1, 'pv0', 2)], 'lvm.damaged', /gap or overlap/],
    ['an extent used twice', [linear(0, 2, 'pv0', 0), linear(2, 1, 'pv0', 1)], 'lvm.damaged', /share extent 1/],
    ['extents that are not there', [linear(0, 2, 'pv0', 3)], 'lvm.damaged', /does not have/],
    [
      'stripes of uneven extents',
      [segment('striped', 'stripe_count=3\nstripe_size=8\nstripes=["pv0",0,"pv0",1,"pv1",0]')],
      'lvm.damaged',
      /evenly/,
    ],
    [
      'stripes without a size',
      [segment('striped', 'stripe_count=2\nstripe_size=0\nstripes=["pv0",0,"pv1",0]')],
      'lvm.damaged',
      /0 bytes long/,
    ],
    [
      'stripes that are not counted',
      [segment('striped', 'stripe_count=1\nstripes=["pv0",0,"pv1",0]')],
      'lvm.damaged',
      /counts 1/,
    ],
    [
      'a stripe without extent',
      [segment('striped', 'stripe_count=1\nstripes=["pv0","pv1"]')],
      'lvm.damaged',
      /names no/,
    ],
  ] as const)('%s', async (_, segments, code, why) => {
    const text = await failureOf(volume({ lv: segments }));
    expect(text.startsWith(`${code}: `)).toBe(true);
    expect(text).toMatch(why);
  });

  test('an exported group', async () => {
    expect(await failureOf(volume({ lv: [linear(0, 1, 'pv0', 0)] }, '"READ", "EXPORTED"'))).toMatch(/^lvm.exported: /);
  });

  test('physical volumes that are absent, marked missing, cut short or there twice', async () => {
    const logical = { lv: [linear(0, 2, 'pv1', 0)], fine: [linear(0, 2, 'pv0', 0)] };
    const text = groupText({ physical: PHYSICAL, logical });
    const [first, second] = [makePhysical({ uuid: A, extents: 4, text }), makePhysical({ uuid: B, extents: 3 })];
    const marked = groupText({ physical: { ...PHYSICAL, pv1: { ...PHYSICAL.pv1, flags: '"MISSING"' } }, logical });
    const codes = async (...images: readonly Uint8Array[]): Promise<unknown[]> =>
      (await read(...images)).groups[0]!.logicalVolumes.map((one) => (one.failure as { code?: string })?.code);
    expect(await codes(first)).toEqual(['lvm.missing', undefined]);
    expect(await codes(first, second)).toEqual([undefined, undefined]);
    expect(await codes(makePhysical({ uuid: A, extents: 4, text: marked }), second)).toEqual([
      'lvm.missing',
      undefined,
    ]);
    expect(await codes(first, second.subarray(0, second.length - 1))).toEqual(['lvm.truncated', undefined]);
    expect(await codes(first, second, second)).toEqual(['lvm.duplicate', undefined]);
  });

  test('a disk whose group cannot be used says so when its root is looked for', async () => {
    const logical = { root: [segment('thin')], swap: [linear(0, 1, 'pv0', 0)] };
    const disk = makePhysical({ uuid: A, extents: 4, text: groupText({ physical: PHYSICAL, logical }) });
    await expect(findRoot(memorySource(disk))).rejects.toMatchObject({ code: 'lvm.unsupported' });
  });
});

describe('damaged bytes', () => {
  const text = groupText({
    physical: PHYSICAL,
    logical: {
      one: [linear(0, 2, 'pv0', 0), linear(2, 1, 'pv1', 0)],
      two: [segment('striped', 'stripe_count = 2\nstripe_size = 32\nstripes = ["pv0", 2, "pv1", 1]')],
      three: [segment('thin', 'thin_pool = "pool"')],
    },
  });

  test('of the text end in an error or in volumes that can be read', async () => {
    const next = random(1);
    let read1 = 0;
    for (let i = 0; i < 4000; i++) {
      const mutated = Buffer.from(mutate(Buffer.from(text), next)).toString('latin1');
      const { groups } = await read(
        makePhysical({ uuid: A, extents: 4, text: mutated }),
        makePhysical({ uuid: B, extents: 3 }),
      );
      read1 += await readAll(groups);
    }
    expect(read1).toBeGreaterThan(100);
  });

  test('of label, headers and areas too', async () => {
    const next = random(2);
    const physical = { pv0: PHYSICAL.pv0 };
    const logical = { one: [linear(0, 2, 'pv0', 0), linear(2, 1, 'pv0', 3)] };
    const whole = makePhysical({ uuid: A, extents: 4, text: groupText({ physical, logical }) });
    let reads = 0;
    for (let i = 0; i < 3000; i++) {
      const image = whole.slice();
      const at = [512, 4096, 4096 + 512][i % 3]!;
      const part = mutate(image.subarray(at, at + 512), next);
      image.set(part, at);
      // Every other one with its checksum made right, so that what is behind it is reached.
      if (i % 2 === 0) mend(image);
      const { groups } = await readLvm([{ source: memorySource(image), where: 'a' }]);
      reads += await readAll(groups);
    }
    expect(reads).toBeGreaterThan(100);
  });

  function mend(image: Uint8Array): void {
    const view = new DataView(image.buffer);
    view.setUint32(512 + 16, lvmChecksum(image.subarray(512 + 20, 1024)), true);
    view.setUint32(4096, lvmChecksum(image.subarray(4096 + 4, 4096 + 512)), true);
  }

  async function readAll(groups: Lvm['groups']): Promise<number> {
    let count = 0;
    for (const { source, failure } of groups.flatMap((group) => group.logicalVolumes)) {
      if (failure !== undefined) {
        if (!isComposeError(failure)) throw failure;
        continue;
      }
      if (source.size > 0x1000_0000) throw new Error('larger than what it lies on');
      await readBytes(source, 0, source.size);
      count++;
    }
    return count;
  }
});
