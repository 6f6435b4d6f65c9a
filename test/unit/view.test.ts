import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { viewKind, viewTeller } from '../../src/cli/view-flag.ts';
import type { ComposeEvent } from '../../src/events.ts';
import { quietContext } from '../../src/events.ts';
import { machineArgv } from '../../src/machine/argv.ts';
import type { MachineSpec } from '../../src/machine/spec.ts';
import { startMachine } from '../../src/machine/start.ts';
import { viewerCommand, viewPlace } from '../../src/machine/view.ts';

const SPEC: MachineSpec = {
  name: 'x',
  arch: 'amd64',
  memory: 128 * 1024 * 1024,
  cpus: 1,
  firmware: 'bios',
  ssh: true,
  disks: [{ path: '/run/disk', format: 'qcow2' }],
};
const RUN = { accelerator: { kind: 'tcg', cpu: 'Westmere' }, firmware: undefined } as const;
const PATHS = { qmpSocket: '/s/qmp', serialSocket: '/s/serial', serialLog: '/run/serial.log' };

const argvOf = (spec: Partial<MachineSpec>, view?: 'socket' | 'port'): string[] =>
  machineArgv({ ...SPEC, ...spec }, { ...RUN, ...PATHS, view: viewPlace(view, '/s') });

test.each(['amd64', 'arm64'] as const)('a view adds to the arguments of %s and moves no other device', (arch) => {
  const firmware = arch === 'arm64' ? 'uefi' : 'bios';
  const without = argvOf({ arch, firmware });
  const added = argvOf({ arch, firmware }, 'socket');
  expect(added.slice(0, without.length)).toEqual(without);
  const graphics = arch === 'amd64' ? 'VGA' : 'ramfb';
  expect(added.slice(without.length).join(' ')).toMatch(
    new RegExp(
      `^-device qemu-xhci,id=usb -device ${graphics} .*-device usb-tablet,bus=usb.0 -vnc unix:/s/view,password=on$`,
    ),
  );
});

test('a machine with an adapter of its own keeps it', () => {
  const added = argvOf({ video: 'virtio' }, 'port');
  expect(added.slice(0, -2)).toEqual(argvOf({ video: 'virtio' }));
  expect(added.slice(-2)).toEqual(['-vnc', '127.0.0.1:0,to=999,password=on']);
  expect(argvOf({ nic: 'usb' }, 'port').filter((one) => one.startsWith('qemu-xhci'))).toHaveLength(1);
});

test('a machine with a VNC server of its own has no view beside it', async () => {
  const starting = startMachine(
    { ...SPEC, vnc: { unix: '/s/vnc' } },
    { runDir: '/none', view: 'port' },
    quietContext(),
  );
  await expect(starting).rejects.toMatchObject({ code: 'view.twice' });
});

test('the flags: none, a socket, a port', () => {
  const kind = (view: boolean, port: boolean): string | undefined => viewKind({ view, 'view-port': port });
  expect([kind(false, false), kind(true, false), kind(false, true), kind(true, true)]).toEqual([
    undefined,
    'socket',
    'port',
    'port',
  ]);
});

test('the command of a viewer', () => {
  expect(viewerCommand('unix:/tmp/compose-a1/view')).toBe('vncviewer /tmp/compose-a1/view');
  expect(viewerCommand('127.0.0.1:5901')).toBe('vncviewer 127.0.0.1::5901');
});

test.each([undefined, 'plain', 'ndjson'] as const)(
  'the password is written for who asked, and told in no event: %s',
  async (log) => {
    const events: ComposeEvent[] = [];
    const output = new PassThrough();
    const context = { ...quietContext(), emit: (event: ComposeEvent) => void events.push(event) };
    const tell = await viewTeller({ log }, output, context);
    tell({ address: '127.0.0.1:5901', password: 'abcd2345' });
    const text = String(output.read());
    expect(JSON.stringify(events)).not.toContain('abcd2345');
    if (log === 'ndjson') {
      expect(JSON.parse(text)).toMatchObject({
        type: 'view',
        address: '127.0.0.1:5901',
        password: 'abcd2345',
        command: 'vncviewer 127.0.0.1::5901',
      });
      return;
    }
    expect(events.map((event) => event.type === 'terminal' && event.state)).toEqual(['taken', 'free']);
    expect(text).toContain('vncviewer 127.0.0.1::5901');
    expect(text).toContain('abcd2345');
  },
);
