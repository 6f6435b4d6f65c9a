/** ubuntu-24.04 from a cloud image that a server of ours publishes as the vendor does; a small system stands for the vendor's. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ALLOW_FLAGS } from '../../fixtures/allows.ts';
import { compose, EMULATED } from '../../fixtures/cli.ts';
import { serveFiles } from '../../fixtures/http-servers.ts';
import { NO_SMALL_IMAGE } from '../../fixtures/small-image.ts';
import { type Filling, standInImage } from '../../fixtures/stand-in-image.ts';

const run = promisify(execFile);
const LONG = 600_000;
const HAVE = NO_SMALL_IMAGE === undefined;
const why = HAVE ? '' : ` (skipped: needs ${NO_SMALL_IMAGE})`;
const IMAGE = 'noble-server-cloudimg-amd64.img';
const ARCHIVE = 'http://archive.ubuntu.com/ubuntu';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-cloudimg-'));
  if (!HAVE) return;
  await standInImage(folder, IMAGE, complete);
}, LONG);
afterAll(() => rm(folder, { recursive: true, force: true }));

/** What the vendor's image has that the steps are about. Its programs say what they were asked. */
async function complete({ put, says }: Filling): Promise<void> {
  for (const name of ['apt-get', 'add-apt-repository', 'update-locale', 'locale-gen', 'netplan']) await says(name);
  await says('debconf-set-selections', 'cat >> /var/log/asked\n');
  await says(
    'dpkg-query',
    "printf 'ii  linux-image-virtual\\nun  linux-kvm\\nii  linux-modules-6.8.0-31-generic\\n'\n",
  );
  await put('etc/apt/sources.list.d/ubuntu.sources', `URIs: ${ARCHIVE}/\nSuites: noble noble-updates\n`);
  await put('etc/fstab', 'LABEL=small / ext4 defaults 0 1\nLABEL=EFI /boot/efi vfat umask=0077 0 1\n');
  await put('etc/default/keyboard', 'XKBLAYOUT="de"\n');
  await put('usr/share/i18n/SUPPORTED', 'de_DE.UTF-8 UTF-8\n');
  await put('usr/share/zoneinfo/Europe/Berlin', 'TZif2');
}

const SET = [
  ...['packages=vim,tmux', 'timezone=Europe/Berlin', 'locale=de_DE.UTF-8', 'mirror=http://mirror.example/ubuntu'],
  ...['extra_repositories=ppa:team/tools', 'kernel=linux-generic-hwe-24.04'],
];

test.skipIf(!HAVE)(
  `the cloud image is downloaded, checked by its SHA256SUMS, provisioned and packed${why}`,
  async () => {
    const path = join(folder, IMAGE);
    const { stdout: sum } = await run('sha256sum', [path]);
    const sha256 = sum.slice(0, 64);
    const sums = `${'0'.repeat(64)} *noble-server-cloudimg-arm64.img\n${sha256} *${IMAGE}\n`;
    await using server = await serveFiles(
      new Map<string, string | { file: string }>([
        [`/noble/current/${IMAGE}`, { file: path }],
        ['/noble/current/SHA256SUMS', sums],
      ]),
    );
    const out = join(folder, 'out');
    const env = { COMPOSE_STATE: join(folder, 'state'), COMPOSE_CACHE: join(folder, 'cache') };
    const set = [`cloudimg_base=${server.url}`, ...SET].flatMap((one) => ['--set', one]);
    const given = ['--layout', 'cloudimg', ...set, ...ALLOW_FLAGS, ...EMULATED];
    const built = await compose(['build', 'ubuntu-24.04', ...given, '--out', out], { env });
    expect(built.status, built.stderr).toBe(0);

    const manifest = JSON.parse(readFileSync(join(out, 'ubuntu-24.04-amd64.build.json'), 'utf8'));
    expect(manifest.inputs[0]).toMatchObject({ kind: 'cloudimg', sha256 });
    const archive = join(out, 'ubuntu-24.04-amd64.tar.gz');
    const inside = async (name: string): Promise<string> => (await run('tar', ['-xzOf', archive, `./${name}`])).stdout;
    expect(await inside('etc/apt/sources.list.d/ubuntu.sources')).toContain('URIs: http://mirror.example/ubuntu/\n');
    const asked = await inside('var/log/asked');
    expect(asked).toContain('add-apt-repository -y ppa:team/tools\n');
    expect(asked).toContain('apt-get purge -y linux-image-virtual linux-modules-6.8.0-31-generic\n');
    expect(asked).toMatch(/^apt-get .*install .*\bvim tmux\b/m);
    expect(asked).toMatch(/^apt-get .*install .*linux-generic-hwe-24\.04/m);
    // First what is there goes, then another comes.
    expect(asked.indexOf('apt-get purge')).toBeLessThan(asked.lastIndexOf('linux-generic-hwe-24.04'));
    expect(await inside('etc/timezone')).toBe('Europe/Berlin\n');
    expect(await inside('etc/locale.gen')).toBe('de_DE.UTF-8 UTF-8\n');
    expect(await inside('etc/fstab'), 'no mounts of the build').toBe('');
    expect(await inside('curtin/curtin-hooks')).toBe(readFileSync('recipes/debian/curtin-hooks', 'utf8'));
  },
  LONG,
);
