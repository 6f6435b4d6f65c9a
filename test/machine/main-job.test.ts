import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bootDisk } from '../../fixtures/boot-disk.ts';
import { compose } from '../../fixtures/cli.ts';
import { mtool } from '../../fixtures/fat-image.ts';
import { serveFiles, serveProxy } from '../../fixtures/http-servers.ts';
import {
  describeTree,
  extractAsCurtin,
  mountReadOnly,
  treeDifferences,
  withoutEsp,
} from '../../fixtures/reference-tree.ts';
import { openDisk } from '../../src/disk/open.ts';
import { readPartitions } from '../../src/disk/partitions.ts';
import { cacheFolder } from '../../src/host/folders.ts';

const run = promisify(execFile);
const MINUTES = 60_000;

const OWN_RECIPE = `extends: debian-12
name: web-node
packages: [hello]
provision:
  - shell: cat /proc/sys/kernel/random/boot_id > /srv/boots
  - reboot: true
  - upload: { from: ./site, to: /srv/www }
  - shell: cat /proc/sys/kernel/random/boot_id >> /srv/boots
outputs: [tgz]
maas: { name: web-node, title: Web node }
`;

/** The whole main job, once; everything below looks at what it left. */
describe('compose build debian-12 --source packages', () => {
  let folder = '';
  let out = '';
  let runDir = '';
  let raw = '';
  let rootStart = 0;
  let espStart = 0;
  let built: { status: number | null; stdout: string; stderr: string };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'compose-main-'));
    out = join(folder, 'out');
    const env = { COMPOSE_STATE: join(folder, 'state') };
    built = await compose(
      ['build', 'debian-12', '--source', 'packages', '--out', out, '--keep-run', '--log', 'plain'],
      { env },
    );
    if (built.status !== 0) throw new Error(`the build failed:\n${built.stderr}`);
    runDir = join(folder, 'state/runs', readdirSync(join(folder, 'state/runs'))[0] ?? '');
    raw = join(folder, 'disk.raw');
    await run('qemu-img', ['convert', '-O', 'raw', join(runDir, 'disk.qcow2'), raw]);
    await using disk = await openDisk(raw);
    const { partitions } = await readPartitions(disk);
    [espStart = 0, rootStart = 0] = [1, 2].map((number) => partitions.find((part) => part.number === number)?.start);
  }, 15 * MINUTES);

  afterAll(() => rm(folder, { recursive: true, force: true }), MINUTES);

  test('ends by printing artifacts, digests and the upload command', () => {
    expect(built.stdout).toContain(join(out, 'debian-12-amd64.tar.gz'));
    expect(built.stdout).toMatch(/sha256 [0-9a-f]{64} {2}debian-12-amd64\.dd\.gz/);
    expect(built.stdout).toMatch(/maas \$PROFILE boot-resources create name=debian-12 .*filetype=tgz .*content@=/);
    expect(readdirSync(out).sort()).toEqual([
      'SHA256SUMS',
      'debian-12-amd64.build.json',
      'debian-12-amd64.dd.gz',
      'debian-12-amd64.dd.gz.maas.json',
      'debian-12-amd64.tar.gz',
      'debian-12-amd64.tar.gz.maas.json',
    ]);
  });

  test('records agree with the files', async () => {
    await run('sha256sum', ['--check', 'SHA256SUMS'], { cwd: out });
    const maas = JSON.parse(readFileSync(join(out, 'debian-12-amd64.tar.gz.maas.json'), 'utf8'));
    expect(maas).toMatchObject({
      file: 'debian-12-amd64.tar.gz',
      filetype: 'tgz',
      architecture: 'amd64/generic',
      name: 'debian-12',
      title: 'Debian 12 (bookworm)',
      base_image: 'ubuntu/jammy',
      size: statSync(join(out, 'debian-12-amd64.tar.gz')).size,
    });
    const manifest = JSON.parse(readFileSync(join(out, 'debian-12-amd64.build.json'), 'utf8'));
    expect(manifest.guest.argv).toContain('-accel');
    expect(manifest.inputs[0]).toMatchObject({ kind: 'packages', suite: 'bookworm' });
    expect(manifest.packages.map((one: { name: string }) => one.name)).toEqual(
      expect.arrayContaining(['cloud-init', 'linux-image-amd64', 'netplan.io']),
    );
  });

  test(
    'an unsealed tgz, extracted as curtin does, equals the disk as the kernel mounts it',
    async () => {
      const unsealed = join(folder, 'unsealed');
      const disk = join(runDir, 'disk.qcow2');
      const packed = await compose(['pack', disk, '--no-seal', '--name', 'x', '--format', 'tgz', '--out', unsealed]);
      expect(packed.stderr).not.toContain('error');
      await using mounted = await mountReadOnly(raw, rootStart);
      await using extracted = await extractAsCurtin(join(unsealed, 'x.tar.gz'));
      const expected = await describeTree(mounted.path);
      expect(expected.size).toBeGreaterThan(15_000);
      expect(treeDifferences(withoutEsp(expected), withoutEsp(await describeTree(extracted.path)))).toEqual([]);
      // By mtools: not every kernel mounts a FAT.
      const esp = join(folder, 'esp');
      await mkdir(esp);
      await mtool(`${raw}@@${espStart}`, 'mcopy', '-s', '::*', esp);
      expect(readdirSync(join(esp, 'EFI')).sort()).toEqual(['BOOT', 'debian']);
      await run('diff', ['-r', esp, join(extracted.path, 'boot/efi')]);
    },
    5 * MINUTES,
  );

  test(
    'the sealed tgz differs from the disk by the seal alone',
    async () => {
      await using mounted = await mountReadOnly(raw, rootStart);
      await using extracted = await extractAsCurtin(join(out, 'debian-12-amd64.tar.gz'));
      const { sealed } = JSON.parse(readFileSync(join(out, 'debian-12-amd64.build.json'), 'utf8')) as {
        sealed: string[];
      };
      const touched = sealed.map((line) => line.replace(/^\w+ \//, ''));
      const isTouched = (path: string): boolean => touched.some((one) => path === one || path.startsWith(`${one}/`));
      const keep = (tree: Map<string, string>): Map<string, string> =>
        new Map([...tree].filter(([path]) => !isTouched(path)));
      const [expected, actual] = [await describeTree(mounted.path), await describeTree(extracted.path)];
      expect(treeDifferences(withoutEsp(keep(expected)), withoutEsp(keep(actual)))).toEqual([]);
      expect(sealed).toContain('drop /boot/efi/EFI');
      expect([...actual.keys()].filter((path) => /^boot\/efi(\/|$)/.test(path))).toEqual(['boot/efi']);
      expect(actual.get('etc/machine-id')).toMatch(/size=0/);
      for (const gone of [
        'etc/ssh/ssh_host_ed25519_key',
        'root/.ssh',
        'var/lib/cloud/instance',
        'var/log/cloud-init.log',
      ]) {
        expect(expected.has(gone), `${gone} was on the disk`).toBe(true);
        expect(actual.has(gone), `${gone} is in the artifact`).toBe(false);
      }
    },
    5 * MINUTES,
  );

  test(
    'the same disk gives the same bytes with 1 and with 2 workers',
    async () => {
      const disk = join(runDir, 'disk.qcow2');
      const digests: string[] = [];
      for (const workers of ['1', '2']) {
        const to = join(folder, `workers-${workers}`);
        const args = [
          'pack',
          disk,
          '--format',
          'tgz,ddgz',
          '--name',
          'debian-12-amd64',
          '--out',
          to,
          '--workers',
          workers,
        ];
        const packed = await compose(args, { env: { TZ: workers === '1' ? 'Asia/Tokyo' : 'America/New_York' } });
        expect(packed.status, packed.stderr).toBe(0);
        digests.push(readFileSync(join(to, 'SHA256SUMS'), 'utf8'));
      }
      expect(digests[0]).toBe(digests[1]);
      expect(digests[0]).toBe(readFileSync(join(out, 'SHA256SUMS'), 'utf8'));
    },
    5 * MINUTES,
  );

  test(
    'the ddgz, restored as curtin does, is sound and boots until cloud-init is done',
    async () => {
      const restored = join(folder, 'restored.raw');
      const artifact = join(out, 'debian-12-amd64.dd.gz');
      await run('bash', ['-euc', 'zcat "$1" | dd bs=4M conv=sparse of="$2" status=none', 'bash', artifact, restored]);
      await run('truncate', ['--size', `${statSync(raw).size}`, restored]);
      await run('sgdisk', ['--verify', restored]);
      const volume = join(folder, 'root.ext4');
      await run('bash', [
        '-euc',
        `dd if="$1" of="$2" bs=1M skip=${rootStart / 2 ** 20} conv=sparse status=none`,
        'bash',
        restored,
        volume,
      ]);
      await run('e2fsck', ['-fn', volume]);
      await using booted = await bootDisk(restored, 'raw');
      expect(booted.cloudInit).toBe('done');
      const { session } = booted;
      const failed = await session.run('systemctl --failed --no-legend --plain | cut -d" " -f1');
      expect(failed.stdout.trim()).toBe('');
      expect((await session.run('cat /etc/machine-id')).stdout.trim()).toMatch(/^[0-9a-f]{32}$/);
      expect((await session.run('netplan info && cloud-init --version')).exitCode).toBe(0);
      expect((await session.run('test -x /curtin/curtin-hooks')).exitCode).toBe(0);
    },
    10 * MINUTES,
  );

  test(
    'the ddgz deploys onto a larger disk: cloud-init signs, reports to MAAS, grows the root and lets the key in',
    async () => {
      const artifact = join(out, 'debian-12-amd64.dd.gz');
      const env = { COMPOSE_STATE: join(folder, 'rehearsal-state') };
      const args = ['rehearse', artifact, '--disk', '6G', '--accelerator', 'tcg', '--json'];
      const { stdout, stderr } = await compose(args, { env });
      const report = JSON.parse(stdout || `{"failure": ${JSON.stringify(stderr)}}`);
      expect(report.failure, stdout).toBeUndefined();
      expect(report.checks.map((check: { name: string; state: string }) => `${check.name} ${check.state}`)).toEqual([
        'kernel passed',
        'root writable passed',
        'root grown passed',
        'failed units passed',
        'cloud-init passed',
      ]);
      const reported = report.events.filter((event: { origin: string }) => event.origin === 'cloudinit');
      expect(reported.map((event: { name: string }) => event.name)).toEqual(
        expect.arrayContaining(['init-network', 'modules-config', 'modules-final']),
      );
    },
    15 * MINUTES,
  );

  test(
    'verify passes both artifacts, read back by themselves, and the build said the same before it packed them',
    async () => {
      const manifest = JSON.parse(readFileSync(join(out, 'debian-12-amd64.build.json'), 'utf8'));
      for (const file of ['debian-12-amd64.tar.gz', 'debian-12-amd64.dd.gz']) {
        const { status, stdout, stderr } = await compose(['verify', join(out, file), '--target-disk', '8G', '--json']);
        const report = JSON.parse(stdout || `{"findings": ${JSON.stringify(stderr)}}`);
        // Firmware of network cards is in non-free-firmware, which the recipe leaves to its reader.
        expect(report.findings.map(({ rule }: { rule: string }) => rule)).toEqual(['firmware.network']);
        expect(report).toMatchObject({ verdict: 'pass', maas: { name: 'debian-12', base_image: 'ubuntu/jammy' } });
        expect(status).toBe(0);
        const before = manifest.verified.find((one: { file: string }) => one.file === file);
        expect(before.findings.map(({ rule }: { rule: string }) => rule)).toEqual(['firmware.network']);
        const record = JSON.parse(readFileSync(join(out, `${file}.maas.json`), 'utf8'));
        expect(record.verified).toMatchObject({ warnings: ['firmware.network'], allowed: [] });
      }
    },
    3 * MINUTES,
  );

  test(
    'inspect finds in the artifacts what MAAS needs',
    async () => {
      for (const file of ['debian-12-amd64.tar.gz', 'debian-12-amd64.dd.gz']) {
        const { stdout, stderr } = await compose(['inspect', join(out, file), '--json']);
        const { system } = JSON.parse(stdout || `{"system": ${JSON.stringify(stderr)}}`);
        expect(system).toMatchObject({ id: 'debian', version: '12', machineId: 'empty', hostKeys: [] });
        expect(system.maas.filter((one: { met: boolean }) => !one.met)).toEqual([]);
      }
    },
    3 * MINUTES,
  );

  test(
    "a recipe of one's own on the vendor's image, through a proxy: downloaded, provisioned, restarted, packed",
    async () => {
      const work = join(folder, 'own');
      await mkdir(join(work, 'site/deep'), { recursive: true });
      await writeFile(join(work, 'site/deep/index.html'), 'hello\n');
      await writeFile(join(work, 'own.yaml'), OWN_RECIPE);
      const manifest = JSON.parse(readFileSync(join(out, 'debian-12-amd64.build.json'), 'utf8'));
      const base = join(cacheFolder(), `base/bookworm-amd64-flat-${manifest.inputs[0].inputs.slice(0, 24)}.qcow2`);
      const { stdout: sum } = await run('sha512sum', [base]);
      const image = '/bookworm/latest/debian-12-generic-amd64.qcow2';
      const sums = `${sum.slice(0, 128)}  debian-12-generic-amd64.qcow2\n`;
      await using server = await serveFiles(
        new Map<string, string | { file: string }>([
          [image, { file: base }],
          ['/bookworm/latest/SHA512SUMS', sums],
        ]),
      );
      await using proxy = await serveProxy();
      const env = {
        COMPOSE_STATE: join(work, 'state'),
        COMPOSE_CACHE: join(work, 'cache'),
        http_proxy: proxy.url,
        https_proxy: proxy.url,
        no_proxy: '',
        NO_PROXY: '',
      };
      const args = ['build', join(work, 'own.yaml'), '--format', 'tgz', '--log', 'plain', '--out', join(work, 'out')];
      const own = await compose([...args, '--set', `cloudimg_base=${server.url}`], { env });
      expect(own.status, own.stderr).toBe(0);
      expect(server.requests).toEqual(expect.arrayContaining([image]));
      expect(proxy.requests.some((url) => url.includes('/dists/') || url.endsWith(':443'))).toBe(true);

      await using extracted = await extractAsCurtin(join(work, 'out/web-node-amd64.tar.gz'));
      const read = (path: string): string => readFileSync(join(extracted.path, path), 'utf8');
      expect(read('srv/www/deep/index.html')).toBe('hello\n');
      const [before, after] = read('srv/boots').split('\n');
      expect(before).toMatch(/^[0-9a-f-]{36}$/);
      expect(after).toMatch(/^[0-9a-f-]{36}$/);
      expect(after, 'the guest was restarted between the steps').not.toBe(before);
      const built = JSON.parse(readFileSync(join(work, 'out/web-node-amd64.build.json'), 'utf8'));
      expect(built.inputs[0]).toMatchObject({ kind: 'cloudimg', sha512: sum.slice(0, 128) });
      expect(built.packages.map((one: { name: string }) => one.name)).toContain('hello');
      const { port } = new URL(proxy.url);
      const grep = run('grep', [
        '-rlF',
        `:${port}`,
        join(extracted.path, 'etc'),
        join(extracted.path, 'var/lib/cloud'),
      ]);
      expect((await grep.catch((error: { stdout: string }) => error)).stdout, 'the proxy stays out of it').toBe('');
      expect(existsSync(join(work, 'state/runs')) ? readdirSync(join(work, 'state/runs')) : []).toEqual([]);
    },
    15 * MINUTES,
  );

  test('no process and no temporary name is left', async () => {
    const { stdout } = await run('pgrep', ['-fc', join(folder, 'state')]).catch(() => ({ stdout: '0' }));
    expect(Number(stdout)).toBe(0);
    expect(readdirSync(out).filter((name) => name.includes('partial'))).toEqual([]);
    expect(existsSync(join(runDir, 'qemu.sh'))).toBe(true);
  });
});
