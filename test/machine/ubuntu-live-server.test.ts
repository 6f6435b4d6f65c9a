import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ALLOW_FLAGS } from '../../fixtures/allows.ts';
import { type CliResult, compose } from '../../fixtures/cli.ts';
import { recordOn } from '../../fixtures/doubles/record.ts';
import { rootOfDisk } from '../../fixtures/doubles/restored.ts';
import {
  type LiveServer,
  type LiveSystems,
  LVM_ROOT,
  liveServer,
  NO_SUCH_PACKAGE,
  smallUbuntu,
} from '../../fixtures/doubles/subiquity.ts';
import type { LogicalRoot } from '../../fixtures/uefi-disk.ts';
import { quietContext } from '../../src/events.ts';
import { serveAnswers } from '../../src/host/answer-server.ts';
import { which } from '../../src/host/tools.ts';
import { liftFromIso } from '../../src/machine/installer-media.ts';
import { startMachine } from '../../src/machine/start.ts';
import { plan } from '../../src/recipe/plan.ts';
import { seedVolume } from '../../src/seed/volume.ts';

const run = promisify(execFile);
const LONG = 300_000;
const HAVE = ['dropbearconvert', 'mke2fs'].every((tool) => which(tool) !== undefined);
const why = HAVE ? '' : ' (skipped: needs dropbear, mke2fs)';

let folder = '';
const NONE = new Uint8Array(0);
let systems: LiveSystems = { direct: NONE, lvm: NONE };
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-live-server-'));
  if (!HAVE) return;
  const packed = async (layout: string, on?: LogicalRoot): Promise<Uint8Array> => {
    const path = join(folder, `${layout}.raw`);
    await smallUbuntu(await mkdtemp(join(folder, `${layout}-`)), path, on);
    return gzipSync(await readFile(path), { level: 1 });
  };
  systems = { direct: await packed('direct'), lvm: await packed('lvm', LVM_ROOT) };
}, LONG);
afterAll(() => rm(folder, { recursive: true, force: true }));

/**
 * The recipe that init writes from the entry, with one of its lines taken; its machine is smaller, and its CD drive is one that
 * the double's kernel has a driver for.
 */
async function recipe(entry: string, layout: string): Promise<string> {
  const cwd = await mkdtemp(join(folder, 'init-'));
  const made = await compose(['init', `my-${entry}`, '--from', entry], { cwd });
  expect(made.status, made.stderr).toBe(0);
  const path = join(cwd, `my-${entry}.yaml`);
  const lines = (await readFile(path, 'utf8')).split('\n');
  expect(lines).toContain('#packages: [vim, tmux]');
  const edited = lines.map((line) => (line.startsWith('#packages:') ? 'packages: [htop]' : line)).join('\n');
  const installer = `{ memory: 384M, media_interface: scsi }`;
  const over = `machine: { memory: 256M, cpus: 1, disk: 192M }\n    sources: { installer: ${installer} }`;
  await writeFile(path, `${edited}\nlayouts:\n  ${layout}:\n    ${over}\n`);
  return path;
}

const MEDIA: Readonly<Record<string, LiveServer>> = {
  'ubuntu-20.04': { release: '20.04.6', codename: 'Focal Fossa', sources: false },
  'ubuntu-22.04': { release: '22.04.5', codename: 'Jammy Jellyfish', sources: true },
  'ubuntu-24.04': { release: '24.04.2', codename: 'Noble Numbat', sources: true },
  'ubuntu-26.04': { release: '26.04', codename: 'Resolute Raccoon', sources: true },
};

interface Driven {
  readonly result: CliResult;
  readonly path: string;
  readonly iso: string;
  /** Folder of what was built. */
  readonly out: string;
  /** Disks that were installed. */
  readonly base: string;
  /** For what the test makes. */
  readonly at: string;
}

/** `compose build` of an entry from a double of its medium, as an operator would call it. */
async function drive(entry: string, layout: string, packages: string): Promise<Driven> {
  const at = await mkdtemp(join(folder, `${entry}-${layout}-`));
  const media = MEDIA[entry] ?? { release: '', codename: '', sources: true };
  const iso = join(folder, `ubuntu-${media.release}-live-server-amd64.iso`);
  if (!existsSync(iso)) await liveServer(iso, media, systems);
  const path = await recipe(entry, layout);
  const out = join(at, 'out');
  const args = ['build', path, '--layout', layout, '--iso', iso, '--set', `packages=${packages}`, '--out', out];
  const env = { COMPOSE_STATE: join(at, 'state'), COMPOSE_CACHE: join(at, 'cache') };
  const result = await compose([...args, ...ALLOW_FLAGS, '--accelerator', 'tcg', '--log', 'plain'], { env });
  return { result, path, iso, out, base: join(at, 'cache/base'), at };
}

describe.skipIf(!HAVE)(`the live server${why}`, () => {
  test.each([
    ['ubuntu-20.04', 'flat'],
    ['ubuntu-20.04', 'lvm'],
    ['ubuntu-22.04', 'flat'],
    ['ubuntu-22.04', 'lvm'],
    ['ubuntu-24.04', 'flat'],
    ['ubuntu-24.04', 'lvm'],
    ['ubuntu-26.04', 'flat'],
    ['ubuntu-26.04', 'lvm'],
  ])(
    '%s in the layout %s is built from the ISO to the artifact, with the answers that were planned',
    async (entry, layout) => {
      const { result, path, iso, out, base, at } = await drive(entry, layout, 'vim,tmux');
      expect(result.status, result.stderr).toBe(0);
      const planned = plan({ recipe: path, layout, iso, set: ['packages=vim,tmux'] });
      if (planned.source.kind !== 'installer') throw new Error('another source');
      const files = planned.source.answers.flatMap((one) => one.files);
      const disk = readdirSync(base).find((name) => name.endsWith('.qcow2')) ?? '';
      const { cmdline, ...given } = await recordOn(join(base, disk));
      expect(given).toEqual(Object.fromEntries(files.map(({ path, content }) => [path, content])));
      for (const one of ['htop', 'vim', 'tmux']) expect(given['user-data']).toContain(`- "${one}"`);
      expect(cmdline?.trim().split(/\s+/)).toEqual(expect.arrayContaining(['autoinstall', 'console=ttyS0']));
      const [artifact] = planned.artifacts;
      const made = join(out, artifact?.file ?? '');
      if (layout === 'lvm') expect(await rootOfDisk(made, at)).toBe('/dev/ubuntu-vg/ubuntu-lv');
      else {
        const { stdout } = await run('tar', ['-tzf', made]);
        expect(stdout.split('\n')).toEqual(expect.arrayContaining(['./curtin/curtin-hooks', './boot/vmlinuz']));
      }
      const told = JSON.parse(await readFile(`${made}.maas.json`, 'utf8'));
      expect(told).toMatchObject({ ...planned.maas, filetype: artifact?.filetype, user: 'ubuntu' });
    },
    LONG,
  );

  test(
    'an installation that fails ends the build at once with what the installer said',
    async () => {
      const { result, out } = await drive('ubuntu-24.04', 'flat', NO_SUCH_PACKAGE);
      expect(result.status).toBe(5);
      expect(result.stderr).toMatch(/installer\.failed/);
      expect(result.stderr).toContain(`subiquity/Install/install/postinstall/install_${NO_SUCH_PACKAGE}: FAIL`);
      expect(readdirSync(out)).toEqual([]);
    },
    LONG,
  );

  const SEED = {
    'user-data': '#cloud-config\nautoinstall:\n  version: 1\n  user-data:\n    users:\n      - "default"\n',
    'meta-data': 'instance-id: double\n',
  };
  const members = Object.entries(SEED).map(([path, text]) => ({ path, content: Buffer.from(text) }));

  test.each([
    ['without its word on the command line it asks, whatever the answers', '', true, /Continue with autoinstall\?/],
    ['without answers it greets whoever is there', 'autoinstall', false, /Please choose your language/],
    ['answers at an address are fetched', 'autoinstall ds=nocloud;s=', false, /finish: subiquity\/Late\/run: SUCCESS/],
  ] as const)(
    '%s',
    async (_, append, seeded, said) => {
      const at = await mkdtemp(join(folder, 'double-'));
      const iso = join(at, 'live.iso');
      await liveServer(iso, { release: '24.04.2', codename: 'Noble Numbat', sources: true }, systems);
      const lifted = await liftFromIso(iso, {}, at, quietContext());
      await run('qemu-img', ['create', '-q', '-f', 'qcow2', join(at, 'disk.qcow2'), '192M']);
      const seed = join(at, 'seed.iso');
      await writeFile(seed, seedVolume('autoinstall', members).image);
      const files = members.map(({ path, content }) => ({ name: path, content }));
      await using server = await serveAnswers(files, quietContext());
      const from = append.endsWith('=') ? server.guestUrl : '';
      const raw = (path: string) => ({ path, format: 'raw' as const, readOnly: true });
      await using machine = await startMachine(
        {
          name: 'live-server',
          arch: 'amd64',
          memory: 384 * 1024 * 1024,
          cpus: 1,
          firmware: 'bios',
          ssh: true,
          disks: [
            { path: join(at, 'disk.qcow2'), format: 'qcow2', scratch: true },
            raw(iso),
            ...(seeded ? [raw(seed)] : []),
          ],
          kernel: { image: lifted.kernel.path, initrd: lifted.initrd.path, append: `console=ttyS0 ${append}${from}` },
        },
        { runDir: at, policy: 'tcg' },
        quietContext(),
      );
      const ended = machine.failure.catch(() => {});
      await expect.poll(() => machine.serial.tail(30).join('\n'), { timeout: LONG / 3 }).toMatch(said);
      if (from === '') return;
      await ended;
      // It boots the installer once more, which begins by overwriting the disk.
      await machine[Symbol.asyncDispose]();
      const { cmdline: __, ...given } = await recordOn(join(at, 'disk.qcow2'));
      expect(given).toEqual(SEED);
    },
    LONG,
  );
});
