/**
 * Program that QEMU starts for each connection of a guest to one of its services (src/machine/argv-network.ts): carries bytes
 * between standard input, which is a socket to the guest, and the port of the loopback address that is its argument. It ends
 * with the connection, and so with QEMU or with compose, whichever goes first.
 */
import { connect, Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';

// One socket for both ways: as process.stdout it would be made to block, and reading from it with it.
const guest = new Socket({ fd: 0, readable: true, writable: true, allowHalfOpen: true });
const service = connect({ host: '127.0.0.1', port: Number(process.argv[2]), allowHalfOpen: true });
try {
  await Promise.all([pipeline(guest, service), pipeline(service, guest)]);
} catch {
  // Whoever is left sees that the other is gone.
  guest.destroy();
  service.destroy();
}
