/** Images that name other files: where their data lies, and what they are laid over. */
import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { expectSameBytes, haveTools, qemuIo, scratch, tool } from '../../fixtures/qemu-disk.ts';
import { scribble } from '../../fixtures/scribble.ts';
import { readBytes } from '../../src/disk/block-source.ts';
import { openDisk } from '../../src/disk/open.ts';

const qemu = haveTools('qemu-img', 'qemu-io');
const needsQemu = qemu ? '' : ' (skipped: qemu-img and qemu-io are not installed)';
const MiB = 1024 * 1024;

test.skipIf(!qemu)(`an image whose data lies in another file reads as in QEMU${needsQemu}`, async () => {
  for (const options of ['', ',data_file_raw=on', ',extended_l2=on']) {
    await using folder = await scratch();
    const image = folder.file('disk.qcow2');
    const data = folder.file('disk.data');
    await tool('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', `data_file=${data}${options}`, image, '8M');
    await qemuIo(image, scribble(5, 8 * MiB, 40, { kinds: 'write,write -z,write -zu,discard' }));
    await expectSameBytes(image);
    await using disk = await openDisk(image);
    expect(disk.files.map(({ path }) => path)).toEqual([image, data]);
    expect(disk.chain).toHaveLength(1);
  }
});

test.skipIf(!qemu)(`a relative name of a data file is QEMU's, and else beside the image${needsQemu}`, async () => {
  await using folder = await scratch();
  // Deep enough that the name leads elsewhere from there.
  const deep = folder.file('1/2/3/4/5/6');
  await mkdir(deep, { recursive: true });
  const image = join(deep, 'disk.qcow2');
  const name = relative(process.cwd(), folder.file('disk.data'));
  await tool('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', `data_file=${name}`, image, '8M');
  await qemuIo(image, ['write -P 5 1M 1M']);
  await expectSameBytes(image);
  const made = folder.file('made.qcow2');
  const run = (command: string, ...args: string[]) => promisify(execFile)(command, args, { cwd: folder.path });
  await run('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', 'data_file=made.data', made, '8M');
  await run('qemu-io', '-c', 'write -P 5 1M 1M', made);
  await using disk = await openDisk(made);
  expect(disk.files.map(({ path }) => path)).toEqual([made, folder.file('made.data')]);
  expect(await readBytes(disk, 1.5 * MiB, 4)).toEqual(new Uint8Array(4).fill(5));
});

test.skipIf(!qemu)(`json: and file: backing names are followed as in QEMU${needsQemu}`, async () => {
  await using folder = await scratch();
  const base = folder.file('base.qcow2');
  await tool('qemu-img', 'create', '-q', '-f', 'qcow2', base, '4M');
  await qemuIo(base, ['write -P 9 1M 1M']);
  const names = [
    `file:${base}`,
    `json:{"driver":"qcow2","file":{"driver":"file","filename":"${base}"}}`,
    `json:{"driver":"qcow2","file.driver":"file","file.filename":"${base}","file.locking":"off"}`,
    `json:{"file":{"filename":"${base}"}}`,
  ];
  for (const name of names) {
    const image = folder.file('top.qcow2');
    await tool('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', name, '-F', 'qcow2', image, '4M');
    await qemuIo(image, ['write -P 3 0 512']);
    await expectSameBytes(image);
  }
});
