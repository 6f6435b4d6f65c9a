import { createHash } from 'node:crypto';
import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { expect, test } from 'vitest';
import {
  cannotServe,
  type RealServer,
  type RealServerOptions,
  startOpenSsh,
  TEST_USER,
} from '../../fixtures/fake-ssh-openssh.ts';
import { settle } from '../../fixtures/fake-ssh-settle.ts';
import { random } from '../../fixtures/fuzz.ts';
import { isComposeError } from '../../src/errors.ts';
import { quietContext } from '../../src/events.ts';
import { connectGuest } from '../../src/guest/connect.ts';
import { generateKeys } from '../../src/guest/keys.ts';
import type { GuestSession } from '../../src/guest/session.ts';
import { runSteps } from '../../src/guest/steps.ts';
import { upload, uploadPath } from '../../src/guest/upload.ts';

const missing = cannotServe('sshd', 'unshare', 'sudo', 'tar');
const named = (name: string): string => (missing === undefined ? name : `${name} (skipped: ${missing})`);
const real = test.skipIf(missing !== undefined);

const user = generateKeys('user');
const host = generateKeys('host');

function serve(more: Partial<RealServerOptions> = {}): Promise<RealServer> {
  return startOpenSsh({ hostKey: host, authorizedKey: user.publicKey, ...more });
}

function logIn(server: RealServer, username = 'root'): Promise<GuestSession> {
  const { privateKey } = user;
  const { port } = server;
  return connectGuest(
    { host: '127.0.0.1', port, username, privateKey, hostKey: host.publicKey, budgetMs: 60_000 },
    quietContext(),
  );
}

async function folder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'compose-ssh-'));
  await chmod(path, 0o755);
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

const TORTURE = [
  'plain',
  'two words',
  "it's",
  '"double"',
  '$HOME `id` $(id)',
  'back\\slash\\',
  'new\nline',
  '*?[a-z]{a,b}~',
  'semi;colon&and|pipe<in>out',
  '!history',
  '#comment',
  '-n',
  '',
  "'",
  "'\\''",
  'Grüße – 日本語',
  '\ttab ',
  '%s %n',
];

for (const username of ['root', TEST_USER]) {
  real(named(`arguments and variables reach a command byte for byte (${username})`), async () => {
    await using server = await serve();
    await using session = await logIn(server, username);
    for (const value of TORTURE) {
      const { stdout } = await session.run('printf "%s" "$VALUE"', { env: { VALUE: value, OTHER: "a'b" } });
      expect(stdout).toBe(value);
    }
  });
}

real(named('a command of an account beside root runs as root'), async () => {
  await using server = await serve();
  await using session = await logIn(server, TEST_USER);
  expect((await session.run('id -u')).stdout).toBe('0\n');
});

real(named('variables are not written into the log of sudo'), async () => {
  await using server = await serve();
  await using session = await logIn(server, TEST_USER);
  const http_proxy = 'http://someone:hunter22@10.0.2.2:3128';
  expect((await session.run('printf %s "$http_proxy"', { env: { http_proxy } })).stdout).toBe(http_proxy);
  const log = await readFile(server.sudoLog, 'utf8');
  expect(log).toContain('COMMAND=');
  expect(log).not.toContain('hunter22');
});

real(named('the status of a quick command arrives while this process is busy'), async () => {
  await using server = await serve();
  await using session = await logIn(server);
  const busy = setInterval(() => {
    const end = performance.now() + 60;
    while (performance.now() < end);
  }, 1);
  try {
    const seen = new Set<number>();
    for (let round = 0; round < 8; round++) seen.add((await session.exec('exit 3')).exitCode);
    expect([...seen]).toEqual([3]);
  } finally {
    clearInterval(busy);
  }
});

real(named('signals, standard error and large statuses'), async () => {
  await using server = await serve();
  await using session = await logIn(server);
  expect(await session.exec('kill -KILL $$')).toMatchObject({ exitCode: -1, signal: 'SIGKILL' });
  expect(await session.exec('echo o; echo e >&2; exit 255')).toMatchObject({
    exitCode: 255,
    stdout: 'o\n',
    stderr: 'e\n',
  });
});

real(named('a process left behind does not hold the command for ever'), async () => {
  await using server = await serve();
  await using session = await logIn(server);
  const ended = await settle(session.exec('sleep 20 & echo started'), 60_000);
  expect(ended).toMatchObject({ how: 'resolved', value: { exitCode: 0, stdout: 'started\n' } });
});

real(
  named('210 MiB go up hash-equal, without filling the memory'),
  async () => {
    await using server = await serve();
    await using session = await logIn(server);
    await using place = await folder();
    const from = join(place.path, 'large');
    const block = Buffer.alloc(1024 * 1024);
    const blocks: Buffer[] = [];
    const next = random(1);
    for (let index = 0; index < 210; index++) {
      if (index % 42 === 0) {
        for (let at = 0; at < block.length; at += 4) block.writeUInt32LE(next(), at);
      }
      block.writeUInt32BE(index);
      blocks.push(Buffer.from(block));
    }
    await writeFile(from, blocks);
    const expected = createHash('sha256');
    for (const one of blocks) expected.update(one);
    blocks.length = 0;
    const before = process.memoryUsage().rss;
    await uploadPath(session, from, join(place.path, 'up', 'large'));
    expect(process.memoryUsage().rss - before).toBeLessThan(160 * 1024 * 1024);
    const { stdout } = await session.run(`sha256sum <${join(place.path, 'up', 'large')}`);
    expect(stdout.slice(0, 64)).toBe(expected.digest('hex'));
  },
  300_000,
);

/** Relative path, kind, permission bits and content or target of everything under a folder. */
async function describeTree(root: string): Promise<string[]> {
  const lines: string[] = [];
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const { mode } = await lstat(path);
    const what = entry.isSymbolicLink()
      ? `link ${await readlink(path)}`
      : entry.isDirectory()
        ? `folder ${(mode & 0o7777).toString(8)}`
        : `file ${(mode & 0o7777).toString(8)} ${(await readFile(path)).toString('base64').slice(0, 40)}`;
    lines.push(`${relative(root, path)} ${what}`);
  }
  return lines.sort();
}

async function makeTree(root: string): Promise<void> {
  await mkdir(join(root, 'deep', 'x'.repeat(120)), { recursive: true });
  await mkdir(join(root, 'empty'));
  await writeFile(join(root, 'plain'), 'plain');
  await writeFile(join(root, 'tool'), '#!/bin/sh\n');
  await chmod(join(root, 'tool'), 0o751);
  await writeFile(join(root, '-n'), 'dash');
  await writeFile(join(root, 'ein Gruß ü'), 'umlaut');
  await writeFile(join(root, 'deep', 'x'.repeat(120), 'leaf'), Buffer.from([0, 255, 10]));
  await chmod(join(root, 'empty'), 0o700);
}

real(named('files of a tree arrive with names, modes and content'), async () => {
  await using server = await serve();
  await using session = await logIn(server);
  await using place = await folder();
  const from = join(place.path, 'from');
  await mkdir(from);
  await makeTree(from);
  const to = join(place.path, 'to');
  await uploadPath(session, from, to);
  const files = (lines: string[]): string[] => lines.filter((line) => / file /.test(line));
  expect(files(await describeTree(to))).toEqual(files(await describeTree(from)));
});

real(named('a tree arrives with its symbolic links, empty folders and folder modes'), async () => {
  await using server = await serve();
  await using session = await logIn(server);
  await using place = await folder();
  const from = join(place.path, 'from');
  await mkdir(from);
  await makeTree(from);
  await symlink('plain', join(from, 'link'));
  await symlink('/nowhere/at/all', join(from, 'dangling'));
  const to = join(place.path, 'to');
  await uploadPath(session, from, to);
  expect(await describeTree(to)).toEqual(await describeTree(from));
});

for (const [form, why] of [
  ['./from', 'a path relative to here, as the library takes it'],
  ['from/', 'a slash at the end, as shells complete it'],
] as const) {
  real(named(`uploading "${form}" puts its files where they belong: ${why}`), async () => {
    await using server = await serve();
    await using session = await logIn(server);
    await using place = await folder();
    await mkdir(join(place.path, 'from', 'sub'), { recursive: true });
    await writeFile(join(place.path, 'from', 'sub', 'file'), 'here');
    const to = join(place.path, 'to');
    await uploadPath(session, `${relative(process.cwd(), place.path)}/${form}`, to);
    expect(await readFile(join(to, 'sub', 'file'), 'utf8')).toBe('here');
  });
}

real(named('files of an account beside root are written as root, with modes, into folders that exist'), async () => {
  await using server = await serve();
  await using session = await logIn(server, TEST_USER);
  await using place = await folder();
  const inner = join(place.path, 'inner');
  await mkdir(inner, { mode: 0o750 });
  await upload(session, [{ path: join(inner, 'file'), content: Buffer.from('x'), mode: 0o640 }]);
  expect((await lstat(join(inner, 'file'))).mode & 0o7777).toBe(0o640);
  expect((await lstat(join(inner, 'file'))).uid).toBe(0);
  expect((await lstat(inner)).mode & 0o7777).toBe(0o750);
});

real(named('a host file that is not there is an error with a code, and it names the file'), async () => {
  await using server = await serve();
  await using session = await logIn(server);
  const ended = await settle(uploadPath(session, '/nowhere/at/all', '/tmp/x'), 60_000);
  expect(ended.how).toBe('rejected');
  const { error } = ended as { error: Error };
  expect(isComposeError(error)).toBe(true);
  expect(error.message).toContain('/nowhere/at/all');
});

real(named('an upload the guest cannot store is an error with what it said'), async () => {
  await using server = await serve();
  await using session = await logIn(server);
  const file = { path: '/proc/nothing/here', content: new Uint8Array(4 * 1024 * 1024) };
  const ended = await settle(upload(session, [file]), 60_000);
  expect(ended).toMatchObject({ how: 'rejected', error: { code: 'upload.failed' } });
  expect(JSON.stringify((ended as { error: unknown }).error)).toMatch(/mkdir/);
});

real(named('steps: write, upload, shell with arguments and variables, in order, nothing left behind'), async () => {
  await using server = await serve();
  await using place = await folder();
  const session = await logIn(server, TEST_USER);
  const at = (name: string): string => join(place.path, name);
  await writeFile(at('host-script'), '#!/bin/bash\n[[ $BASH ]] && echo "bash $1 $NAME" >>"$OUT"\n');
  const env = { OUT: at('out') };
  const last = await runSteps(
    {
      session,
      reconnect: async () => session,
      env,
      steps: [
        { kind: 'write', path: at('note'), content: "it's\n", mode: 0o600 },
        { kind: 'shell', script: 'cat "$1" >"$OUT"', args: [at('note')] },
        { kind: 'shell', file: at('host-script'), args: ['one two'], env: { NAME: "n'm" } },
      ],
    },
    quietContext(),
  );
  await last[Symbol.asyncDispose]();
  expect(await readFile(at('out'), 'utf8')).toBe("it's\nbash one two n'm\n");
  await using again = await logIn(server);
  expect((await again.run('ls -A /var/tmp')).stdout).toBe('');
});

real(named('a shell step stops at its first command that fails, and the error has what it said'), async () => {
  await using server = await serve();
  await using place = await folder();
  await using session = await logIn(server);
  const mark = join(place.path, 'mark');
  const step = { kind: 'shell', name: 'harden', script: `echo why >&2\nfalse\ntouch ${mark}\n` } as const;
  const run = runSteps({ session, reconnect: async () => session, steps: [step] }, quietContext());
  const ended = await settle(run, 60_000);
  expect(ended).toMatchObject({ how: 'rejected', error: { code: 'step.failed', exitCode: 6 } });
  const text = JSON.stringify((ended as { error: unknown }).error);
  expect(text).toContain('harden');
  expect(text).toContain('why');
  await expect(lstat(mark)).rejects.toThrow();
});

real(named('sftp is not needed'), async () => {
  await using server = await serve({ config: ['Subsystem sftp /bin/false'] });
  await using session = await logIn(server);
  await using place = await folder();
  await upload(session, [{ path: join(place.path, 'file'), content: Buffer.from('x') }]);
  expect(await readFile(join(place.path, 'file'), 'utf8')).toBe('x');
});

for (const cipher of ['chacha20-poly1305@openssh.com', 'aes128-ctr', 'aes256-gcm@openssh.com']) {
  real(named(`logs in to a server that has ${cipher} alone`), async () => {
    await using server = await serve({ config: [`Ciphers ${cipher}`] });
    await using session = await logIn(server);
    expect((await session.run('echo here')).stdout).toBe('here\n');
  });
}

real(named('a server whose algorithms have nothing in common with ours is an error that says so'), async () => {
  await using server = await serve({ config: ['Ciphers aes128-cbc'] });
  const { privateKey } = user;
  const wait = connectGuest(
    { host: '127.0.0.1', port: server.port, username: 'root', privateKey, hostKey: host.publicKey, budgetMs: 5000 },
    quietContext(),
  );
  const ended = await settle(wait, 60_000);
  expect(ended.how).toBe('rejected');
  expect(JSON.stringify((ended as { error: unknown }).error)).toMatch(/no matching/);
});
