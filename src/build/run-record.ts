/** What a run folder says of its machine and its login, so that `compose debug` and `ssh` can go back to it. */
import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { UsageError } from '../errors.ts';
import type { KeyPair } from '../guest/keys.ts';
import { stateFolder } from '../host/folders.ts';
import type { Firmware } from '../machine/firmware.ts';
import { firmwareSchema } from '../machine/kept-firmware.ts';
import type { MachineSpec } from '../machine/spec.ts';

const VERSION = 1;
const RECORD = 'run.json';
const KEY_FILE = 'id_ed25519';
const KNOWN_HOSTS = 'known_hosts';
/** The guest's name in known_hosts: its port is another one each time. */
const ALIAS = 'compose-guest';

const schema = z.looseObject({
  version: z.literal(VERSION),
  recipe: z.string(),
  user: z.string(),
  hostKey: z.string().startsWith('ssh-ed25519 '),
  spec: z.looseObject({
    name: z.string(),
    disks: z.array(z.looseObject({ path: z.string(), format: z.enum(['qcow2', 'raw']) })).min(1),
  }),
  firmware: firmwareSchema.optional(),
});

export interface RunRecord {
  readonly runDir: string;
  readonly recipe: string;
  readonly user: string;
  readonly hostKey: string;
  readonly privateKey: string;
  readonly spec: MachineSpec;
  /** With the variables the guest left; undefined for a BIOS, and for a run whose guest was not started. */
  readonly firmware: Firmware | undefined;
}

/**
 * Writes run.json, the login key (for its owner's eyes only) and known_hosts into a run folder. The key opens this run's
 * guest alone, and goes with the folder.
 */
export async function writeRunRecord(
  runDir: string,
  run: { readonly recipe: string; readonly user: string; readonly spec: MachineSpec },
  keys: { readonly user: KeyPair; readonly host: KeyPair },
): Promise<void> {
  const hostKey = keys.host.publicKey.trim();
  await writeFile(join(runDir, KEY_FILE), keys.user.privateKey, { mode: 0o600 });
  await writeFile(join(runDir, KNOWN_HOSTS), `${ALIAS} ${hostKey.split(' ').slice(0, 2).join(' ')}\n`);
  await writeFile(join(runDir, RECORD), `${JSON.stringify({ version: VERSION, ...run, hostKey }, null, 2)}\n`);
}

/** Whether a run came so far that `compose debug` can go back to it. */
export function hasRecord(runDir: string): boolean {
  return existsSync(join(runDir, RECORD));
}

/** Adds to run.json which firmware the guest was started with, and where its variables are. */
export async function recordFirmware(runDir: string, firmware: Firmware): Promise<void> {
  const path = join(runDir, RECORD);
  const record = JSON.parse(await readFile(path, 'utf8')) as object;
  await writeFile(path, `${JSON.stringify({ ...record, firmware }, null, 2)}\n`);
}

/** The command that logs into a run's guest while it runs. */
export function sshCommand(runDir: string, user: string, at: { readonly host: string; readonly port: number }): string {
  const options = [`UserKnownHostsFile=${join(runDir, KNOWN_HOSTS)}`, `HostKeyAlias=${ALIAS}`, 'IdentitiesOnly=yes'];
  const words = ['ssh', '-i', join(runDir, KEY_FILE), '-p', String(at.port), ...options.flatMap((one) => ['-o', one])];
  return [...words, `${user}@${at.host}`].map(word).join(' ');
}

function word(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/**
 * The record of a run: a folder, the name of one, or the newest.
 * @throws UsageError `run.not-found`, `run.no-record`
 */
export async function readRunRecord(name: string | undefined): Promise<RunRecord> {
  const runDir = await runFolderOf(name);
  const path = join(runDir, RECORD);
  try {
    const parsed = schema.parse(JSON.parse(await readFile(path, 'utf8')));
    const privateKey = await readFile(join(runDir, KEY_FILE), 'utf8');
    const { recipe, user, hostKey } = parsed;
    const spec = parsed.spec as unknown as MachineSpec;
    const firmware = parsed.firmware as Firmware | undefined;
    return { runDir, recipe, user, hostKey, privateKey, spec, firmware };
  } catch (cause) {
    throw new UsageError(
      'run.no-record',
      `Cannot go back to the run ${runDir}: its run.json or its key cannot be read`,
      {
        hint: 'Name the folder of a run whose guest had been started; builds that did not come so far leave none.',
        cause,
      },
    );
  }
}

async function runFolderOf(name: string | undefined): Promise<string> {
  const runs = join(stateFolder(), 'runs');
  if (name !== undefined) {
    const found = [resolve(name), join(runs, name)].find((path) => existsSync(path));
    if (found !== undefined) return found;
  } else {
    // Names begin with the time.
    const names = (await readdir(runs).catch(() => [])).sort().reverse();
    const newest = names.find((one) => hasRecord(join(runs, one)));
    if (newest !== undefined) return join(runs, newest);
  }
  throw new UsageError('run.not-found', `Cannot find the run ${name ?? '(the newest)'}: there is no such folder`, {
    hint: `A build that fails names its run folder; they lie in ${runs}.`,
  });
}
