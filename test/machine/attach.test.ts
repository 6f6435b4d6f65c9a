import { execFile, execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { compose } from '../../fixtures/cli.ts';
import { grubConfig, grubGuest, NO_GRUB_ISO } from '../../fixtures/grub-iso.ts';
import { microGuest } from '../../fixtures/micro-guest.ts';
import { rfbLogin } from '../../fixtures/rfb.ts';
import { quietContext } from '../../src/events.ts';
import { packageRoot } from '../../src/host/built-module.ts';
import { which } from '../../src/host/tools.ts';
import { parseKeys } from '../../src/machine/key-grammar.ts';
import { Screenshots } from '../../src/machine/screenshots.ts';
import { tapSerial } from '../../src/machine/serial-tap.ts';
import type { MachineSpec } from '../../src/machine/spec.ts';
import { startMachine } from '../../src/machine/start.ts';
import { Typist } from '../../src/machine/typist.ts';
import { openView, viewArgv } from '../../src/machine/view.ts';
import { until } from '../../src/machine/watch.ts';

const run = promisify(execFile);
const why = NO_GRUB_ISO ?? (which('tmux') === undefined ? 'no tmux' : undefined);
const note = why === undefined ? '' : ` (skipped: ${why})`;

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-attach-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const BARE: MachineSpec = {
  name: 'view',
  arch: 'amd64',
  memory: 64 * 1024 * 1024,
  cpus: 1,
  firmware: 'bios',
  disks: [],
  ssh: false,
};

const eventually = async <T>(what: string, look: () => Promise<T | undefined>): Promise<T> => {
  const { signal } = new AbortController();
  const seen = await until(look, { limitMs: 60_000, everyMs: 200, signal });
  if (seen === undefined) throw new Error(`never seen: ${what}`);
  return seen;
};

test.skipIf(why)(
  `another process sees the screen, takes a picture, types and leaves; the machine goes on${note}`,
  async () => {
    const runDir = join(folder, 'runs/1-grub');
    await mkdir(runDir, { recursive: true });
    const { context, tap } = tapSerial(quietContext());
    const spec = await grubGuest(folder, grubConfig({ serial: true }));
    const machine = await startMachine(spec, { runDir, policy: 'tcg' }, context);
    await using shots = await Screenshots.start(machine.qmp, { folder: join(runDir, 'shots'), everyMs: 300 });
    try {
      const typist = new Typist({ qmp: machine.qmp, serial: tap, signal: context.signal, timeScale: 10 });
      await typist.type(parseKeys('<wait:"grub> ">'));
      // A quick host has more than one change between two looks.
      await shots.now();
      const env = { COMPOSE_STATE: folder };

      // GRUB writes to the serial line first, to the screen then.
      const prompt = /GNU GRUB {2}version.*^grub>$/ms;
      const shown = await eventually('the prompt', async () => {
        const now = await compose(['attach'], { env });
        return now.status !== 0 || prompt.test(now.stdout) ? now : undefined;
      });
      expect(shown).toMatchObject({ status: 0, stdout: expect.stringMatching(prompt) });

      const png = join(folder, 'now.png');
      expect(await compose(['attach', 'grub', '--screenshot', png], { env })).toMatchObject({ status: 0 });
      if (which('pngcheck')) expect(execFileSync('pngcheck', [png], { encoding: 'utf8' })).toMatch(/^OK: .*720x400/);

      const typed = await compose(['attach', '--keys', 'echo "typed from <lt>outside<gt>"<enter>'], { env });
      expect(typed).toMatchObject({ status: 0, stdout: 'typed 27 characters\n' });
      await typist.type(parseKeys('<wait:"typed from"><wait:"<outside>">'));
      await shots.now();
      const wrong = await compose(['attach', '--keys', '<entre>'], { env });
      expect(wrong).toMatchObject({ status: 2, stderr: expect.stringContaining('<enter>') });

      // A person at a terminal of 100 by 32.
      const socket = join(folder, 'tmux');
      const tmux = async (...args: string[]): Promise<string> => (await run('tmux', ['-S', socket, ...args])).stdout;
      const main = join(packageRoot(), 'dist/src/cli/main.js');
      const command = `COMPOSE_STATE=${folder} ${process.execPath} ${main} attach; echo "left with $?"; exec cat`;
      await tmux('-f', '/dev/null', 'new-session', '-d', '-x', '100', '-y', '32', command);
      try {
        const pane = (): Promise<string> => tmux('capture-pane', '-p');
        await eventually('the screen', async () => {
          const seen = await pane();
          return /^grub> *$/m.test(seen) && seen.includes('720x400 text · Ctrl-] leaves') ? true : undefined;
        });
        await tmux('send-keys', '-l', 'echo From_Tmux:1');
        await tmux('send-keys', 'Enter');
        await eventually('what was typed', async () => (/^From_Tmux:1 *$/m.test(await pane()) ? true : undefined));
        // A second one is told, not left to wait.
        const second = await compose(['attach', '--screenshot', png], { env });
        expect(second).toMatchObject({ status: 5, stderr: expect.stringContaining('attach.busy') });
        await tmux('send-keys', 'C-]');
        await eventually('the shell', async () => ((await pane()).includes('left with 0') ? true : undefined));
      } finally {
        await tmux('kill-server');
      }
      expect((await machine.qmp.command('query-status', {})).running).toBe(true);

      const following = spawn(process.execPath, [main, 'attach', '--serial'], {
        env: { ...process.env, ...env },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const status = new Promise((resolve) => following.once('close', resolve));
      let followed = '';
      following.stdout.setEncoding('utf8').on('data', (text: string) => {
        followed += text;
      });
      await eventually('the serial console', async () => (/^From_Tmux:1$/m.test(followed) ? true : undefined));
      await shots.now();
      await machine[Symbol.asyncDispose]();
      expect(await status).toBe(0);
      expect(followed).toContain('the machine of grub has ended');
      const after = await compose(['attach'], { env });
      expect(after).toMatchObject({ status: 2, stderr: expect.stringContaining('attach.none') });
      expect(existsSync(join(runDir, 'machine.json'))).toBe(false);
    } finally {
      await machine[Symbol.asyncDispose]();
    }
    await shots[Symbol.asyncDispose]();
    const files = await readdir(join(runDir, 'shots'));
    expect(files.length).toBeGreaterThan(2);
    for (const file of files) {
      const bytes = readFileSync(join(runDir, 'shots', file));
      expect(bytes.subarray(1, 4).toString()).toBe('PNG');
    }
    console.log(`a look costs ${(shots.cost.ms / shots.cost.looks).toFixed(1)} ms of ${shots.cost.looks}`);
  },
  300_000,
);

test.skipIf(which('qemu-system-x86_64') === undefined)(
  'a view listens on loopback or a socket file only, and lets one viewer in, with the password',
  async () => {
    const path = join(folder, 'vnc,1');
    for (const place of [{ kind: 'port' }, { kind: 'unix', path }] as const) {
      const machine = await startMachine(
        { ...BARE, extraArgs: ['-device', 'VGA', ...viewArgv(place)] },
        { runDir: folder, policy: 'tcg' },
        quietContext(),
      );
      try {
        const port = async (): Promise<number> => {
          const server = (
            await machine.qmp.command('human-monitor-command', { 'command-line': 'info vnc' })
          ).toString();
          return Number(/127\.0\.0\.1:(\d+)/.exec(server)?.[1]);
        };
        const at = place.kind === 'unix' ? { path } : { host: '127.0.0.1', port: await port() };
        // Before a password is set nobody comes in, not even with none.
        expect(await rfbLogin(at, '')).toBe('refused');
        using view = await openView(machine.qmp);
        expect(view.password).toMatch(/^[a-z2-9]{8}$/);
        expect(view.address).toBe(
          place.kind === 'unix' ? `unix:${path}` : `127.0.0.1:${(at as { port: number }).port}`,
        );
        expect(await rfbLogin(at, 'wrong123')).toBe('refused');
        expect(await rfbLogin(at, view.password)).toMatchObject({ width: expect.any(Number) });
        // It was for one viewer.
        await eventually('its end', async () => ((await rfbLogin(at, view.password)) === 'refused' ? true : undefined));
        if (which('ss') !== undefined) {
          const { stdout } = await run('ss', ['-ltnp']);
          const ours = stdout.split('\n').filter((line) => line.includes(`pid=${machine.pid},`));
          expect(ours).toHaveLength(place.kind === 'unix' ? 0 : 1);
          for (const line of ours) expect(line).toMatch(/\s127\.0\.0\.1:\d+\s/);
        }
      } finally {
        await machine[Symbol.asyncDispose]();
      }
    }
  },
  300_000,
);

test.skipIf(which('qemu-system-x86_64') === undefined)(
  'a machine is started with a view: it has a screen, one viewer comes in, and no log or event has the password',
  async () => {
    for (const kind of ['socket', 'port'] as const) {
      const told: string[] = [];
      const context = { ...quietContext(), emit: (event: object) => void told.push(JSON.stringify(event)) };
      const runDir = join(folder, kind);
      await mkdir(runDir);
      const machine = await startMachine(BARE, { runDir, policy: 'tcg', view: kind }, context);
      try {
        const { address = '', password = '' } = machine.view ?? {};
        expect(address).toMatch(kind === 'socket' ? /^unix:\/.*\/view$/ : /^127\.0\.0\.1:59\d\d$/);
        const port = Number(address.split(':')[1]);
        const at = kind === 'socket' ? { path: address.slice('unix:'.length) } : { host: '127.0.0.1', port };
        expect(await rfbLogin(at, 'wrong123')).toBe('refused');
        const seen = await rfbLogin(at, password);
        expect(seen).toMatchObject({ width: expect.any(Number) });
        expect(told.join('\n')).toContain(address);
        expect(told.join('\n')).not.toContain(password);
        await machine[Symbol.asyncDispose]();
        const logs = (await readdir(runDir)).filter((file) => file !== 'screenshots');
        expect(logs).toContain('qmp.log');
        expect(readFileSync(join(runDir, 'qmp.log'), 'utf8')).not.toContain('screendump');
        for (const file of logs) expect(readFileSync(join(runDir, file), 'latin1')).not.toContain(password);
      } finally {
        await machine[Symbol.asyncDispose]();
      }
    }
  },
  300_000,
);

test.skipIf(which('qemu-system-x86_64') === undefined)(
  'a machine without a screen is typed at all the same, and its picture says how to get one',
  async () => {
    const runDir = join(folder, 'runs/1-blind');
    await mkdir(runDir, { recursive: true });
    const { context, tap } = tapSerial(quietContext());
    const spec = await microGuest(folder, 'while true; do sleep 1000; done');
    await using _machine = await startMachine(spec, { runDir, policy: 'tcg' }, context);
    await eventually('the guest', async () => (tap.since(0).includes('micro-guest is up') ? true : undefined));
    const env = { COMPOSE_STATE: folder };
    const typed = await compose(['attach', '--keys', 'ls'], { env });
    expect(typed).toMatchObject({ status: 0, stdout: 'typed 2 characters\n' });
    const picture = await compose(['attach', '--screenshot', join(folder, 'x.png')], { env });
    expect(picture).toMatchObject({ status: 5, stderr: expect.stringContaining('machine: { video: standard }') });
  },
  90_000,
);

test.skipIf(which('qemu-system-x86_64') === undefined)(
  'a machine started without a view says so',
  async () => {
    await using machine = await startMachine(BARE, { runDir: folder, policy: 'tcg' }, quietContext());
    await expect(openView(machine.qmp)).rejects.toMatchObject({ code: 'view.none' });
    const { Screen } = await import('../../src/machine/screen.ts');
    await using screen = await Screen.open(machine.qmp);
    await expect(screen.take()).rejects.toMatchObject({ code: 'screen.none' });
  },
  300_000,
);
