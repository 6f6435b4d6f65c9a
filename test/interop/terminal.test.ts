import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { cannotServe, type RealServer, startOpenSsh, TEST_USER } from '../../fixtures/fake-ssh-openssh.ts';
import { generateKeys } from '../../src/guest/keys.ts';
import { packageRoot } from '../../src/host/built-module.ts';

const run = promisify(execFile);
const missing = cannotServe('sshd', 'unshare', 'sudo', 'tmux');
const named = (name: string): string => (missing === undefined ? name : `${name} (skipped: ${missing})`);
const real = test.skipIf(missing !== undefined);

const user = generateKeys('user');
const host = generateKeys('host');

/** A terminal of 90 by 27 in which a driver does something with a session. */
class Screen implements AsyncDisposable {
  readonly folder: string;
  readonly #server: RealServer;

  constructor(folder: string, server: RealServer) {
    this.folder = folder;
    this.#server = server;
  }

  static async open(username: string, work: string): Promise<Screen> {
    const folder = await mkdtemp(join(tmpdir(), 'compose-terminal-'));
    const server = await startOpenSsh({ hostKey: host, authorizedKey: user.publicKey });
    const dist = `${packageRoot()}/dist/src`;
    const driver = `
      import { connectGuest } from '${dist}/guest/connect.js';
      import { openTerminal } from '${dist}/guest/terminal.js';
      import { ErrorPolicy } from '${dist}/build/on-error.js';
      import { operatorAt } from '${dist}/cli/operator.js';
      import { runSteps } from '${dist}/guest/steps.js';
      import { abortOnSignals } from '${dist}/host/signals.js';
      const signals = abortOnSignals();
      const context = { emit: (event) => { if (event.type === 'log') console.log('log:', event.message); }, signal: signals.signal };
      const login = ${JSON.stringify({ host: '127.0.0.1', port: server.port, username, privateKey: user.privateKey, hostKey: host.publicKey, budgetMs: 60_000 })};
      const session = await connectGuest(login, context);
      const terminal = { input: process.stdin, output: process.stdout };
      try { ${work} console.log('DRIVER DONE'); } catch (error) { console.log('DRIVER FAILED', error.code ?? error.message); }
      await session[Symbol.asyncDispose]();
      process.exit(0);`;
    await writeFile(join(folder, 'driver.mjs'), driver);
    const screen = new Screen(folder, server);
    const command = `stty -a >before; ${process.execPath} driver.mjs; stty -a >after; echo SHELL BACK; exec cat`;
    const args = ['-f', '/dev/null', 'new-session', '-d', '-x', '90', '-y', '27', '-c', folder, 'sh', '-c', command];
    await screen.tmux(...args);
    return screen;
  }

  async tmux(...args: string[]): Promise<string> {
    const { stdout } = await run('tmux', ['-S', join(this.folder, 'tmux'), ...args]);
    return stdout;
  }

  type(text: string): Promise<string> {
    return this.tmux('send-keys', '-l', text).then(() => this.tmux('send-keys', 'Enter'));
  }

  async shows(what: RegExp): Promise<string> {
    let seen = '';
    await expect
      .poll(
        async () => {
          seen = await this.tmux('capture-pane', '-p');
          return what.test(seen) || seen;
        },
        { timeout: 60_000, interval: 50 },
      )
      .toBe(true);
    return seen;
  }

  /** The terminal is as it was before. */
  async restored(): Promise<void> {
    await this.shows(/SHELL BACK/);
    const read = (name: string): string =>
      readFileSync(join(this.folder, name), 'utf8').replace(/rows \d+; columns \d+;/, '');
    expect(read('after')).toBe(read('before'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.tmux('kill-server').catch(() => {});
    await this.#server[Symbol.asyncDispose]();
    await rm(this.folder, { recursive: true, force: true });
  }
}

const SHELL = 'await openTerminal(session, terminal, context.signal);';

for (const username of ['root', TEST_USER]) {
  real(
    named(`a root shell on the operator's terminal: keys, Ctrl-C, the window's size, the end (${username})`),
    async () => {
      await using screen = await Screen.open(username, SHELL);
      await screen.shows(/[#$] *$/m);
      await screen.type('echo I am $(id -u), $(stty size)');
      await screen.shows(/I am 0, 27 90/);
      // The keys are echoed before the command runs; what it prints comes when Ctrl-C can reach it.
      await screen.type(`sh -c 'echo as""leep; exec sleep 1000'`);
      await screen.shows(/asleep/);
      await screen.tmux('send-keys', 'C-c');
      await screen.tmux('resize-window', '-x', '70', '-y', '20');
      await expect
        .poll(
          async () => {
            await screen.type('echo now $(stty size)');
            return /now 20 70/.test(await screen.tmux('capture-pane', '-p'));
          },
          { timeout: 60_000, interval: 300 },
        )
        .toBe(true);
      await screen.type('exit');
      await screen.shows(/DRIVER DONE/);
      await screen.restored();
    },
  );
}

real(
  named('the terminal is restored when the connection breaks under the shell'),
  async () => {
    await using screen = await Screen.open('root', SHELL);
    await screen.shows(/[#$] *$/m);
    await screen.type('printf "\\033[?1049h\\033[?25l"; kill -KILL $PPID');
    await screen.shows(/DRIVER DONE/);
    await screen.restored();
  },
  60_000,
);

real(
  named('the terminal is restored when compose is told to end'),
  async () => {
    await using screen = await Screen.open('root', SHELL);
    await screen.shows(/[#$] *$/m);
    const pane = (await screen.tmux('display-message', '-p', '#{pane_pid}')).trim();
    const pid = readFileSync(`/proc/${pane}/task/${pane}/children`, 'utf8').trim();
    process.kill(Number(pid.split(' ')[0]), 'SIGTERM');
    await screen.shows(/DRIVER FAILED interrupted/);
    await screen.restored();
  },
  60_000,
);

const STEPS = `
  const policy = new ErrorPolicy(MODE, operatorAt(process.stdin, process.stdout, context), context);
  const last = await runSteps({ session, reconnect: async () => session, steps: [
    { kind: 'breakpoint', note: 'look around' },
    { kind: 'shell', name: 'mend me', script: 'test -e ' + process.cwd() + '/mended' },
  ], onBreakpoint: (title, note) => policy.breakpoint(title, note, { ssh: 'ssh here', runDir: '/run/here' }),
     onFailure: (failure) => policy.stepFailed(failure, { ssh: 'ssh here', runDir: '/run/here' }) }, context).catch(async (error) => {
    console.log(await policy.keeps(error) ? 'KEPT' : 'REMOVED');
    throw error;
  });`;

real(
  named('ask: a step is mended in a shell and run again'),
  async () => {
    await using screen = await Screen.open('root', STEPS.replace('MODE', "'ask'"));
    const pause = await screen.shows(/Enter goes on/);
    for (const part of ['look around', 'log in: ssh here', 'key: /run/here/id_ed25519']) expect(pause).toContain(part);
    await screen.tmux('send-keys', 'Enter');
    await screen.shows(/run folder: \/run\/here\n[\s\S]*mend me failed\. What now\?[\s\S]*retry, shell, keep, clean\?/);
    await screen.type('nonsense');
    await screen.shows(/One of these words, or its first letter\./);
    await screen.type('shell');
    await screen.shows(/A root shell in the guest[\s\S]*[#$] *$/m);
    await screen.type(`touch ${screen.folder}/mended; exit`);
    await screen.shows(/(retry, shell, keep, clean\?[\s\S]*){3}/);
    await screen.type('r');
    await screen.shows(/DRIVER DONE/);
    expect(existsSync(join(screen.folder, 'mended'))).toBe(true);
    await screen.restored();
  },
  60_000,
);

real(
  named('ask: clean removes the run'),
  async () => {
    await using screen = await Screen.open('root', STEPS.replace('MODE', "'ask'"));
    await screen.shows(/Enter goes on/);
    await screen.tmux('send-keys', 'Enter');
    await screen.shows(/What now\?/);
    await screen.type('clean');
    await screen.shows(/REMOVED[\s\S]*DRIVER FAILED step\.failed/);
    await screen.restored();
  },
  60_000,
);

real(
  named('shell: opens when a step failed, and the run is kept'),
  async () => {
    await using screen = await Screen.open('root', STEPS.replace('MODE', "'shell'"));
    await screen.shows(/Enter goes on/);
    await screen.tmux('send-keys', 'Enter');
    await screen.shows(
      /step\.failed[\s\S]*mend me failed[\s\S]*A root shell in the guest[\s\S]*ends the build[\s\S]*[#$] *$/m,
    );
    await screen.type('exit');
    await screen.shows(/KEPT[\s\S]*DRIVER FAILED step\.failed/);
    await screen.restored();
  },
  60_000,
);
