import { expect, test } from 'vitest';
import { packageRoot } from '../../src/host/built-module.ts';
import { ARCHITECTURES } from '../../src/machine/arch.ts';
import { type MachineRun, machineArgv } from '../../src/machine/argv.ts';
import { diskArgv } from '../../src/machine/argv-disks.ts';
import { boundForwards } from '../../src/machine/argv-network.ts';
import { joinOptions, readOptions } from '../../src/machine/argv-options.ts';
import { BOARDS, descriptorMachine } from '../../src/machine/board.ts';
import type { Firmware } from '../../src/machine/firmware.ts';
import { DISK_INTERFACES, type MachineSpec } from '../../src/machine/spec.ts';
import { imageMachine } from '../../src/recipe/image-machine.ts';

const MIB = 1024 * 1024;

const SPEC: MachineSpec = {
  name: 'golden',
  arch: 'amd64',
  memory: 1536 * MIB,
  cpus: 2,
  firmware: 'uefi',
  ssh: true,
  disks: [
    { path: '/run/disk.qcow2', format: 'qcow2', scratch: true },
    { path: '/run/seed,1.iso', format: 'raw', readOnly: true },
  ],
};

const FIRMWARE: Firmware = {
  code: { path: '/firmware/code.fd', format: 'raw' },
  vars: { path: '/run/efivars.fd', format: 'raw' },
  mode: 'split',
  secureBoot: false,
  smm: false,
  descriptor: '/firmware/60.json',
};

const runOf = (spec: MachineSpec, over: Partial<MachineRun> = {}): MachineRun => ({
  accelerator: { kind: 'tcg', cpu: BOARDS[spec.arch].cpu.tcg },
  firmware: spec.firmware === 'uefi' ? FIRMWARE : undefined,
  qmpSocket: '/sockets/qmp',
  serialSocket: '/sockets/serial',
  serialLog: '/run/serial.log',
  ...over,
});

const argvOf = (over: Partial<MachineSpec>, run: Partial<MachineRun> = {}): string[] => {
  const spec = { ...SPEC, ...over };
  return machineArgv(spec, runOf(spec, run));
};

/** One option with its value a line. */
const lines = (argv: readonly string[]): string =>
  argv.reduce((text, word) => (word.startsWith('-') ? `${text}\n${word}` : `${text} ${word}`), '').slice(1);

const CELLS = ARCHITECTURES.flatMap((arch) =>
  (['bios', 'uefi'] as const).flatMap((firmware) =>
    (['kvm', 'hvf', 'tcg'] as const).map((kind) => ({ arch, firmware, kind })),
  ),
);

test.each(CELLS)('the arguments of $arch by $firmware under $kind', async ({ arch, firmware, kind }) => {
  const make = (): string[] => argvOf({ arch, firmware }, { accelerator: { kind, cpu: BOARDS[arch].cpu[kind] } });
  if (arch === 'arm64' && firmware === 'bios') {
    expect(make).toThrow(
      expect.objectContaining({ code: 'machine.no-bios', message: expect.stringContaining('arm64 has no BIOS') }),
    );
    return;
  }
  await expect(`${lines(make())}\n`).toMatchFileSnapshot(`golden/argv-${arch}-${firmware}-${kind}.txt`);
});

const EVERYTHING: Partial<MachineSpec> = {
  secureBoot: true,
  tpm: true,
  cpus: 8,
  topology: { sockets: 2, cores: 2, threads: 2 },
  video: 'standard',
  vnc: { unix: '/run/vnc' },
  nic: 'e1000e',
  forwards: [{ protocol: 'udp', guestPort: 53 }],
  disks: [
    { path: '/run/a.qcow2', format: 'qcow2', interface: 'virtio' },
    { path: '/run/b.raw', format: 'raw', interface: 'scsi' },
    { path: '/run/c.raw', format: 'raw', interface: 'sata' },
    { path: '/run/d.raw', format: 'raw', interface: 'nvme' },
    { path: '/run/e.raw', format: 'raw', interface: 'usb' },
    { path: '/run/f.iso', format: 'raw', media: 'cdrom' },
    { path: '/run/g.iso', format: 'raw', media: 'cdrom', interface: 'usb' },
  ],
};
const SECURE = { firmware: { ...FIRMWARE, secureBoot: true, smm: true }, tpmSocket: '/sockets/tpm' };

test('the arguments of a machine with everything, amd64', async () => {
  const floppy = { path: '/run/h.img', format: 'raw', media: 'floppy' } as const;
  const argv = argvOf({ ...EVERYTHING, disks: [...(EVERYTHING.disks ?? []), floppy] }, SECURE);
  await expect(`${lines(argv)}\n`).toMatchFileSnapshot('golden/argv-everything-amd64.txt');
});

test('the arguments of a machine with everything, arm64', async () => {
  const firmware = { ...FIRMWARE, secureBoot: true };
  const argv = argvOf({ ...EVERYTHING, arch: 'arm64' }, { ...SECURE, firmware });
  await expect(`${lines(argv)}\n`).toMatchFileSnapshot('golden/argv-everything-arm64.txt');
});

test.each(ARCHITECTURES)(
  'the arguments of the disk of an image and of its seed on each interface, %s',
  async (arch) => {
    const machine = { memory: 1536 * MIB, cpus: 2, disk: 0, firmware: 'uefi' } as const;
    const texts = [undefined, ...DISK_INTERFACES].map((diskInterface) => {
      const planned = { ...machine, ...(diskInterface && { diskInterface }) };
      const spec = imageMachine('golden', arch, planned, '/run/disk.qcow2', '/run/seed.iso');
      return `# ${diskInterface ?? 'none given'}\n${lines(diskArgv(spec))}\n${needsController(machineArgv(spec, runOf(spec)))}`;
    });
    await expect(texts.join('\n')).toMatchFileSnapshot(`golden/argv-disk-interfaces-${arch}.txt`);
  },
);

/** The USB controller is not a disk's alone. */
const needsController = (argv: readonly string[]): string => (argv.includes('qemu-xhci,id=usb') ? '# and xhci\n' : '');

const FORMS: readonly (readonly [what: string, spec: Partial<MachineSpec>, has: string, hasNot?: string])[] = [
  ['no network is a legal machine', { ssh: false }, '-smp 2', '-netdev'],
  ['a network nobody reaches into', { ssh: false, network: 'user' }, '-netdev user,id=net0 -device', 'hostfwd'],
  [
    'a network without a way out',
    { ssh: true, network: 'private', services: [{ address: '10.0.2.100', port: 80, hostPort: 4711 }] },
    `-netdev user,id=net0,restrict=on,hostfwd=tcp:127.0.0.1:0-:22,guestfwd=tcp:10.0.2.100:80-cmd:${process.execPath} ${packageRoot()}/dist/src/machine/service-relay.js 4711`,
  ],
  [
    'a forward alone',
    { ssh: false, forwards: [{ protocol: 'tcp', guestPort: 80 }] },
    'id=net0,hostfwd=tcp:127.0.0.1:0-:80',
  ],
  ['a CPU model of its own', { cpuModel: 'EPYC' }, '-cpu EPYC', 'Westmere'],
  ['a machine type of its own', { machineType: 'pc' }, '-machine pc'],
  [
    'a machine type that brings no SATA',
    { machineType: 'pc', disks: [{ path: '/d', format: 'raw', interface: 'sata' }] },
    'ich9-ahci,id=sata',
  ],
  [
    'a machine type of arm64 with its options',
    { arch: 'arm64', machineType: 'virt-7.2,gic-version=2' },
    'virt-7.2,gic-version=2',
    'gic-version=3',
  ],
  [
    'a CD of arm64 is on SCSI',
    { arch: 'arm64', disks: [{ path: '/d', format: 'raw', media: 'cdrom' }] },
    'scsi-cd,id=disk0,bus=scsi.0',
  ],
  ['a CD of amd64 is on SATA', { disks: [{ path: '/d', format: 'raw', media: 'cdrom' }] }, 'ide-cd,id=disk0,bus=ide.0'],
  [
    'VNC on a loopback port QEMU chooses',
    { vnc: { passwordFile: '/run/p,w' } },
    '-object secret,id=vnc0,file=/run/p,,w -vnc 127.0.0.1:0,to=99,password-secret=vnc0',
  ],
  ['a usb card brings its controller', { nic: 'usb' }, 'usb-net,netdev=net0,bus=usb.0'],
  [
    'a screen of amd64 leaves the PS/2 keyboard',
    { video: 'virtio' },
    '-device virtio-vga -device usb-tablet,bus=usb.0',
    'usb-kbd',
  ],
  [
    'a screen of arm64 brings a keyboard',
    { arch: 'arm64', video: 'standard' },
    '-device ramfb -device usb-kbd,bus=usb.0 -device usb-tablet,bus=usb.0',
  ],
  ['extra arguments come last', { extraArgs: ['-device', 'edu'] }, '-device edu'],
];

for (const [what, spec, has, hasNot] of FORMS) {
  test(what, () => {
    const text = argvOf(spec).join(' ');
    expect(text).toContain(has);
    if (hasNot !== undefined) expect(text).not.toContain(hasNot);
  });
}

test('a firmware of one file is written to, a stateless one is not', () => {
  const combined = argvOf({}, { firmware: { ...FIRMWARE, mode: 'combined', vars: undefined } }).join(' ');
  expect(combined).toContain('if=pflash,unit=0,format=raw,file=/firmware/code.fd');
  const stateless = argvOf({}, { firmware: { ...FIRMWARE, mode: 'stateless', vars: undefined } }).join(' ');
  expect(stateless).toContain('if=pflash,unit=0,format=raw,readonly=on,file=/firmware/code.fd');
  expect(stateless).not.toContain('unit=1');
});

test('on a host of weaker memory order the guest has one thread', () => {
  const accelerator = { kind: 'tcg', cpu: 'Westmere', threads: 'single' } as const;
  expect(argvOf({}, { accelerator }).join(' ')).toContain('-accel tcg,thread=single');
});

const DISK = { path: '/d', format: 'raw' } as const;
const REFUSED: readonly (readonly [code: string, spec: Partial<MachineSpec>, why: string])[] = [
  ['machine.no-bios', { arch: 'arm64', firmware: 'bios' }, 'arm64 starts by UEFI'],
  ['machine.secure-boot', { firmware: 'bios', secureBoot: true }, 'it is a part of UEFI'],
  ['machine.network', { network: 'none' }, 'SSH needs a network'],
  ['machine.network', { ssh: false, network: 'none', forwards: [{ protocol: 'tcp', guestPort: 1 }] }, 'so do forwards'],
  ['machine.nic', { arch: 'arm64', nic: 'vmxnet3' }, 'a card of the PC'],
  ['machine.forward', { forwards: [{ protocol: 'tcp', guestPort: 0 }] }, 'no port'],
  ['machine.forward', { forwards: [{ protocol: 'tcp', guestPort: 65536 }] }, 'no port'],
  ['machine.topology', { topology: { sockets: 1, cores: 1, threads: 1 } }, '1 is not 2'],
  ['machine.disk-interface', { disks: [{ ...DISK, media: 'cdrom', interface: 'virtio' }] }, 'no such CD'],
  ['machine.disk-interface', { disks: [{ ...DISK, media: 'cdrom', interface: 'nvme' }] }, 'no such CD'],
  ['machine.no-floppy', { arch: 'arm64', disks: [{ ...DISK, media: 'floppy' }] }, 'no drive'],
  ['machine.too-many-disks', { disks: Array(3).fill({ ...DISK, media: 'floppy' }) }, 'two drives'],
  ['machine.too-many-disks', { disks: Array(7).fill({ ...DISK, interface: 'sata' }) }, 'six ports'],
  ['machine.extra-args', { extraArgs: ['-m', '4G'] }, 'compose sets the memory'],
];

test.each(REFUSED)('%s: %j', (code, spec, why) => {
  expect(() => argvOf(spec), why).toThrow(
    expect.objectContaining({ code, exitCode: 2, hint: expect.stringMatching(/\.$/) }),
  );
});

test('the forwards QEMU bound are read from its answer', () => {
  const text =
    'Hub -1 (net0):\r\n  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\r\n' +
    '  TCP[HOST_FORWARD]  14       127.0.0.1 40001       10.0.2.15    22     0     0\r\n' +
    '  TCP[ESTABLISHED]   20       127.0.0.1 40001       10.0.2.15    22     0     0\r\n' +
    '  UDP[HOST_FORWARD]  15       127.0.0.1 40002       10.0.2.15    53     0     0\r\n';
  expect(boundForwards(text)).toEqual([
    { protocol: 'tcp', host: '127.0.0.1', port: 40001, guestPort: 22 },
    { protocol: 'udp', host: '127.0.0.1', port: 40002, guestPort: 53 },
  ]);
});

test('options are written and read with their commas', () => {
  const text = joinOptions('socket', { id: 'a', path: '/x,y,,z' });
  expect(text).toBe('socket,id=a,path=/x,,y,,,,z');
  expect(readOptions(text)).toEqual({
    word: 'socket',
    pairs: [
      ['id', 'a'],
      ['path', '/x,y,,z'],
    ],
  });
  expect(readOptions('server,wait=off,x')).toEqual({
    word: 'server',
    pairs: [
      ['wait', 'off'],
      ['x', 'on'],
    ],
  });
  expect(readOptions('{"driver":"edu","id":"e","addr":{"host":"::","server":true}}')).toEqual({
    word: 'edu',
    pairs: [
      ['driver', 'edu'],
      ['id', 'e'],
      ['addr.host', '::'],
      ['addr.server', 'on'],
    ],
  });
});

test.each([
  ['q35', 'pc-q35-'],
  ['pc-q35-7.2', 'pc-q35-'],
  ['pc', 'pc-i440fx-'],
  ['pc-i440fx-7.2', 'pc-i440fx-'],
  ['virt-7.2', 'virt-'],
  ['virt,gic-version=2', 'virt-'],
  ['microvm', 'microvm-'],
])('descriptors name -machine %s by %s', (type, name) => {
  expect(descriptorMachine(type)).toBe(name);
});
