import { joinOptions } from './argv-options.ts';
import { BOARDS } from './board.ts';
import { hasNetwork, type MachineSpec, type PortForward } from './spec.ts';

const SSH: PortForward = { protocol: 'tcp', guestPort: 22 };

/** A forward as QEMU bound it. */
export interface BoundForward extends PortForward {
  readonly host: string;
  readonly port: number;
}

/** User-mode network with its forwards. On port 0 QEMU binds a free port itself: nobody can take it in between. */
export function networkArgv(spec: MachineSpec): string[] {
  if (!hasNetwork(spec)) return [];
  const forwards = [...(spec.ssh ? [SSH] : []), ...(spec.forwards ?? [])];
  const netdev = forwards.map(({ protocol, guestPort }) => `,hostfwd=${protocol}:127.0.0.1:0-:${guestPort}`);
  const nic = spec.nic ?? 'virtio';
  const bus = nic === 'usb' ? { bus: 'usb.0' } : {};
  const device = BOARDS[spec.arch].nics[nic] ?? 'virtio-net-pci';
  return ['-netdev', `user,id=net0${netdev.join('')}`, '-device', joinOptions(device, { netdev: 'net0', ...bus })];
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
