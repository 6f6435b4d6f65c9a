import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { MachineError } from '../errors.ts';
import type { QmpEvent } from '../formats/qmp.ts';
import type { QmpPort } from './screen.ts';

/** Where a VNC viewer reaches a guest's screen: a socket file, or a loopback port that QEMU finds free by itself. */
export type ViewPlace = { readonly kind: 'unix'; readonly path: string } | { readonly kind: 'port' };

/** `socket`: a file that only its owner can open. `port`: a loopback port, which every user of the host can reach. */
export type ViewKind = 'socket' | 'port';

/** How to look, for one viewer and for a while. */
export interface View extends Disposable {
  /** `unix:/path`, or `127.0.0.1:5901`. */
  readonly address: string;
  /** Eight characters, which is all that VNC takes (RFC 6143 section 7.2.2). */
  readonly password: string;
}

/** What is needed of a QMP session here; `QmpSession` is one. */
export interface QmpEvents extends QmpPort {
  onEvent(listener: (event: QmpEvent) => void): Disposable;
}

/** Letters and digits that no two of look alike: eight of them are 39 bits. */
const ALPHABET = 'abcdefghijkmnpqrstuvwxyz23456789';
const LENGTH = 8;
/** Ports tried by QEMU, from 5900 on. */
const PORTS = 999;
/** How long the password is good for when nobody comes, seconds. */
const EXPIRY_S = 3600;

/** Where a view of `kind` is; `folder` is the run's folder of sockets. */
export function viewPlace(kind: ViewKind | undefined, folder: string): ViewPlace | undefined {
  if (kind === undefined) return undefined;
  return kind === 'port' ? { kind } : { kind: 'unix', path: join(folder, 'view') };
}

/** A viewer's command for an address of a `View`, as TigerVNC takes it: a path is a socket, two colons a port. */
export function viewerCommand(address: string): string {
  if (address.startsWith('unix:')) return `vncviewer ${address.slice('unix:'.length)}`;
  const colon = address.lastIndexOf(':');
  return `vncviewer ${address.slice(0, colon)}::${address.slice(colon + 1)}`;
}

/** QEMU's arguments for a view. Until `openView` has set a password QEMU lets nobody in. */
export function viewArgv(place: ViewPlace): string[] {
  const at = place.kind === 'unix' ? `unix:${place.path.replaceAll(',', ',,')}` : `127.0.0.1:0,to=${PORTS}`;
  return ['-vnc', `${at},password=on`];
}

/**
 * Sets the password of a machine that was started with `viewArgv`, once QMP is connected. It lets one viewer in: it expires as
 * soon as somebody has used it, or after an hour.
 * @throws MachineError `view.none` when the machine has no VNC server
 */
export async function openView(qmp: QmpEvents, options: { readonly expirySeconds?: number } = {}): Promise<View> {
  const password = Array.from({ length: LENGTH }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');
  const server = (await qmp.command('query-vnc', {})) as {
    enabled?: boolean;
    host?: string;
    service?: string;
    family?: string;
  };
  if (server.enabled !== true || server.host === undefined) {
    throw new MachineError('view.none', 'Cannot show the screen: this machine was started without a view', {
      hint: 'Start it with --view, or use compose attach, which needs none.',
    });
  }
  const listener = qmp.onEvent(({ event }) => {
    // After the password was accepted, not at the connection: a wrong one leaves the right one good.
    if (event === 'VNC_INITIALIZED') {
      listener[Symbol.dispose]();
      expire(qmp, 'now').catch(() => {});
    }
  });
  try {
    await qmp.command('set_password', { protocol: 'vnc', password });
    await expire(qmp, `+${options.expirySeconds ?? EXPIRY_S}`);
  } catch (error) {
    listener[Symbol.dispose]();
    throw error;
  }
  const address = server.family === 'unix' ? `unix:${server.service}` : `${server.host}:${server.service}`;
  return { address, password, [Symbol.dispose]: () => listener[Symbol.dispose]() };
}

async function expire(qmp: QmpPort, time: string): Promise<void> {
  await qmp.command('expire_password', { protocol: 'vnc', time });
}
