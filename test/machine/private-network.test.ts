import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { NETWORK, networkGuest } from '../../fixtures/network-guest.ts';
import { quietContext } from '../../src/events.ts';
import { startMachine } from '../../src/machine/start.ts';

const LONG = 300_000;
const MIB = 1024 * 1024;
/** As much as fits into an argument of the guest's. */
const POSTED = 100_000;

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-private-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Answers GET with `text` and POST with the length of what came. */
async function serve(text: Buffer): Promise<{ readonly server: Server; readonly port: number; asked(): number }> {
  let asked = 0;
  const server = createServer((request, response) => {
    asked++;
    let length = 0;
    request.on('data', (chunk: Buffer) => (length += chunk.length));
    request.on('end', () => response.end(request.method === 'POST' ? String(length) : text));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, port: (server.address() as AddressInfo).port, asked: () => asked };
}

test(
  'a guest on a private network reaches its services, many times and both ways, and nothing else of the host',
  async () => {
    const service = await serve(Buffer.alloc(3 * MIB, 'compose'));
    const other = await serve(Buffer.from('not for guests'));
    const url = 'http://10.0.2.100:5248/';
    const script = `${NETWORK}
echo "address: $(ip -4 -o addr show eth0 | awk '{ print $4 }')"
for n in 1 2 3; do wget -q -O - ${url} | wc -c; done
echo "posted: $(wget -q -O - --post-data "$(head -c ${POSTED} /dev/zero | tr '\\0' x)" ${url})"
wget -q -T 10 -O - http://10.0.2.2:${other.port}/ && echo reached the host
wget -q -T 10 -O - http://10.0.2.100:${other.port}/ && echo reached another port
echo done; sleep 1; poweroff -f`;
    const services = [{ address: '10.0.2.100', port: 5248, hostPort: service.port }];
    const spec = { ...(await networkGuest(folder, { script })), network: 'private', services } as const;
    try {
      await using machine = await startMachine(spec, { runDir: folder, policy: 'tcg' }, quietContext());
      await machine.shutdown({ ask: async () => {}, budgetMs: LONG });
    } finally {
      for (const { server } of [service, other]) {
        server.closeAllConnections();
        server.close();
      }
    }
    const serial = readFileSync(join(folder, 'serial.log'), 'utf8').replaceAll('\r', '');
    expect(serial).toMatch(/^address: 10\.0\.2\.15\//m);
    expect(serial.match(new RegExp(`^${3 * MIB}$`, 'gm')), serial).toHaveLength(3);
    expect(serial).toContain(`posted: ${POSTED}\n`);
    expect(serial).not.toContain('reached');
    expect(other.asked()).toBe(0);
    expect(serial).toMatch(/^done$/m);
  },
  LONG,
);
