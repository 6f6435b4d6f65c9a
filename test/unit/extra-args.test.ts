import { expect, test } from 'vitest';
import { random } from '../../fixtures/fuzz.ts';
import { isComposeError } from '../../src/errors.ts';
import { machineArgv } from '../../src/machine/argv.ts';
import { readOptions } from '../../src/machine/argv-options.ts';
import { checkExtraArgs } from '../../src/machine/extra-args.ts';

/** The arguments of a machine with one of everything that has a name. */
const MANAGED = machineArgv(
  {
    name: 'm',
    arch: 'amd64',
    memory: 1024 ** 3,
    cpus: 1,
    firmware: 'bios',
    ssh: true,
    video: 'standard',
    vnc: { passwordFile: '/run/p' },
    disks: [
      { path: '/d', format: 'raw' },
      { path: '/c', format: 'raw', media: 'cdrom', interface: 'scsi' },
    ],
  },
  {
    accelerator: { kind: 'tcg', cpu: 'Westmere' },
    firmware: undefined,
    qmpSocket: '/s/qmp',
    serialSocket: '/s/serial',
    serialLog: '/run/serial.log',
    tpmSocket: '/s/tpm',
  },
);

const REFUSED: readonly (readonly [argv: string, field: string, reason: string])[] = [
  ['-qmp unix:/tmp/x,server=on', 'none', 'a second controller'],
  ['-qmp-pretty stdio', 'none', 'the same, indented'],
  ['-mon chardev=x', 'none', 'the same by parts'],
  ['-monitor stdio', 'none', 'a person at standard input there is not'],
  ['-monitor unix:/tmp/m,server=on', 'none', 'a second controller'],
  ['-qtest stdio', 'none', 'it drives the clock'],
  ['-preconfig', 'none', 'QEMU waits for a command compose does not send'],
  ['--preconfig', 'none', 'two dashes are one'],
  ['-serial stdio', 'none', 'the console compose listens to becomes the second line'],
  ['--serial none', 'none', 'two dashes are one'],
  ['-nographic', 'none', 'it moves the serial line and the monitor'],
  ['-display gtk', 'video', 'a build has no window'],
  ['-sdl', 'video', 'the old form'],
  ['-curses', 'video', 'it takes the terminal'],
  ['-full-screen', 'video', 'there is no window'],
  ['-vga std', 'video', 'a second card'],
  ['-name x', 'name', 'it would rename the machine'],
  ['-S', 'none', 'it is there already'],
  ['-daemonize', 'none', 'it would outlive compose'],
  ['-pidfile /tmp/p', 'none', 'it outlives the machine'],
  ['-chroot /x', 'none', 'paths of QMP would mean something else'],
  ['-runas nobody', 'none', 'the process would no longer be compose’s to end'],
  ['-run-with async-teardown=on', 'none', 'the same in newer releases'],
  ['-no-reboot', 'none', 'reboots are steps of a build'],
  ['-no-shutdown', 'none', 'the end of QEMU is the proof of a clean power-off'],
  ['-action panic=none', 'none', 'a panic has to be seen'],
  ['-watchdog-action none', 'none', 'the old form'],
  ['-no-acpi', 'none', 'the power button would be deaf'],
  ['-accel kvm', 'accelerator', 'it is proved, not asked for'],
  ['-enable-kvm', 'accelerator', 'the old form'],
  ['--enable-kvm', 'accelerator', 'two dashes are one'],
  ['-xen-attach', 'accelerator', 'another machine'],
  ['-machine pc', 'machineType', 'the last -machine wins'],
  ['-M pc,accel=tcg', 'machineType', 'the short form'],
  ['-cpu max', 'cpuModel', 'the last -cpu wins'],
  ['-m 4G', 'memory', 'the last -m wins'],
  ['-smp 8', 'cpus', 'the last -smp wins'],
  ['-bios /x', 'firmware', 'it replaces the firmware'],
  ['-pflash /x', 'firmware', 'so does this'],
  ['-drive if=pflash,unit=0,file=/x', 'firmware', 'and this'],
  ['-kernel /x', 'kernel', 'direct boot'],
  ['-initrd /x', 'kernel', 'direct boot'],
  ['-append quiet', 'kernel', 'direct boot'],
  ['-dtb /x', 'none', 'it describes another machine'],
  ['-hda /x', 'disks', 'the numbered forms take slots'],
  ['-cdrom /x', 'disks', 'so does this'],
  ['-fda /x', 'disks', 'and this'],
  ['-sd /x', 'disks', 'and this'],
  ['disk.img', 'disks', 'a bare word is -hda'],
  ['-snapshot', 'disks', 'nothing the guest writes would stay'],
  ['-loadvm x', 'none', 'the guest would not boot'],
  ['-incoming tcp:0:4444', 'none', 'it waits for another QEMU, on every address'],
  ['-nodefaults', 'none', 'it is there already'],
  ['-no-user-config', 'none', 'it is there already'],
  ['-readconfig /x', 'none', 'it may hold anything'],
  ['-boot c', 'disks', 'the order is that of the disks'],
  ['-boot order=nd', 'disks', 'the same with its key'],
  ['-boot menu=on,once=d', 'disks', 'the same once'],
  ['-s', 'none', 'a debugger on every address'],
  ['-gdb tcp::1234', 'none', 'the same in full'],
  ['-gdb tcp:0.0.0.0:1234', 'none', 'the same in fuller'],
  ['-gdb stdio', 'none', 'no terminal'],
  ['-parallel tcp::5000,server=on', 'none', 'a listener on every address'],
  ['-parallel telnet:10.0.0.1:5000,server', 'none', 'a listener'],
  ['-debugcon mon:stdio', 'none', 'no terminal'],
  ['-parallel udp::4555@:4556', 'none', 'a listener on every address'],
  ['-vnc :0', 'vnc', 'every address'],
  ['-vnc 0.0.0.0:0', 'vnc', 'the same in numbers'],
  ['-vnc [::]:1', 'vnc', 'the same in version 6'],
  ['-vnc 127.0.0.1:0,websocket=:5700', 'vnc', 'the websocket listens elsewhere'],
  ['-spice port=5900', 'vnc', 'every address'],
  ['-spice port=5900,addr=10.1.1.1', 'vnc', 'another address'],
  ['-chardev socket,id=x,port=1,server=on', 'none', 'every address'],
  ['-chardev socket,id=x,host=0.0.0.0,port=1,server', 'none', 'the old form of server=on'],
  ['-chardev udp,id=x,port=1,localport=2', 'none', 'every address'],
  ['-chardev stdio,id=x', 'none', 'no terminal'],
  ['-chardev vc,id=x', 'none', 'no window'],
  ['-netdev user,id=n,hostfwd=tcp::2222-:22', 'forwards', 'an empty host is every address'],
  ['-netdev user,id=n,hostfwd=::2222-:22', 'forwards', 'the protocol may be empty too'],
  ['-netdev user,id=n,hostfwd=tcp:127.0.0.1:1-:1,hostfwd=udp:0.0.0.0:5-:5', 'forwards', 'the second of two'],
  ['-nic user,hostfwd=tcp:192.168.1.1:2222-:22', 'forwards', 'another address'],
  ['-nic none', 'network', 'it takes the network away'],
  ['-net none', 'network', 'the old form'],
  ['-netdev socket,id=n,listen=:1234', 'none', 'a listener'],
  ['-netdev socket,id=n,mcast=230.0.0.1:1234', 'none', 'everybody hears it'],
  ['-netdev socket,id=n,udp=10.0.0.1:1,localaddr=:2', 'none', 'every address'],
  ['-netdev stream,id=n,server=on,addr.type=inet,addr.host=::,addr.port=1', 'none', 'every address'],
  ['-netdev {"type":"stream","id":"n","server":true,"addr":{"type":"inet","host":"","port":"1"}}', 'none', 'as JSON'],
  ['-chardev null,id=qmp', 'none', 'the id of the control socket'],
  ['-chardev null,id=serial0', 'none', 'the id of the console'],
  ['-chardev null,id=tpm', 'tpm', 'the id of the TPM’s socket'],
  ['-drive if=none,id=disk0,file=/x', 'disks', 'the id of a disk'],
  ['-blockdev driver=file,node-name=disk1,filename=/x', 'disks', 'the name of a disk'],
  ['-netdev user,id=net0', 'network', 'the id of the network'],
  ['-device virtio-net-pci,netdev=net0', 'network', 'the network has its card'],
  ['-device virtio-blk-pci,drive=disk0', 'disks', 'the disk has its device'],
  ['-device {"driver":"virtio-blk-pci","drive":"disk0"}', 'disks', 'the same as JSON'],
  ['-device isa-serial,chardev=serial0', 'none', 'the console has its device'],
  ['-device edu,id=scsi', 'disks', 'the id of a controller'],
  ['-device virtio-blk-pci,drive=x,bootindex=0', 'disks', 'the boot index of the first disk'],
  ['-tpmdev passthrough,id=tpm0', 'tpm', 'the id of the TPM'],
  ['-object secret,id=vnc0,file=/x', 'vnc', 'the id of the password'],
  ['-set device.disk0.serial=1', 'disks', 'it changes a device of compose’s'],
  ['-global driver=cfi.pflash01,property=secure,value=off', 'secureBoot', 'it opens the variables'],
  ['-h', 'none', 'QEMU ends'],
  ['--version', 'none', 'QEMU ends'],
  ['-device help', 'none', 'QEMU ends'],
  ['-device edu,help', 'none', 'QEMU ends'],
  ['-object ?', 'none', 'QEMU ends'],
  ['-device', 'none', 'its value is missing'],
];

test.each(REFUSED)('%s is refused (%s): %s', (text, field, reason) => {
  const check = (): void => checkExtraArgs(text.split(' '), MANAGED);
  const option = text.split(' ')[0]?.replace(/^--/, '-');
  expect(check, reason).toThrow(
    expect.objectContaining({
      code: 'machine.extra-args',
      exitCode: 2,
      evidence: expect.objectContaining({ option, field }),
    }),
  );
  expect(check).toThrow(/^Cannot add QEMU's argument "/);
});

const TAKEN: readonly (readonly [argv: string, reason: string])[] = [
  ['-device edu', 'one more device'],
  ['-device edu,id=x -device edu,id=y', 'ids of its own'],
  ['-device scsi-hd,bus=scsi.0,drive=x', 'a bus of compose’s has room'],
  ['-drive if=none,id=x,file=/a,,b', 'one more drive; its comma belongs to the path'],
  ['-drive if=none,id=x,file=/disk0', 'a value that looks like a name of compose’s'],
  ['-device virtio-blk-pci,drive=x,bootindex=9', 'a boot index that is free'],
  ['-netdev user,id=n,hostfwd=tcp:127.0.0.1:0-:80', 'loopback'],
  ['-netdev user,id=n,hostfwd=tcp:127.0.0.1:0-10.0.2.15:80', 'a guest address is no listener'],
  ['-nic user,model=e1000', 'one more card'],
  ['-netdev tap,id=n', 'a network of the host’s'],
  ['-netdev socket,id=n,connect=10.0.0.1:1', 'it listens nowhere'],
  ['-netdev stream,id=n,server=on,addr.type=unix,addr.path=/x', 'a unix socket'],
  ['-chardev socket,id=x,path=/x,server=on', 'a unix socket'],
  ['-chardev socket,id=x,host=10.0.0.1,port=1', 'a client'],
  ['-chardev socket,id=x,host=127.0.0.1,port=1,server=on', 'loopback'],
  ['-chardev file,id=x,path=/x -device isa-serial,chardev=x', 'a second serial line'],
  ['-parallel none', 'no listener'],
  ['-gdb tcp:127.0.0.1:1234', 'loopback'],
  ['-gdb tcp:[::1]:1234', 'loopback of version 6'],
  ['-vnc 127.0.0.1:3', 'loopback'],
  ['-vnc localhost:3,websocket=5700', 'loopback'],
  ['-vnc unix:/x', 'a unix socket'],
  ['-spice unix=on,addr=/x', 'a unix socket'],
  ['-boot menu=on,splash-time=5', 'no order'],
  ['-smbios type=1,serial=x -fw_cfg name=opt/x,string=y -rtc base=utc', 'facts for the guest'],
  ['-usb -device usb-tablet', 'a flag takes no value'],
  ['--device edu', 'two dashes are one'],
  ['-global virtio-net-pci.romfile=', 'a property'],
  ['-set device.mine.serial=1', 'a device of its own'],
  ['-sandbox on,spawn=deny', 'less for QEMU'],
];

test.each(TAKEN)('%s is added: %s', (text, reason) => {
  expect(() => checkExtraArgs(text.split(' '), MANAGED), reason).not.toThrow();
});

test('whatever is given is taken or refused', () => {
  const words = [...REFUSED, ...TAKEN].flatMap(([text]) => text.split(' '));
  const alphabet = '-=,:{}"[]@.%0aid\u0000é';
  for (let seed = 1; seed <= 3000; seed++) {
    const next = random(seed);
    const argv = Array.from({ length: next() % 5 }, () => {
      const word = [...(words[next() % words.length] ?? '')];
      for (let edits = next() % 4; edits > 0; edits--) {
        word.splice(next() % (word.length + 1), next() % 2, alphabet[next() % alphabet.length] ?? '');
      }
      return word.join('');
    });
    try {
      checkExtraArgs(argv, MANAGED);
    } catch (error) {
      expect(isComposeError(error), JSON.stringify(argv)).toBe(true);
    }
  }
});

test('JSON as deep as can be is read or left', () => {
  expect(readOptions(`{"driver":"a","x":${'['.repeat(5000)}${']'.repeat(5000)}}`).word).toBe('a');
  expect(readOptions('{"driver":').pairs).toEqual([]);
  expect(readOptions('{}')).toEqual({ word: undefined, pairs: [] });
});
