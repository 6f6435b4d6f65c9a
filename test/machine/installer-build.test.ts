import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compose } from '../../fixtures/cli.ts';
import { installedMarker, installerDouble, SYSTEM_MARKER } from '../../fixtures/installer-double.ts';
import { smallSystem } from '../../fixtures/small-system.ts';
import { installedDisk } from '../../src/build/installed-disk.ts';
import { type ComposeEvent, quietContext } from '../../src/events.ts';
import { which } from '../../src/host/tools.ts';
import { plan } from '../../src/recipe/plan.ts';

const run = promisify(execFile);
const LONG = 300_000;
const HAVE = ['xorriso', 'dropbearconvert', 'mke2fs'].every((tool) => which(tool) !== undefined);
const why = HAVE ? '' : ' (skipped: needs xorriso, dropbear, mke2fs)';
const PASSWORD = 'correct-horse-battery';

let folder = '';
let env: Record<string, string> = {};
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-installer-'));
  env = { COMPOSE_STATE: join(folder, 'state'), COMPOSE_CACHE: join(folder, 'cache') };
  if (!HAVE) return;
  await smallSystem(folder, join(folder, 'small.raw'));
  await installerDouble(folder, 'rhel', join(folder, 'small.raw'));
  await installerDouble(folder, 'debian');
}, LONG);
afterAll(() => rm(folder, { recursive: true, force: true }));

const COMMON = `title: Double
family: double
version: "1"
arch: [amd64]
grade: driven
proven: an installer double
user: root
variables:
  password: { describe: root's password, secret: true }
outputs: [ddgz]
maas: { name: custom/double, title: Double, base_image: ubuntu/jammy }
verify: { allow: [{ rule: "*", reason: the double installs a system of busybox }] }
`;

const RHEL = `name: double
${COMMON}
machine: { memory: 384M, cpus: 1, disk: 160M, firmware: uefi }
sources:
  installer:
    file_name: 'rhel\\.iso'
    volume: 'Rocky-9-\\d+-x86_64-dvd'
    append: 'inst.stage2=hd:LABEL=Rocky-9-4-x86_64-dvd panic=-1'
    answers:
      - { on: oemdrv, files: { ks.cfg: ./ks.cfg } }
    network: false
    # The double's kernel has no driver for SATA.
    media_interface: scsi
provision:
  - shell: echo provisioned > /root/said
`;
const KICKSTART = 'text\nrootpw $' + '{password}\n%packages\n@core\n%end\n';

test.skipIf(!HAVE)(
  `compose build installs from a medium, boots what was installed, provisions and packs it; then the cache has the disk${why}`,
  async () => {
    await mkdir(join(folder, 'one'));
    const recipe = join(folder, 'one/double.yaml');
    await writeFile(recipe, RHEL);
    await writeFile(join(folder, 'one/ks.cfg'), KICKSTART);
    const out = join(folder, 'one/out');
    const args = ['build', recipe, '--iso', join(folder, 'rhel.iso'), '--set', `password=${PASSWORD}`, '--out', out];
    const built = await compose([...args, '--accelerator', 'tcg', '--log', 'ndjson'], { env });
    expect(built.stderr).not.toContain(PASSWORD);
    expect({ status: built.status, stderr: built.status === 0 ? '' : built.stderr }).toEqual({ status: 0, stderr: '' });
    const events = built.stderr
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as ComposeEvent);
    const done = events.flatMap((event) => (event.type === 'phase' && event.state === 'done' ? [event.phase] : []));
    expect(done.slice(0, 5)).toEqual(['install', 'acquire', 'prepare', 'start', 'boot']);
    const raw = join(folder, 'one/restored.raw');
    await writeFile(raw, gunzipSync(readFileSync(join(out, 'double-amd64.dd.gz'))));
    const answers = KICKSTART.replace('$' + '{password}', PASSWORD);
    expect(await installedMarker(raw, SYSTEM_MARKER)).toEqual({
      vendor: 'rhel',
      via: 'oemdrv',
      size: String(answers.length),
      sha256: createHash('sha256').update(answers).digest('hex'),
    });
    const { stdout } = await run('debugfs', ['-R', 'cat /root/said', `${raw}?offset=${41 * 1024 * 1024}`]);
    expect(stdout).toBe('provisioned\n');
    const manifest = JSON.parse(readFileSync(join(out, 'double-amd64.build.json'), 'utf8'));
    expect(manifest.inputs[0]).toMatchObject({ kind: 'installer', iso: 'rhel.iso', volume: 'Rocky-9-4-x86_64-dvd' });
    expect(readdirSync(join(folder, 'cache/base')).map((name) => name.replace(/-[0-9a-f]{24}/, ''))).toEqual([
      'double-amd64.qcow2',
      'double-amd64.qcow2.firmware.json',
      'double-amd64.qcow2.vars',
    ]);
    expect(readdirSync(join(folder, 'state/runs'))).toEqual([]);

    const again = await compose([...args, '--accelerator', 'tcg', '--log', 'plain', '--keep-run'], { env });
    expect(again.status).toBe(0);
    expect(again.stderr).toContain('installer, from the cache');
    const [runDir = ''] = readdirSync(join(folder, 'state/runs'));
    expect(readdirSync(join(folder, 'state/runs', runDir))).toContain('efivars.fd');
  },
  LONG,
);

const KEY = '$' + '{answers_url}';
const TYPED = `name: typed
${COMMON}
machine: { memory: 256M, cpus: 1, disk: 8M, firmware: bios }
sources:
  installer:
    iso: ../debian.iso
    boot: media
    keys: >-
      <wait:"boot: ">install preseed/url=${KEY}preseed.cfg panic=-1<enter>
    answers:
      - on: http
        files:
          preseed.cfg: { text: "d-i debian-installer/locale string en_US.UTF-8\\n" }
`;

test.skipIf(!HAVE)(
  `answers are served while keys are typed at the medium's own boot loader${why}`,
  async () => {
    const at = join(folder, 'typed');
    await mkdir(at);
    await writeFile(join(at, 'typed.yaml'), TYPED);
    process.env.COMPOSE_CACHE = join(folder, 'cache-typed');
    try {
      const planned = plan({ recipe: join(at, 'typed.yaml') });
      if (planned.source.kind !== 'installer') throw new Error('another source');
      const said: string[] = [];
      const emit = (event: ComposeEvent): void => {
        if (event.type === 'log') said.push(event.message);
      };
      const options = { source: planned.source, runDir: at, accelerator: 'tcg' as const };
      const made = await installedDisk(planned, options, { ...quietContext(), emit });
      const raw = join(at, 'disk.raw');
      await run('qemu-img', ['convert', '-O', 'raw', made.path, raw]);
      expect(await installedMarker(raw)).toMatchObject({ vendor: 'debian', via: 'http', size: '47' });
      expect(said.filter((message) => message.startsWith('answers: '))).toEqual([
        'answers: GET preseed.cfg: 200, 47 bytes',
      ]);
      expect(made.firmware).toBeUndefined();
      // What it was made with is gone, its evidence is there.
      expect(readdirSync(join(at, 'install'))).not.toContain('disk.qcow2');
      expect(readdirSync(join(at, 'install'))).toContain('serial.log');
    } finally {
      delete process.env.COMPOSE_CACHE;
    }
  },
  LONG,
);

test.skipIf(!HAVE)(
  `a medium that is another one is refused before anything starts${why}`,
  async () => {
    const at = join(folder, 'wrong');
    await mkdir(at);
    await writeFile(join(at, 'wrong.yaml'), RHEL.replace('rhel\\.iso', '.*\\.iso'));
    await writeFile(join(at, 'ks.cfg'), KICKSTART);
    const recipe = ['build', join(at, 'wrong.yaml'), '--set', 'password=x', '--out', join(at, 'out')];
    const other = await compose([...recipe, '--iso', join(folder, 'debian.iso')], { env });
    expect(other.status).toBe(4);
    expect(other.stderr).toContain('it is another medium (volume name "Debian 12.5.0 amd64 n")');
    const gone = await compose([...recipe, '--iso', join(folder, 'gone.iso')], { env });
    expect(gone.status).toBe(4);
    expect(gone.stderr).toContain('gone.iso');
    expect(readdirSync(join(at, 'out'))).toEqual([]);
  },
  LONG,
);
