/** `libraries ssh`: a large file into an sshd on loopback, by compose (ssh2) and by OpenSSH's own programs. */
import { execFileSync } from 'node:child_process';
import { createReadStream, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cannotServe, startOpenSsh } from '../../fixtures/fake-ssh-openssh.ts';
import { quietContext } from '../../src/events.ts';
import { connectGuest } from '../../src/guest/connect.ts';
import { generateKeys } from '../../src/guest/keys.ts';
import { putFile } from '../../src/guest/put-file.ts';
import type { GuestSession } from '../../src/guest/session.ts';
import { uploadPath } from '../../src/guest/upload.ts';
import { packageRoot } from '../../src/host/built-module.ts';
import { run } from '../../src/host/process.ts';
import { versionsOf } from '../versions.ts';
import type { Input } from './input.ts';
import { ratio, type Section } from './section.ts';
import { bestOf, inTurns } from './turns.ts';

const BASE = '`ssh cat`';
/** As Debian's sshd has it. */
const SFTP = 'Subsystem sftp /usr/lib/openssh/sftp-server';
const PIECE = 256 * 1024;

export async function sshTable({ path }: Input, work: string): Promise<Section> {
  const missing = cannotServe('sshd', 'unshare', 'ssh', 'sftp', 'scp');
  if (missing !== undefined) throw new Error(`no sshd can be run here: it ${missing}`);
  const [user, host] = [generateKeys('bench'), generateKeys('bench-host')];
  await using server = await startOpenSsh({ hostKey: host, authorizedKey: user.publicKey, config: [SFTP] });
  const { port } = server;
  const identity = join(work, 'key');
  const known = join(work, 'known');
  const target = join(work, 'uploaded');
  writeFileSync(identity, user.privateKey, { mode: 0o600 });
  writeFileSync(known, `[127.0.0.1]:${port} ${host.publicKey}\n`);
  const options = `-i ${identity} -o UserKnownHostsFile=${known} -o BatchMode=yes -F none`;
  const byProgram = (command: string) => async () => {
    await run('bash', ['-euc', command], quietContext());
  };
  const byCompose = (use: (session: GuestSession) => Promise<unknown>) => async () => {
    const login = { username: 'root', privateKey: user.privateKey, hostKey: host.publicKey, budgetMs: 60_000 };
    await using session = await connectGuest({ host: '127.0.0.1', port, ...login }, quietContext());
    await use(session);
  };
  const cat = (more: string): string => `ssh ${options} ${more} -p ${port} root@127.0.0.1 'cat > ${target}' < ${path}`;
  const ways = new Map<string, () => Promise<void>>([
    [BASE, byProgram(cat(''))],
    ['`ssh -c aes128-gcm@openssh.com cat`', byProgram(cat('-c aes128-gcm@openssh.com'))],
    ['`sftp`', byProgram(`echo 'put ${path} ${target}' | sftp ${options} -q -b - -P ${port} root@127.0.0.1`)],
    ['`scp`', byProgram(`scp ${options} -q -P ${port} ${path} root@127.0.0.1:${target}`)],
    [
      'compose, a command that reads the file',
      byCompose((session) => {
        return session.run(`cat > ${target}`, { stdin: createReadStream(path, { highWaterMark: PIECE }) });
      }),
    ],
    [
      'compose, an upload by SFTP with its digest checked at both ends',
      byCompose((session) => uploadPath(session, path, target)),
    ],
    [
      'the same without SFTP',
      byCompose((session) => putFile(session, { path: target, content: { hostPath: path } }, { by: 'exec' })),
    ],
  ]);
  const turns = await inTurns(ways, {
    before: () => execFileSync('sync'),
    after: () => {
      execFileSync('cmp', [path, target]);
      rmSync(target);
    },
  });
  const rows = [...ways.keys()].map((title) => [title, ratio(bestOf(turns, BASE) / bestOf(turns, title))]);
  const manifest = readFileSync(join(packageRoot(), 'node_modules/ssh2/package.json'), 'utf8');
  const { version } = JSON.parse(manifest) as { version: string };
  const versions = { ssh2: version, ...versionsOf(['openssh-client', 'openssh-server']) };
  const caption =
    'One file, the tar of a Debian root, to an sshd on loopback, login included; rate beside `ssh cat`, above 1 is faster.';
  return { name: 'ssh', caption, header: ['', 'rate'], rows, versions, runs: turns };
}
