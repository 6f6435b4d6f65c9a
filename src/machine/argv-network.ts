import { fileURLToPath } from 'node:url';
import { shellWord } from '../formats/shell-word.ts';
import { builtModule } from '../host/built-module.ts';
import { escapeComma, joinOptions } from './argv-options.ts';
import { BOARDS } from './board.ts';
import { type GuestService, hasNetwork, type MachineSpec, type PortForward } from './spec.ts';

const SSH: PortForward = { protocol: 'tcp', guestPort: 22 };

/** A forward as QEMU bound it. */
export interface BoundForward extends PortForward {
  readonly host: string;
  readonly port: number;
}

/**
 * User-mode network with its forwards. On port 0 QEMU binds a free port itself: nobody can take it in between. `restrict`
 * leaves the guest with the forwards alone, those into it and those to its services (QEMU's manual, -netdev user).
 */
export function networkArgv(spec: MachineSpec): string[] {
  if (!hasNetwork(spec)) return [];
  const forwards = [...(spec.ssh ? [SSH] : []), ...(spec.forwards ?? [])];
  const netdev = forwards.map(({ protocol, guestPort }) => `,hostfwd=${protocol}:127.0.0.1:0-:${guestPort}`);
  const closed = spec.network === 'private' ? ',restrict=on' : '';
  const services = (spec.services ?? []).map((service) => `,guestfwd=${escapeComma(relay(service))}`);
  const nic = spec.nic ?? 'virtio';
  const bus = nic === 'usb' ? { bus: 'usb.0' } : {};
  const device = BOARDS[spec.arch].nics[nic] ?? 'virtio-net-pci';
  return [
    '-netdev',
    `user,id=net0${closed}${netdev.join('')}${services.join('')}`,
    '-device',
    joinOptions(device, { netdev: 'net0', ...bus }),
  ];
}

/**
 * A service as `guestfwd` takes it. To a character device QEMU keeps one connection for all of the guest's; a command it
 * starts for each. It splits the command as a shell does (g_shell_parse_argv); an older libslirp at spaces alone, so that only
 * what needs quotes has them.
 */
function relay({ address, port, hostPort }: GuestService): string {
  const program = fileURLToPath(builtModule(import.meta.url, './service-relay.js'));
  return `tcp:${address}:${port}-cmd:${[process.execPath, program, String(hostPort)].map(shellWord).join(' ')}`;
}

/** The forwards in QEMU's answer to `info usernet`. */
export function boundForwards(text: string): BoundForward[] {
  const lines = text.matchAll(/(TCP|UDP)\[HOST_FORWARD\]\s+-?\d+\s+([\d.]+)\s+(\d+)\s+\S+\s+(\d+)\s/g);
  return [...lines].map(([, protocol, host = '', port, guestPort]) => ({
    protocol: protocol === 'TCP' ? 'tcp' : 'udp',
    host,
    port: Number(port),
    guestPort: Number(guestPort),
  }));
}
