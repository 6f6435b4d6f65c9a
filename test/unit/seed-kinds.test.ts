import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { mutate, random } from '../../fixtures/fuzz.ts';
import { isoContent } from '../../fixtures/iso-tree.ts';
import { memorySource } from '../../fixtures/memory-source.ts';
import { readBytes } from '../../src/disk/block-source.ts';
import { isComposeError } from '../../src/errors.ts';
import { quietContext } from '../../src/events.ts';
import { openFat } from '../../src/filesystem/fat/open.ts';
import { FLOPPY_SIZE } from '../../src/formats/fat/writer.ts';
import { openIso9660 } from '../../src/formats/iso9660-reader.ts';
import { checkKickstart } from '../../src/seed/kickstart.ts';
import { makeSeed } from '../../src/seed/make.ts';
import { checkPreseed } from '../../src/seed/preseed.ts';
import { SEED_KINDS, type SeedKind, seedVolume } from '../../src/seed/volume.ts';
import { checkXml } from '../../src/seed/xml.ts';

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const files = (entries: Record<string, string>): { path: string; content: Uint8Array }[] =>
  Object.entries(entries).map(([path, content]) => ({ path, content: text(content) }));

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-seed-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const KS = 'text\nrootpw --lock\n%packages\n@core\n%end\n';
const AUTOINSTALL = '#cloud-config\nautoinstall:\n  version: 1\n  identity: {hostname: a}\n';
const GOOD: Record<SeedKind, { files: Record<string, string>; label: string }> = {
  nocloud: { files: { 'user-data': '#cloud-config\n', 'meta-data': 'instance-id: a\n' }, label: 'cidata' },
  'nocloud-fat': { files: { 'user-data': '#cloud-config\n', 'meta-data': 'instance-id: a\n' }, label: 'cidata' },
  autoinstall: { files: { 'user-data': AUTOINSTALL, 'meta-data': 'instance-id: a\n' }, label: 'cidata' },
  'autoinstall-fat': { files: { 'user-data': AUTOINSTALL, 'meta-data': 'instance-id: a\n' }, label: 'cidata' },
  oemdrv: { files: { 'ks.cfg': KS, 'rpms/a.rpm': 'rpm' }, label: 'OEMDRV' },
  'oemdrv-fat': { files: { 'autoinst.xml': '<?xml version="1.0"?>\n<profile/>\n' }, label: 'OEMDRV' },
  floppy: { files: { 'Autounattend.xml': '<unattend></unattend>' }, label: 'ANSWERS' },
  iso: { files: { 'KS.CFG': 'vmaccepteula\n%post --interpreter=busybox\nhalt\n' }, label: 'MINE' },
  fat: { files: { 'preseed.cfg': 'd-i passwd/root-login boolean false\n' }, label: 'MINE' },
};

test.each(SEED_KINDS)('a volume of kind %s has its label and its files, and is the same every time', async (kind) => {
  const { files: entries, label } = GOOD[kind];
  const given = label === 'MINE' ? { label } : {};
  const volume = seedVolume(kind, files(entries), given);
  expect(volume.label).toBe(label);
  expect(Buffer.compare(seedVolume(kind, files(entries), given).image, volume.image)).toBe(0);
  const source = memorySource(volume.image);
  const found: Record<string, string> = {};
  if (kind.endsWith('fat') || kind === 'floppy') {
    const fat = await openFat(source);
    expect(fat.label).toBe(label);
    for await (const { kind: type, path, data } of fat.entries()) {
      if (type !== 'file') continue;
      const [extent] = data?.extents ?? [];
      const bytes = extent === undefined ? new Uint8Array(0) : await readBytes(source, extent.position, extent.length);
      found[new TextDecoder().decode(path)] = new TextDecoder().decode(bytes);
    }
  } else {
    const iso = await openIso9660(source);
    expect(iso.volumeId).toBe(label);
    for await (const entry of iso.entries()) {
      if (entry.kind !== 'file') continue;
      found[new TextDecoder().decode(entry.path)] = new TextDecoder().decode(await isoContent(source, entry));
    }
  }
  expect(found).toEqual(entries);
  if (kind === 'floppy') expect(volume.image.length).toBe(FLOPPY_SIZE);
});

const REFUSED: readonly (readonly [kind: SeedKind, entries: Record<string, string>, code: string, why: string])[] = [
  ['nocloud', {}, 'seed.no-files', 'nothing'],
  ['nocloud-fat', { 'meta-data': 'a: b' }, 'seed.user-data', 'no user-data'],
  ['nocloud-fat', { 'user-data': '#cloud-config\n' }, 'seed.meta-data', 'no meta-data'],
  ['autoinstall', { 'user-data': '#!/bin/sh\n', 'meta-data': 'a: b' }, 'seed.autoinstall', 'a script'],
  ['autoinstall', { 'user-data': '#cloud-config\nversion: 1\n', 'meta-data': 'a: b' }, 'seed.autoinstall', 'no key'],
  ['autoinstall', { 'user-data': '#cloud-config\nautoinstall:\n', 'meta-data': 'a: b' }, 'seed.autoinstall', 'empty'],
  [
    'autoinstall-fat',
    { 'user-data': '#cloud-config\nautoinstall: {version: 2}\n', 'meta-data': 'a: b' },
    'seed.autoinstall',
    'another version',
  ],
  ['oemdrv', { 'kickstart.cfg': KS }, 'seed.oemdrv', 'a name Anaconda does not look for'],
  ['oemdrv', { 'sub/ks.cfg': KS }, 'seed.oemdrv', 'not in the root'],
  ['oemdrv', { 'ks.cfg': '# nothing\n' }, 'seed.kickstart', 'only comments'],
  ['oemdrv-fat', { 'ks.cfg': '%packages\n@core\n' }, 'seed.kickstart', 'a section that does not end'],
  ['oemdrv-fat', { 'autoinst.xml': '<profile>' }, 'seed.xml', 'not closed'],
  ['floppy', { 'autounattend.xml': '' }, 'seed.xml', 'empty'],
  ['floppy', { 'preseed.cfg': '\n' }, 'seed.preseed', 'empty'],
  ['floppy', { big: 'x'.repeat(FLOPPY_SIZE) }, 'seed.too-large', 'too large'],
  ['iso', { a: 'b' }, 'seed.label', 'no label'],
  ['fat', { a: 'b' }, 'seed.label', 'no label'],
];
test.each(REFUSED)('refused: %s %#', (kind, entries, code, why) => {
  expect(() => seedVolume(kind, files(entries)), why).toThrow(expect.objectContaining({ code, exitCode: 2 }));
});

test('a label that nothing would look for is refused', () => {
  const { files: entries } = GOOD.oemdrv;
  expect(() => seedVolume('oemdrv', files(entries), { label: 'MINE' })).toThrow(
    expect.objectContaining({ code: 'seed.label', message: expect.stringContaining('OEMDRV') }),
  );
  expect(seedVolume('oemdrv', files(entries), { label: 'OEMDRV' }).label).toBe('OEMDRV');
  expect(seedVolume('floppy', files({ a: 'b' }), { label: 'A' }).label).toBe('A');
});

describe('answer files', () => {
  const KICKSTARTS: readonly (readonly [text: string, message: RegExp | undefined, why: string])[] = [
    [KS, undefined, 'whole'],
    ['%include /tmp/a\n', undefined, 'an include is a command'],
    ['%post --nochroot\n%end of it\n%end\n', /line 3: %end/, 'an end ends a section whatever follows'],
    ['%pre\necho %post\n%end\n%post\n  %addon\n%end\n', undefined, 'percent signs inside a section'],
    ['', /empty/, 'nothing'],
    ['%end\n', /line 1: %end without/, 'an end of nothing'],
    ['%pre\n%post\n%end\n', /line 2: %post begins before %pre of line 1/, 'nested'],
    ['text\n\n%post\nx\n', /line 3: %post has no %end/, 'not closed'],
    ['%pots\n%end\n', /line 1: %pots is no section/, 'a slip'],
  ];
  test.each(KICKSTARTS)('kickstart %#', (kickstart, message, why) => {
    const check = (): void => checkKickstart(kickstart);
    if (message === undefined) expect(check, why).not.toThrow();
    else expect(check, why).toThrow(expect.objectContaining({ message: expect.stringMatching(message) }));
  });

  const PRESEEDS: readonly (readonly [text: string, message: RegExp | undefined, why: string])[] = [
    ['d-i a/b string\n', undefined, 'an empty value'],
    ['# c\nd-i a/b string x \\\n  y\n', undefined, 'a line that goes on'],
    ['d-i a/b seen true\n', undefined, 'a flag'],
    ['d-i\ta/b\tboolean\ttrue\r\n', undefined, 'tabs and line ends of Windows'],
    ['d-i passwd/root-login\n', /line 1: nothing is no type/, 'no type'],
    ['\n\nd-i passwd string x\n', /line 3: passwd is no question/, 'no slash'],
    ['d-i a/b strnig x\n', /strnig is no type/, 'a slip'],
    ['d-i\n', /followed by nothing/, 'an owner alone'],
    ['#\n', /answers no question/, 'comments alone'],
  ];
  test.each(PRESEEDS)('preseed %#', (preseed, message, why) => {
    const check = (): void => checkPreseed(preseed);
    if (message === undefined) expect(check, why).not.toThrow();
    else expect(check, why).toThrow(expect.objectContaining({ message: expect.stringMatching(message) }));
  });

  const XML: readonly (readonly [xml: string, message: RegExp | undefined, why: string])[] = [
    ['<a/>', undefined, 'empty'],
    [
      '<?xml version="1.0"?>\n<!-- <b> -->\n<!DOCTYPE a>\n<a x="1 > 2" y=\'<\'><![CDATA[</a>]]><b:c/></a>\n',
      undefined,
      'all',
    ],
    ['<b/>', /root is <b>/, 'another root'],
    ['<a><b></a></b>', /<\/a> closes <b>/, 'crossed'],
    ['<a></a></a>', /closes nothing/, 'one end too many'],
    ['<a/><a/>', /second root/, 'two roots'],
    ['<a>\n<b>\n</b>', /line 1: <a> is not closed/, 'not closed'],
    ['<a>\n< b></a>', /line 2: a "<"/, 'a blank'],
    ['<a x="1></a>', /begins no tag/, 'a quote that does not end'],
    ['<!-- <a/>', /begins no tag/, 'a comment that does not end'],
    ['', /has no <a>/, 'nothing'],
  ];
  test.each(XML)('XML %#', (xml, message, why) => {
    const check = (): void => checkXml(text(xml), 'x.xml', 'a');
    if (message === undefined) expect(check, why).not.toThrow();
    else
      expect(check, why).toThrow(
        expect.objectContaining({ code: 'seed.xml', message: expect.stringMatching(message) }),
      );
  });

  test('XML of Windows in UTF-16', () => {
    const both = Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from('<unattend></unattend>', 'utf16le')]);
    expect(() => checkXml(both, 'x', 'unattend')).not.toThrow();
    expect(() => checkXml(Buffer.from(both).swap16(), 'x', 'unattend')).not.toThrow();
  });

  test('damaged answers are taken or refused', () => {
    const next = random(2024);
    const samples = [KS, GOOD.fat.files['preseed.cfg'] ?? '', '<?xml?><a b="c"><d/><!-- e --></a>'];
    for (let round = 0; round < 3000; round++) {
      const bytes = mutate(text(samples[round % 3] ?? ''), next);
      try {
        if (round % 3 === 0) checkKickstart(new TextDecoder().decode(bytes));
        else if (round % 3 === 1) checkPreseed(new TextDecoder().decode(bytes));
        else checkXml(bytes, 'x', 'a');
      } catch (error) {
        if (!isComposeError(error)) throw error;
      }
    }
  });
});

test('folders are taken with all that is in them', async () => {
  await mkdir(join(folder, 'drivers/net'), { recursive: true });
  await writeFile(join(folder, 'drivers/net/a.inf'), 'inf');
  await symlink('net/a.inf', join(folder, 'drivers/link.inf'));
  const out = join(folder, 'd.iso');
  const options = { kind: 'iso', label: 'D', out, files: [{ name: '$OEM$', path: join(folder, 'drivers') }] } as const;
  expect(await makeSeed(options, quietContext())).toMatchObject({
    kind: 'iso',
    label: 'D',
    files: ['$OEM$/link.inf', '$OEM$/net/a.inf'],
  });
  const iso = await openIso9660(memorySource(await readFile(out)));
  expect((await iso.lookup('/$OEM$/net/a.inf'))?.data?.size).toBe(3);
});

test('options of NoCloud are refused for other kinds, and files that are not there', async () => {
  await writeFile(join(folder, 'ks'), KS);
  const base = {
    kind: 'oemdrv',
    out: join(folder, 'x.iso'),
    files: [{ name: 'ks.cfg', path: join(folder, 'ks') }],
  } as const;
  for (const wrong of [{ userData: 'x' }, { metaData: 'x' }, { networkConfig: 'x' }, { instanceId: 'x' }]) {
    await expect(makeSeed({ ...base, ...wrong }, quietContext())).rejects.toMatchObject({
      code: 'seed.usage',
      exitCode: 2,
    });
  }
  const none = { ...base, files: [{ name: 'ks.cfg', path: join(folder, 'none') }] };
  await expect(makeSeed(none, quietContext())).rejects.toMatchObject({ code: 'seed.file' });
  const device = { ...base, files: [{ name: 'ks.cfg', path: '/dev/null' }] };
  await expect(makeSeed(device, quietContext())).rejects.toMatchObject({ code: 'seed.file' });
  expect(await readdir(folder)).toEqual(['ks']);
});

test('the files are dated by SOURCE_DATE_EPOCH', async () => {
  await writeFile(join(folder, 'ks'), KS);
  const before = process.env.SOURCE_DATE_EPOCH;
  process.env.SOURCE_DATE_EPOCH = '1700000000';
  try {
    for (const kind of ['oemdrv', 'oemdrv-fat'] as const) {
      const out = join(folder, kind);
      await makeSeed({ kind, out, files: [{ name: 'ks.cfg', path: join(folder, 'ks') }] }, quietContext());
      const source = memorySource(await readFile(out));
      const volume = kind === 'oemdrv' ? await openIso9660(source) : await openFat(source);
      expect((await volume.lookup('/ks.cfg'))?.mtime).toBe(1_700_000_000_000_000_000n);
    }
  } finally {
    if (before === undefined) delete process.env.SOURCE_DATE_EPOCH;
    else process.env.SOURCE_DATE_EPOCH = before;
  }
});
