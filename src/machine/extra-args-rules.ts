import type { QemuOptions } from './argv-options.ts';

export interface Rule {
  /** compose's own field for it; `none` where there is none. */
  readonly field: string;
  readonly why: string;
}

const rule = (field: string, why: string): Rule => ({ field, why });

const CONTROL = rule('none', 'compose alone controls the machine, over QMP');
const SERIAL = rule('none', 'the first serial line is compose’s; add another by -chardev and -device');
const DISPLAY = rule('video', 'a build shows nothing on the host');
const DISKS = rule('disks', 'compose numbers the drives');
const ENDS = rule('none', 'compose decides how a machine ends');
const LIFE = rule('none', 'QEMU lives and dies with compose');
const PROCESSORS = rule('cpus', 'the processors are set already');
const ACCELERATOR = rule('accelerator', 'the accelerator is proved and chosen by compose');
const STATE = rule('none', 'a build starts from its disks, not from a saved state');
const PRINTS = rule('none', 'QEMU prints something and ends');
const MACHINE = rule('machineType', 'the machine type is set already');
const FIRMWARE = rule('firmware', 'the firmware is found by its descriptor');
const KERNEL = rule('kernel', 'direct boot is a field');
const FILE = rule('none', 'the file may hold anything, also what compose manages');

/** Options that are compose's, whatever their value. */
export const MANAGED: Readonly<Record<string, Rule>> = {
  qmp: CONTROL,
  'qmp-pretty': CONTROL,
  mon: CONTROL,
  monitor: CONTROL,
  qtest: CONTROL,
  'qtest-log': CONTROL,
  preconfig: CONTROL,
  S: rule('none', 'compose starts the guest when it listens to it'),
  serial: SERIAL,
  nographic: rule('none', 'it takes the serial line and the display, which are compose’s'),
  display: DISPLAY,
  sdl: DISPLAY,
  curses: DISPLAY,
  'full-screen': DISPLAY,
  vga: DISPLAY,
  name: rule('name', 'the name is set already'),
  daemonize: LIFE,
  pidfile: LIFE,
  chroot: LIFE,
  runas: LIFE,
  'run-with': LIFE,
  'no-reboot': ENDS,
  'no-shutdown': ENDS,
  action: ENDS,
  'watchdog-action': ENDS,
  'no-acpi': rule('none', 'the power button needs ACPI'),
  accel: ACCELERATOR,
  'enable-kvm': ACCELERATOR,
  'xen-attach': ACCELERATOR,
  'xen-domid': ACCELERATOR,
  'xen-domid-restrict': ACCELERATOR,
  machine: MACHINE,
  M: MACHINE,
  cpu: rule('cpuModel', 'the CPU model is set already'),
  smp: PROCESSORS,
  m: rule('memory', 'the memory is set already'),
  bios: FIRMWARE,
  pflash: FIRMWARE,
  kernel: KERNEL,
  initrd: KERNEL,
  append: KERNEL,
  dtb: rule('none', 'QEMU makes the device tree of this machine'),
  hda: DISKS,
  hdb: DISKS,
  hdc: DISKS,
  hdd: DISKS,
  cdrom: DISKS,
  fda: DISKS,
  fdb: DISKS,
  sd: DISKS,
  mtdblock: DISKS,
  snapshot: rule('disks', 'it would throw away what the guest writes'),
  loadvm: STATE,
  incoming: STATE,
  nodefaults: rule('none', 'it is set already'),
  'no-user-config': rule('none', 'it is set already'),
  readconfig: FILE,
  writeconfig: FILE,
  s: rule('none', 'it listens on every address; -gdb tcp:127.0.0.1:1234 does not'),
  h: PRINTS,
  help: PRINTS,
  version: PRINTS,
  'audio-help': PRINTS,
};

/** Loopback by number or name; an empty host is every address. */
function isLoopback(host: string): boolean {
  return /^(127(\.\d{1,3}){3}|localhost|::1|\[::1\])$/.test(host);
}

const open = (field: string, host: string): Rule =>
  rule(field, `it listens on ${host === '' ? 'every address' : host}, not on loopback alone`);

const STDIO = rule('none', 'standard input and output are not a terminal in a build');

/** `host` of `host:port`, where the host may be in brackets. */
function hostOf(address: string): string {
  return address.slice(0, Math.max(0, address.lastIndexOf(':')));
}

/** A character device as the old one-word form writes it: tcp:host:port,server=on and its like (-gdb, -parallel, …). */
function oldCharacterDevice({ word, pairs }: QemuOptions, text: string): Rule | undefined {
  if (text === 'stdio' || /^mon:stdio/.test(text)) return STDIO;
  const match = /^(tcp|telnet|websocket|udp):(.*)$/.exec(word ?? '');
  if (match === null) return undefined;
  const [, kind, address = ''] = match;
  // udp:remote@local; without a local part any port of any address is taken.
  if (kind === 'udp') {
    const local = address.split('@')[1];
    return local === undefined || isLoopback(hostOf(local)) ? undefined : open('none', hostOf(local));
  }
  const server = pairs.some(([key, value]) => key === 'server' && value !== 'off');
  return server && !isLoopback(hostOf(address)) ? open('none', hostOf(address)) : undefined;
}

function characterDevice({ word, pairs }: QemuOptions): Rule | undefined {
  const value = (...keys: string[]): string | undefined => pairs.findLast(([key]) => keys.includes(key))?.[1];
  const backend = word ?? value('backend');
  if (backend === 'stdio') return STDIO;
  if (backend === 'udp') {
    const local = value('localaddr') ?? '';
    return value('localport') === undefined || isLoopback(local) ? undefined : open('none', local);
  }
  if (backend === 'vc') return rule('none', 'a build shows nothing on the host');
  if (backend !== 'socket' || value('path') !== undefined || value('fd') !== undefined) return undefined;
  const host = value('host') ?? '';
  return (value('server') ?? 'off') !== 'off' && !isLoopback(host) ? open('none', host) : undefined;
}

function network({ word, pairs }: QemuOptions): Rule | undefined {
  if (word === 'none') return rule('network', 'a machine without network has network: none');
  for (const [key, value] of pairs) {
    // hostfwd=[tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport
    if (key === 'hostfwd') {
      const from =
        value
          .replace(/^(tcp|udp):/, '')
          .replace(/^:/, '')
          .split('-')[0] ?? '';
      const host = hostOf(from);
      if (!isLoopback(host)) return open('forwards', host);
    }
    if (key === 'listen' && !isLoopback(hostOf(value))) return open('none', hostOf(value));
    if (key === 'mcast' && !pairs.some(([name, at]) => name === 'localaddr' && isLoopback(at)))
      return open('none', value);
    if (key === 'localaddr' && !isLoopback(value.replace(/:\d+$/, ''))) return open('none', value);
  }
  const value = (key: string): string | undefined => pairs.find(([name]) => name === key)?.[1];
  const socket = word === 'stream' || word === 'dgram' || value('type') === 'stream' || value('type') === 'dgram';
  const listens = value('server') === 'on' || value('server') === 'true' || value('local.type') !== undefined;
  const host = value('addr.host') ?? value('local.host');
  const inet = value('addr.type') === 'inet' || value('local.type') === 'inet';
  return socket && listens && inet && !isLoopback(host ?? '') ? open('none', host ?? '') : undefined;
}

function vnc({ word = '', pairs }: QemuOptions): Rule | undefined {
  // websocket=port listens where the display does; with a host it listens there.
  const websocket = pairs.find(([key]) => key === 'websocket')?.[1] ?? '';
  if (websocket.includes(':') && !isLoopback(hostOf(websocket))) return open('vnc', hostOf(websocket));
  if (word === 'none' || word.startsWith('unix:')) return undefined;
  if (pairs.some(([key, value]) => key === 'reverse' && value !== 'off')) return undefined;
  return isLoopback(hostOf(word)) ? undefined : open('vnc', hostOf(word));
}

function spice({ pairs }: QemuOptions): Rule | undefined {
  const value = (key: string): string | undefined => pairs.find(([name]) => name === key)?.[1];
  if (value('unix') === 'on') return undefined;
  const host = value('addr') ?? '';
  const listens = value('port') !== undefined || value('tls-port') !== undefined;
  return listens && !isLoopback(host) ? open('vnc', host) : undefined;
}

/** -gdb device listens always, whether or not it says so. */
function debuggerStub(options: QemuOptions, text: string): Rule | undefined {
  const match = /^(?:tcp|telnet):(.*)$/.exec(options.word ?? '');
  if (match !== null) return isLoopback(hostOf(match[1] ?? '')) ? undefined : open('none', hostOf(match[1] ?? ''));
  return oldCharacterDevice(options, text);
}

type Check = (options: QemuOptions, text: string) => Rule | undefined;

/** Options that may make QEMU listen, and what they may not do. */
export const LISTENERS: Readonly<Record<string, Check>> = {
  chardev: characterDevice,
  parallel: oldCharacterDevice,
  debugcon: oldCharacterDevice,
  gdb: debuggerStub,
  netdev: network,
  nic: network,
  net: network,
  vnc,
  spice,
};
