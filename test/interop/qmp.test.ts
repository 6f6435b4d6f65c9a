import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SAMPLE_ANSWERS, SAMPLE_ARGUMENTS, SAMPLE_EVENTS } from '../../fixtures/qmp-samples.ts';
import type { MachineError } from '../../src/errors.ts';
import { encodeCommand, LineSplitter, parseQmp, type QmpMessage } from '../../src/formats/qmp.ts';
import { which } from '../../src/host/tools.ts';
import { type QemuProcess, startQemu } from '../../src/machine/process.ts';
import { QmpSession } from '../../src/machine/qmp.ts';
import type { QmpCommandName } from '../../src/machine/qmp-commands.ts';
import { Q_KEY_CODES } from '../../src/machine/qmp-keys.ts';
import type { QmpSchema } from '../../src/machine/qmp-schema.ts';

const QEMU = 'qemu-system-x86_64';
const missing = which(QEMU) === undefined;
const commands = Object.entries(SAMPLE_ARGUMENTS) as [QmpCommandName, Record<string, unknown>][];

/** A QEMU without a machine: its QMP is whole, it takes 30 MB and runs nothing. Two sockets, one for plain bytes. */
describe.skipIf(missing)(`QMP of a real QEMU${missing ? ` (skipped: ${QEMU} is not installed)` : ''}`, () => {
  let folder = '';
  let qemu: QemuProcess;
  let session: QmpSession;
  let schema: QmpSchema;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'qmp-real-'));
    const sockets = ['qmp', 'plain'].flatMap((name) => ['-qmp', `unix:${join(folder, name)},server=on,wait=off`]);
    const ring = ['-chardev', 'ringbuf,id=ring0,size=64'];
    const argv = ['-name', 'real', '-machine', 'none', '-nodefaults', '-no-user-config', '-display', 'none'];
    qemu = await startQemu(QEMU, [...argv, ...ring, ...sockets], folder);
    const up = (): boolean => existsSync(join(folder, 'qmp')) && existsSync(join(folder, 'plain'));
    for (const end = Date.now() + 90_000; !up() && Date.now() < end; ) await new Promise((go) => setTimeout(go, 10));
    const signal = AbortSignal.timeout(90_000);
    session = await QmpSession.connect(join(folder, 'qmp'), { signal, log: join(folder, 'qmp.log') });
    schema = await session.schema();
  });
  afterAll(async () => {
    await session?.[Symbol.asyncDispose]();
    await qemu?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  const messageOf = async (promise: Promise<unknown>): Promise<MachineError> =>
    promise.then(
      () => new Error('it did not fail') as MachineError,
      (error) => error,
    );

  test.each(commands)('%s is known, with every argument compose has for it', (command, args) => {
    expect(schema.mismatch(command, args)).toBeUndefined();
    for (const name of Object.keys(args)) expect(schema.has(command, name)).toBe(true);
    expect(schema.answerMismatch(command, SAMPLE_ANSWERS[command])).toBeUndefined();
  });

  test('every event compose knows is there, with the data compose reads of it', () => {
    const later = ['GUEST_PVSHUTDOWN'];
    for (const [name, data] of Object.entries(SAMPLE_EVENTS)) {
      if (later.includes(name) && !schema.hasEvent(name)) continue;
      expect([name, schema.eventMismatch(name, data)]).toEqual([name, undefined]);
    }
  });

  test('every key has its name in QEMU, and paths lead through lists, variants and values', () => {
    for (const key of Q_KEY_CODES) expect([key, schema.has('send-key', 'keys.data', key)]).toEqual([key, true]);
    expect(schema.has('send-key', 'keys.data', 'any-key')).toBe(false);
    expect(schema.has('input-send-event', 'events.data.key.data', 'ret')).toBe(true);
    expect(schema.has('transaction', 'actions.data.snapshot-file')).toBe(true);
    expect(schema.has('transaction', 'actions.type', 'blockdev-snapshot-sync')).toBe(true);
    expect(schema.has('transaction', 'actions.data.no-such')).toBe(false);
    expect(schema.has('screendump', 'filename.x')).toBe(false);
    expect(schema.has('SHUTDOWN')).toBe(false);
    expect(schema.commands.length).toBeGreaterThan(150);
  });

  test('none of the commands and arguments is on its way out', async () => {
    const entities = (await session.command('query-qmp-schema')) as readonly Record<string, unknown>[];
    const byName = new Map(entities.map((entity) => [entity.name, entity]));
    for (const [command, args] of commands) {
      const found = byName.get(command);
      expect([command, found?.features ?? []]).toEqual([command, expect.not.arrayContaining(['deprecated'])]);
      const type = byName.get(found?.['arg-type']) as { members: { name: string; features?: string[] }[] };
      const old = type.members.filter(({ name, features }) => name in args && features?.includes('deprecated'));
      expect([command, old]).toEqual([command, []]);
    }
  });

  /** A QEMU's own words for arguments that are not of the form its schema tells. */
  const FORM = /^(Invalid parameter|Parameter '|Invalid JSON|QMP input)|is unexpected|does not accept value|is missing/;

  test('what the schema takes, QEMU takes: every command, sent as it is', async () => {
    for (const [command, args] of commands) {
      if (command === 'quit' || command === 'query-qmp-schema' || command === 'qmp_capabilities') continue;
      const error = await session.command(command, args as never).catch((caught) => caught);
      if (!(error instanceof Error)) continue;
      // It has no disk, no screen and no key to press; that it knows the command is what counts.
      expect([command, error]).toEqual([command, expect.objectContaining({ code: 'qmp.refused' })]);
      expect(error.message).not.toMatch(/is unexpected|is missing|Invalid parameter|does not accept/);
    }
  });

  test('what the schema does not take, QEMU does not take either: arguments of every wrong form', async () => {
    const plain = await Plain.connect(join(folder, 'plain'));
    let refused = 0;
    const compare = async (command: QmpCommandName, args: object): Promise<void> => {
      const mismatch = schema.mismatch(command, args);
      if (mismatch === undefined) return;
      const answer = await plain.ask(command, args);
      refused++;
      expect([command, args, answer]).toEqual([command, args, expect.objectContaining({ type: 'error' })]);
      if (answer.type === 'error')
        expect([command, args, answer.description]).toEqual([command, args, expect.stringMatching(FORM)]);
    };
    for (const [command, args] of commands) {
      await compare(command, { ...args, 'no-such-argument': 1 });
      for (const name of Object.keys(args)) {
        for (const wrong of [null, 1.5, true, [], [{}], {}, { type: 'abort', data: { x: 1 } }, 'no such value', -1]) {
          await compare(command, { ...args, [name]: wrong });
        }
        const { [name]: _, ...less } = args;
        await compare(command, less);
      }
    }
    plain.end();
    expect(refused).toBeGreaterThan(300);
  });

  test('a refusal names the command, its class and its reason; a command that is not there says so', async () => {
    expect(await messageOf(session.command('screendump', { filename: join(folder, 'x') }))).toMatchObject({
      code: 'qmp.refused',
      message: 'Cannot screendump in QEMU: There is no console to take a screendump from (GenericError)',
    });
    const unknown = messageOf(session.command('no-such-command' as 'stop'));
    expect(await unknown).toMatchObject({ code: 'qmp.unsupported', message: expect.stringContaining('the command') });
    const file = messageOf(session.command('screendump', { filename: 'x', format: 'webp' as 'png' }));
    expect(await file).toMatchObject({ message: expect.stringContaining('the value "webp" of format') });
  });

  test('QEMU says the same of a command that was not checked', async () => {
    const signal = AbortSignal.timeout(90_000);
    await using other = await QmpSession.connect(join(folder, 'plain'), { signal });
    const error = await messageOf(other.command('screendump', { filename: 'x', formats: 'png' } as never));
    expect(error).toMatchObject({
      code: 'qmp.unsupported',
      message: expect.stringMatching(/does not know the argument formats$/),
      cause: expect.objectContaining({ message: expect.stringContaining("Parameter 'formats' is unexpected") }),
    });
  });

  test('commands and events go their ways', async () => {
    expect(await session.command('query-name')).toEqual({ name: 'real' });
    expect(session.version).toBe(
      (({ qemu: { major, minor, micro } }) => `${major}.${minor}.${micro}`)(await session.command('query-version')),
    );
    await session.command('cont');
    const events = session.events(['STOP', 'RESUME', 'POWERDOWN']);
    await session.command('stop');
    expect(await session.command('query-status')).toMatchObject({ status: 'paused', running: false });
    await session.command('cont');
    await session.command('system_powerdown');
    const seen: string[] = [];
    for await (const { event, at } of events) {
      expect(Math.abs(at / 1000 - Date.now())).toBeLessThan(60_000);
      if (seen.push(event) === 3) break;
    }
    expect(seen).toEqual(['STOP', 'RESUME', 'POWERDOWN']);
    expect(await session.command('ringbuf-read', { device: 'ring0', size: 8 })).toBe('');
    const chardevs = await session.command('query-chardev');
    expect(chardevs.map(({ label }) => label)).toContain('ring0');
    expect(await session.command('human-monitor-command', { 'command-line': 'info name' })).toBe('real\r\n');
    expect(await session.command('qom-get', { path: '/chardevs/ring0', property: 'type' })).toBe('chardev-ringbuf');
  });

  test('the log has all of it, without the password and without the schema', async () => {
    const text = await readFile(join(folder, 'qmp.log'), 'utf8');
    expect(text).toMatch(/> \{"execute":"set_password","arguments":\{"protocol":"vnc","password":"\*\*\*"/);
    expect(text).not.toContain('pass-of-a-sample');
    expect(text).toMatch(/< \{"return": \[.{400,600} … \(\d{6} characters\)\n/);
  });

  test('a QEMU that is told to quit ends the session', async () => {
    const events = session.events('SHUTDOWN');
    await session.command('quit');
    const seen: unknown[] = [];
    for await (const { data } of events) seen.push(data);
    expect(seen).toEqual([{ guest: false, reason: 'host-qmp-quit' }]);
    expect(await qemu.exited).toEqual({ code: 0, signal: null });
    expect(await messageOf(session.command('stop'))).toMatchObject({ code: 'qmp.closed' });
  });
});

const LIVE = `a machine of a real QEMU that never runs${missing ? ` (skipped: ${QEMU} is not installed)` : ''}`;
/** Devices that do what the commands ask for; the guest is paused before its first instruction. */
test.skipIf(missing)(`${LIVE} does what it is told`, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'qmp-live-'));
  const at = (name: string): string => join(folder, name);
  try {
    for (const name of ['disk', 'one.iso', 'two.iso']) await writeFile(at(name), Buffer.alloc(1 << 20, name));
    const devices = [
      ['-drive', `if=none,id=drive0,node-name=node0,format=raw,file=${at('disk')}`],
      ['-device', 'virtio-blk-pci,id=disk0,drive=drive0'],
      [
        '-drive',
        `if=none,id=drive1,media=cdrom,format=raw,file=${at('one.iso')}`,
        '-device',
        'ide-cd,id=cd0,drive=drive1',
      ],
      ['-device', 'VGA,id=vga0', '-device', 'qemu-xhci', '-device', 'usb-kbd,id=kbd0'],
      ['-vnc', `unix:${at('vnc')},password=on`],
      // The first one listens when the second one is there: a socket has its name before it takes connections.
      ['qmp', 'later'].flatMap((name) => ['-qmp', `unix:${at(name)},server=on,wait=off`]),
    ].flat();
    const argv = ['-S', '-machine', 'q35', '-accel', 'tcg', '-m', '64M', '-nodefaults', '-no-user-config', ...devices];
    await using qemu = await startQemu(QEMU, argv, folder);
    for (const end = Date.now() + 90_000; !existsSync(at('later')) && Date.now() < end; ) {
      await new Promise((go) => setTimeout(go, 10));
    }
    await using session = await QmpSession.connect(at('qmp'), { signal: AbortSignal.timeout(90_000) });
    const events = session.events(['DEVICE_TRAY_MOVED', 'DEVICE_DELETED']);
    expect(await session.command('query-status')).toMatchObject({ status: 'prelaunch', running: false });
    expect(await session.command('query-cpus-fast')).toMatchObject([{ 'cpu-index': 0 }]);

    await session.command('screendump', { filename: at('a.ppm'), device: 'vga0', head: 0, format: 'ppm' });
    expect((await readFile(at('a.ppm'))).subarray(0, 2).toString()).toBe('P6');
    await session.command('screendump', { filename: at('a.png'), format: 'png' });
    expect((await readFile(at('a.png'))).subarray(1, 4).toString()).toBe('PNG');
    await session.command('send-key', { keys: SAMPLE_ARGUMENTS['send-key'].keys, 'hold-time': 1 });
    // send-key is quietly without effect here.
    const key = { type: 'key', data: { down: true, key: { type: 'qcode', data: 'ret' } } } as const;
    await expect(session.command('input-send-event', { events: [key] })).rejects.toThrow('VM not running');

    expect(await session.command('query-vnc')).toMatchObject({ enabled: true, auth: 'vnc' });
    await session.command('set_password', { protocol: 'vnc', password: 'pass-of-a-sample', connected: 'keep' });
    await session.command('expire_password', { protocol: 'vnc', time: '+60' });

    const medium = async (): Promise<string | undefined> =>
      (await session.command('query-block')).find(({ device }) => device === 'drive1')?.inserted?.image.filename;
    expect(await medium()).toBe(at('one.iso'));
    await session.command('blockdev-change-medium', { id: 'cd0', filename: at('two.iso'), format: 'raw' });
    expect(await medium()).toBe(at('two.iso'));
    await session.command('blockdev-open-tray', { id: 'cd0' });
    await session.command('blockdev-remove-medium', { id: 'cd0' });
    expect(await medium()).toBeUndefined();
    await session.command('blockdev-close-tray', { id: 'cd0' });
    await session.command('blockdev-change-medium', { id: 'cd0', filename: at('one.iso'), format: 'raw' });
    await session.command('eject', { id: 'cd0' });
    expect(await medium()).toBeUndefined();

    const snapshot = { device: 'drive0', 'snapshot-file': at('overlay'), 'snapshot-node-name': 'top', format: 'qcow2' };
    await session.command('transaction', { actions: [{ type: 'blockdev-snapshot-sync', data: snapshot }] });
    const overlay = { 'snapshot-file': at('overlay2'), 'snapshot-node-name': 'top2', format: 'qcow2' };
    await session.command('blockdev-snapshot-sync', { 'node-name': 'top', ...overlay });
    const disk = (await session.command('query-block')).find(({ device }) => device === 'drive0');
    expect(disk?.inserted).toMatchObject({ file: at('overlay2'), drv: 'qcow2', image: { 'virtual-size': 1 << 20 } });
    const failing = { ...snapshot, device: 'no-such', 'snapshot-file': at('never') };
    const undone = session.command('transaction', {
      actions: [
        { type: 'blockdev-snapshot-sync', data: { device: 'drive0', 'snapshot-file': at('undone'), format: 'qcow2' } },
        { type: 'blockdev-snapshot-sync', data: failing },
      ],
    });
    await expect(undone).rejects.toMatchObject({ code: 'qmp.refused', evidence: { command: 'transaction' } });
    expect(await session.command('query-block')).toContainEqual(disk);
    const stats = (await session.command('query-blockstats')).find(({ device }) => device === 'drive0');
    expect(stats?.stats).toMatchObject({ wr_bytes: 0, failed_wr_operations: 0 });
    expect((await session.command('query-blockstats', { 'query-nodes': true })).length).toBeGreaterThan(2);

    await session.command('device_del', { id: 'kbd0' });
    await session.command('set-action', { panic: 'exit-failure', reboot: 'shutdown' });
    const seen: string[] = [];
    for await (const { event } of events) {
      seen.push(event);
      if (event === 'DEVICE_DELETED') break;
    }
    expect(seen).toContain('DEVICE_TRAY_MOVED');
    await session.command('quit');
    expect(await qemu.exited).toMatchObject({ code: 0 });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

/** One command after the other on a socket of its own, whatever it is. */
class Plain {
  readonly #socket: Socket;
  readonly #waiting: ((message: QmpMessage) => void)[] = [];
  #id = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    const splitter = new LineSplitter();
    socket.on('data', (data) =>
      splitter.push(data, (line) => {
        const message = parseQmp(line);
        if (message.type === 'return' || message.type === 'error') this.#waiting.shift()?.(message);
      }),
    );
  }

  static async connect(path: string): Promise<Plain> {
    const socket = connect(path);
    await once(socket, 'connect');
    const plain = new Plain(socket);
    await plain.ask('qmp_capabilities', {});
    return plain;
  }

  ask(command: string, args: object): Promise<QmpMessage> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#socket.write(encodeCommand(command, args, ++this.#id));
    });
  }

  end(): void {
    this.#socket.destroy();
  }
}
