/** The network that a rehearsal's machines are on, as they see it. Addresses are those of QEMU's user network (net/slirp.c). */
import type { MachineSpec } from '../machine/spec.ts';

/** `private`: the metadata service and nothing else. `open`: whatever this host reaches, for images that need packages. */
export type RehearsalNetwork = 'private' | 'open';

export const MACHINE = { address: '10.0.2.15', prefix: 24, gateway: '10.0.2.2' } as const;

/** What the user network calls the host. */
const HOST = '10.0.2.2';
const RESOLVER = '10.0.2.3';
/** The rack controller of a private network: an address of its own, with the port that MAAS's racks have. */
const RACK = { address: '10.0.2.100', port: 5248 } as const;

/** Where a guest finds the service on `port` of this host, no slash at the end. */
export function guestUrl(network: RehearsalNetwork, port: number): string {
  return network === 'open' ? `http://${HOST}:${port}` : `http://${RACK.address}:${RACK.port}`;
}

/** None on a private network, where a question to a resolver would be waited for until its time is up. */
export function resolverOf(network: RehearsalNetwork): string | undefined {
  return network === 'open' ? RESOLVER : undefined;
}

export function machineNetwork(network: RehearsalNetwork, port: number): Pick<MachineSpec, 'network' | 'services'> {
  if (network === 'open') return { network: 'user' };
  return { network: 'private', services: [{ ...RACK, hostPort: port }] };
}
