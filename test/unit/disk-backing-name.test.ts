import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { resolveReference } from '../../src/disk/backing-name.ts';

const followed: { name: string; format?: string; path: string; as?: string; why: string }[] = [
  { name: 'base.raw', format: 'raw', path: '/images/base.raw', as: 'raw', why: 'from the folder of the overlay' },
  { name: '../other/b', format: 'qcow2', path: '/other/b', as: 'qcow2', why: 'up and down again' },
  { name: '/abs/b', path: '/abs/b', why: 'absolute, format to be probed' },
  { name: 'dir/a:b', path: '/images/dir/a:b', why: 'a colon after a slash is part of a name' },
  { name: 'file:/abs/b', format: 'file', path: '/abs/b', as: 'raw', why: 'the protocol as a format means raw' },
  { name: 'file:rel', path: resolve('rel'), why: 'QEMU takes it from the working folder' },
  { name: 'b', format: 'vpc', path: '/images/b', as: 'vhd', why: "QEMU's name of VHD" },
  { name: 'b', format: 'host_device', path: '/images/b', as: 'raw', why: 'an old name for raw devices' },
  { name: 'json:{"file.filename":"/b"}', format: 'raw', path: '/b', as: 'raw', why: 'the format of the header' },
  { name: 'json:{"driver":"qcow2","file":{"driver":"file","filename":"/b"}}', path: '/b', as: 'qcow2', why: 'nested' },
  { name: 'json:{"driver":"qcow2","file.driver":"file","file.filename":"/b"}', path: '/b', as: 'qcow2', why: 'dotted' },
  { name: 'json:{"driver":"file","filename":"/b"}', path: '/b', as: 'raw', why: 'a protocol without a format is raw' },
  {
    name: 'json:{"driver":"raw","file":{"driver":"host_device","filename":"/dev/x","aio":"native"},"read-only":true}',
    format: 'qcow2',
    path: '/dev/x',
    as: 'raw',
    why: 'the json says more than the header; keys about how to open do not matter',
  },
  {
    name: 'json:{"driver":"qcow2","file":{"driver":"file","cache.direct":true,"filename":"/b"}}',
    path: '/b',
    as: 'qcow2',
    why: 'dotted harmless key',
  },
];
test.each(followed)('follows $name: $why', ({ name, format, path, as }) => {
  expect(resolveReference('/images/top.qcow2', name, format)).toEqual({ path, format: as });
});

const refused: { name: string; format?: string; says: string; why: string }[] = [
  { name: 'nbd:localhost:10809', says: 'nbd', why: 'a network' },
  { name: 'https://host/x.qcow2', says: 'https', why: 'a network' },
  { name: ':x', says: 'empty protocol', why: 'QEMU finds no protocol either' },
  { name: 'b', format: 'qed', says: 'qed', why: 'a format not read here' },
  { name: 'json:{', says: 'not an object', why: 'no JSON' },
  { name: 'json:[1]', says: 'not an object', why: 'no object' },
  { name: 'json:{"driver":"nbd","host":"x"}', says: '"host"', why: 'a network' },
  { name: 'json:{"driver":"raw","offset":512,"file":{"filename":"/b"}}', says: '"offset"', why: 'part of a file' },
  { name: 'json:{"driver":"qcow2","backing":null,"file":{"filename":"/b"}}', says: '"backing"', why: 'another chain' },
  { name: 'json:{"driver":"qcow2","file":"node0"}', says: 'no local file', why: 'a node of a running QEMU' },
  { name: 'json:{"driver":"luks","file":{"filename":"/b"}}', says: 'luks', why: 'a format not read here' },
  {
    name: 'json:{"driver":"vmdk","file":{"driver":"vhdx","file":{"filename":"/b"}}}',
    says: 'over vhdx',
    why: 'stacked, of other makers',
  },
  {
    name: 'json:{"driver":"raw","file":{"driver":"qcow2","file":{"filename":"/b"}}}',
    says: 'over qcow2',
    why: 'stacked',
  },
  { name: 'json:{"driver":7}', says: 'driver', why: 'not a name' },
  {
    name: 'json:{"file.filename":"/b","file.filename.x":"/c"}',
    says: 'no local file',
    why: 'a key and a prefix of it',
  },
];
test.each(refused)('refuses $name: $why', ({ name, format, says }) => {
  expect(() => resolveReference('/images/top.qcow2', name, format)).toThrow(
    expect.objectContaining({ code: 'disk.backing-name', message: expect.stringContaining(says) }),
  );
});
