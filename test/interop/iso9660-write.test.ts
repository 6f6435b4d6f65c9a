import { execFile, execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { type Described, describeFolder, describeImage, makeFolder, sampleFiles } from '../../fixtures/iso-tree.ts';
import { memorySource } from '../../fixtures/memory-source.ts';
import { haveTools, scratch, tool } from '../../fixtures/qemu-disk.ts';
import { writeIso9660 } from '../../src/formats/iso9660/writer.ts';
import { openIso9660 } from '../../src/formats/iso9660-reader.ts';

const run = promisify(execFile);
const SECONDS = 1_700_000_000;

/** The files of the sample, and the folder that has them as the host's file system shows it. */
async function sample(folder: {
  file(name: string): string;
}): Promise<{ iso: string; expected: Map<string, Described> }> {
  const files = sampleFiles();
  await writeFile(folder.file('x.iso'), writeIso9660(files, { volumeId: 'cidata', time: SECONDS }));
  await mkdir(folder.file('expected'));
  await makeFolder(folder.file('expected'), files, SECONDS);
  return { iso: folder.file('x.iso'), expected: await describeFolder(folder.file('expected')) };
}

const skipped = (command: string): string => (haveTools(command) ? '' : ` (${command} is not installed)`);

test.skipIf(!haveTools('xorriso'))(`xorriso extracts what was written${skipped('xorriso')}`, async () => {
  await using folder = await scratch();
  const { iso, expected } = await sample(folder);
  const { stderr } = await run('xorriso', ['-osirrox', 'on', '-indev', iso, '-extract', '/', folder.file('out')]);
  expect(stderr).not.toMatch(/SORRY|WARNING|FAILURE/);
  expect(await describeFolder(folder.file('out'))).toEqual(expected);
  await run('chmod', ['-R', 'u+rwX', folder.file('out')]);
});

test.skipIf(!haveTools('bsdtar'))(`libarchive extracts what was written${skipped('bsdtar')}`, async () => {
  await using folder = await scratch();
  const { iso, expected } = await sample(folder);
  await mkdir(folder.file('out'));
  await tool('bsdtar', '-xpf', iso, '-C', folder.file('out'));
  // libarchive forgets the slash where a target goes on in another SL entry, in xorriso's images too.
  const slashless = (tree: Map<string, Described>): Map<string, Described> =>
    new Map(
      [...tree].map(([name, { target, ...rest }]) => [
        name,
        target === undefined ? rest : { ...rest, target: target.length > 200 ? target.replaceAll('/', '') : target },
      ]),
    );
  expect(slashless(await describeFolder(folder.file('out')))).toEqual(slashless(expected));
});

test.skipIf(!haveTools('isoinfo'))(`isoinfo lists all three hierarchies${skipped('isoinfo')}`, async () => {
  await using folder = await scratch();
  const { iso, expected } = await sample(folder);
  const list = async (...options: string[]): Promise<string[]> =>
    (await tool('isoinfo', '-f', ...options, '-i', iso))
      .trimEnd()
      .split('\n')
      .map((line) => line.slice(1));
  expect((await list('-R')).sort()).toEqual([...expected.keys()].sort());
  // isoinfo has no UTF-8: it shows what Latin-1 lacks as an underscore.
  const latin = (name: string): string => name.replace(/[^\0-\xff]/g, '_');
  expect((await list('-J', '-j', 'iso8859-1')).filter(isAscii).sort()).toEqual(
    [...expected.keys()].map(latin).filter(isAscii).sort(),
  );
  const plain = await list();
  expect(plain).toHaveLength(expected.size);
  expect(new Set(plain).size).toBe(expected.size);
  for (const name of plain) expect(name).toMatch(/^([A-Z0-9_]{1,31}\/)*[A-Z0-9_]{1,30}(\.[A-Z0-9_]{0,30};1)?$/);
  expect(await tool('isoinfo', '-J', '-x', '/Upper and lower.TXT', '-i', iso)).toBe('case\n');
  const facts = await tool('isoinfo', '-d', '-i', iso);
  expect(facts).toMatch(/Joliet with UCS level 3 found/);
  expect(facts).toMatch(/Volume id: cidata\n/);
});

function isAscii(name: string): boolean {
  return /^[ -~]*$/.test(name) && !name.includes('_');
}

/** Whether this host lets us mount an ISO from a loop device; containers and users may not. */
async function mountProblem(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'needs root';
  const folder = await mkdtemp(join(tmpdir(), 'compose-mount-'));
  try {
    await writeFile(join(folder, 'x.iso'), writeIso9660([{ path: 'f' }], { volumeId: 'probe' }));
    execFileSync('mount', ['-t', 'iso9660', '-o', 'loop,ro', join(folder, 'x.iso'), folder], { stdio: 'ignore' });
    execFileSync('umount', [folder]);
    return undefined;
  } catch {
    return 'this host mounts no ISO';
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const problem = await mountProblem();
const MOUNTS = [
  ['', 'Rock Ridge'],
  [',norock', 'Joliet'],
] as const;

for (const [options, names] of MOUNTS) {
  test.skipIf(problem !== undefined)(
    `Linux mounts it by ${names}${problem === undefined ? '' : `: ${problem}`}`,
    async () => {
      await using folder = await scratch();
      const { iso, expected } = await sample(folder);
      await mkdir(folder.file('mnt'));
      await run('mount', ['-t', 'iso9660', '-o', `loop,ro,utf8${options}`, iso, folder.file('mnt')]);
      try {
        const found = await describeFolder(folder.file('mnt'));
        if (names === 'Rock Ridge') expect(found).toEqual(expected);
        else {
          expect([...found.keys()]).toEqual([...expected.keys()]);
          for (const [name, { content }] of expected)
            if (content !== undefined) expect(found.get(name)?.content).toBe(content);
        }
      } finally {
        await run('umount', [folder.file('mnt')]);
      }
    },
  );
}

test('our own reader sees what was written, by Rock Ridge and by Joliet', async () => {
  await using folder = await scratch();
  const { expected } = await sample(folder);
  const image = memorySource(writeIso9660(sampleFiles(), { volumeId: 'cidata', time: SECONDS }));
  const rockRidge = await openIso9660(image);
  expect(rockRidge.names).toBe('rock-ridge');
  expect(rockRidge.volumeId).toBe('cidata');
  expect(await describeImage(image, rockRidge.entries())).toEqual(expected);
  const joliet = await openIso9660(image, { prefer: 'joliet' });
  expect([...(await describeImage(image, joliet.entries())).keys()]).toEqual([...expected.keys()]);
});
