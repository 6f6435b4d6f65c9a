/**
 * `npm run bench -- first-command`: the time from starting QEMU to the end of the first command in the guest, by compose and
 * by `ssh` in a tight loop, for the same guest under software emulation, in turns.
 */
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { quietContext } from '../src/events.ts';
import { connectGuest } from '../src/guest/connect.ts';
import { generateKeys } from '../src/guest/keys.ts';
import { type RunningMachine, startMachine } from '../src/machine/start.ts';
import { buildSeedFiles, writeNoCloud } from '../src/seed/nocloud.ts';
import { benchDisk } from './disk.ts';

const RUNS = 3;
const MIB = 1024 * 1024;
const BUDGET_MS = 600_000;

async function once(
  base: string,
  command: (machine: RunningMachine, folder: string, keys: Keys) => Promise<void>,
): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'compose-first-'));
  try {
    const keys = { user: generateKeys('bench'), host: generateKeys('bench-host') };
    const seed = join(folder, 'seed.iso');
    const { user, host } = keys;
    await writeNoCloud(
      seed,
      buildSeedFiles({
        instanceId: 'bench',
        hostname: 'bench',
        user: 'root',
        authorizedKey: user.publicKey,
        hostKey: host,
      }),
    );
    const disk = join(folder, 'disk.qcow2');
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', base, '-F', 'qcow2', disk]);
    const start = performance.now();
    await using machine = await startMachine(
      {
        name: 'bench',
        arch: 'amd64',
        memory: 1536 * MIB,
        cpus: 2,
        firmware: 'uefi',
        ssh: true,
        disks: [
          { path: disk, format: 'qcow2', scratch: true },
          { path: seed, format: 'raw', readOnly: true },
        ],
      },
      { runDir: folder, policy: 'tcg' },
      quietContext(),
    );
    await command(machine, folder, keys);
    return performance.now() - start;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Keys {
  readonly user: { readonly privateKey: string };
  readonly host: { readonly publicKey: string };
}

async function byCompose(machine: RunningMachine, _: string, keys: Keys): Promise<void> {
  await using session = await connectGuest(
    {
      host: machine.ssh?.host ?? '',
      port: machine.ssh?.port ?? 0,
      username: 'root',
      privateKey: keys.user.privateKey,
      hostKey: keys.host.publicKey,
      budgetMs: BUDGET_MS,
      failure: machine.failure,
    },
    quietContext(),
  );
  await session.run('true');
}

async function byLoop(machine: RunningMachine, folder: string, keys: Keys): Promise<void> {
  const identity = join(folder, 'key');
  writeFileSync(identity, keys.user.privateKey, { mode: 0o600 });
  const known = join(folder, 'known');
  const port = machine.ssh?.port ?? 0;
  writeFileSync(known, `[127.0.0.1]:${port} ${keys.host.publicKey}\n`);
  const options = ['BatchMode=yes', 'ConnectTimeout=1', `UserKnownHostsFile=${known}`, 'StrictHostKeyChecking=yes'];
  const args = [
    ...options.flatMap((option) => ['-o', option]),
    '-i',
    identity,
    '-p',
    String(port),
    'root@127.0.0.1',
    'true',
  ];
  for (;;) {
    const ended = await new Promise<boolean>((resolve) => execFile('ssh', args, (error) => resolve(error === null)));
    if (ended) return;
  }
}

export async function firstCommand(): Promise<void> {
  const { path } = await benchDisk(['openssh-client', 'qemu-system-x86', 'ovmf']);
  const times = { compose: [] as number[], loop: [] as number[] };
  for (let run = 0; run < RUNS; run++) {
    times.compose.push(await once(path, byCompose));
    times.loop.push(await once(path, byLoop));
    console.log(
      `run ${run + 1}: compose ${times.compose.at(-1)?.toFixed(0)} ms, ssh loop ${times.loop.at(-1)?.toFixed(0)} ms`,
    );
  }
  const ratio = Math.min(...times.compose) / Math.min(...times.loop);
  console.log(`first command: compose takes ${ratio.toFixed(3)} of the time of ssh in a tight loop`);
}
