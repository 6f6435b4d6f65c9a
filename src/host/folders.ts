import { randomBytes } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeFolder } from './make-folder.ts';
import { reapPath } from './reaper.ts';

/** A folder that only its owner can enter and that is gone with all in it when it is disposed, or compose is killed. */
export interface TemporaryFolder extends AsyncDisposable {
  readonly path: string;
}

export async function temporaryFolder(prefix = 'compose-'): Promise<TemporaryFolder> {
  const path = join(tmpdir(), `${prefix}${randomBytes(6).toString('hex')}`);
  // Before the folder is there: killed in between, compose would leave it for good.
  const held = reapPath(path);
  await mkdir(path, { mode: 0o700 });
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      await rm(path, { recursive: true, force: true });
      held[Symbol.dispose]();
    },
  };
}

/** Where downloads and base disks are kept: COMPOSE_CACHE, or XDG's cache folder. */
export function cacheFolder(env: NodeJS.ProcessEnv = process.env): string {
  return env.COMPOSE_CACHE ?? join(env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'image-compose');
}

/** Where what a user settled on is kept: COMPOSE_CONFIG, or XDG's configuration folder. */
export function configFolder(env: NodeJS.ProcessEnv = process.env): string {
  return env.COMPOSE_CONFIG ?? join(env.XDG_CONFIG_HOME ?? join(homedir(), '.config'), 'image-compose');
}

/** Where the evidence of runs is kept: COMPOSE_STATE, or XDG's state folder. */
export function stateFolder(env: NodeJS.ProcessEnv = process.env): string {
  return env.COMPOSE_STATE ?? join(env.XDG_STATE_HOME ?? join(homedir(), '.local', 'state'), 'image-compose');
}

/** A new folder for one run: its serial log, its disk, its QEMU command. Never shared, so a second run cannot trip over it. */
export async function runFolder(name: string, now: Date = new Date()): Promise<string> {
  const stamp = now.toISOString().replace(/[-:]/g, '').slice(0, 15);
  const runs = join(stateFolder(), 'runs');
  await makeFolder(runs, { mode: 0o700 });
  const path = join(runs, `${stamp}-${name}-${randomBytes(3).toString('hex')}`);
  // Not recursive: a folder that is there is an error.
  await mkdir(path, { mode: 0o700 });
  return path;
}
