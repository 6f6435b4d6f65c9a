import { writeFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { installerMachine } from '../../src/build/installer-machine.ts';
import { quietContext } from '../../src/events.ts';
import { packageRoot } from '../../src/host/built-module.ts';
import { plan } from '../../src/recipe/plan.ts';
import { planText } from '../../src/recipe/text.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-installer-plan-'));
  await writeFile(join(folder, 'ks.cfg'), 'text\nrootpw $' + '{password}\n%packages\n@core\n%end\n# $$' + '{kept}\n');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const HEAD = `name: rhel
title: RHEL
family: rhel
version: "9"
arch: [amd64, arm64]
grade: checked
proven: nothing
user: root
variables: { password: { describe: a password, default: secret } }
machine: { memory: 1G, cpus: 2, disk: 8G, firmware: uefi }
outputs: [tgz]
maas: { name: custom/rhel, title: RHEL, base_image: ubuntu/jammy }
`;

async function recipe(installer: string): Promise<string> {
  const path = join(folder, `${Math.abs(hash(installer))}.yaml`);
  await writeFile(path, `${HEAD}sources:\n  installer:\n${installer.replace(/^/gm, '    ')}\n`);
  return path;
}

function hash(text: string): number {
  return [...text].reduce((sum, one) => (sum * 31 + one.charCodeAt(0)) | 0, 7);
}

const FULL = `iso: ./rhel-9.iso
file_name: 'rhel-9.*\\.iso'
append: inst.text
timeout: 30m
memory: 3G
answers:
  - { on: oemdrv, files: { ks.cfg: ./ks.cfg } }`;

test('a plan has the answers read, with variables replaced, and the whole command line', async () => {
  const path = await recipe(FULL);
  const planned = plan({ recipe: path });
  expect(planned.source).toEqual({
    kind: 'installer',
    iso: join(folder, 'rhel-9.iso'),
    fileName: 'rhel-9.*\\.iso',
    boot: 'kernel',
    append: 'inst.text console=ttyS0',
    layout: 'us',
    answers: [
      {
        on: 'oemdrv',
        files: [{ path: 'ks.cfg', content: 'text\nrootpw secret\n%packages\n@core\n%end\n# $' + '{kept}\n' }],
      },
    ],
    timeoutMs: 1_800_000,
    memory: 3 * 1024 ** 3,
    network: true,
  });
  expect(planText(planned)).toContain('rhel-9.iso; its kernel started directly; ks.cfg (oemdrv)');
  expect(plan({ recipe: path, arch: 'arm64' }).source).toMatchObject({ append: 'inst.text console=ttyAMA0' });
});

test('--iso takes the place of the medium and chooses the source', async () => {
  const path = await recipe(FULL);
  expect(plan({ recipe: path, iso: '/media/rhel-9.4.iso' }).source).toMatchObject({ iso: '/media/rhel-9.4.iso' });
  expect(() => plan({ recipe: path, iso: '/media/other.iso' })).toThrow(
    expect.objectContaining({ code: 'installer.file-name' }),
  );
  expect(() => plan({ recipe: 'debian-10', iso: '/media/other.iso' })).toThrow(
    expect.objectContaining({ code: 'recipe.iso', exitCode: 2 }),
  );
});

test('a cloud-init volume gets an instance of its own', async () => {
  const path = await recipe(
    'iso: u.iso\nappend: autoinstall\nanswers:\n  - on: autoinstall\n    files:\n      user-data: { text: "#cloud-config\\nautoinstall: { version: 1 }\\n" }',
  );
  expect(plan({ recipe: path }).source).toMatchObject({
    answers: [{ files: [{ path: 'user-data' }, { path: 'meta-data', content: 'instance-id: compose-install\n' }] }],
  });
});

const HTTP = 'answers:\n  - { on: http, files: { ks.cfg: { text: "text" } } }';
const REFUSED: readonly (readonly [why: string, code: string, installer: string])[] = [
  ['no medium', 'installer.iso', 'boot: kernel'],
  ['an address without a digest', 'installer.checksum', 'iso: https://vendor.example/a.iso'],
  ['answers by HTTP without a network', 'installer.answers', `iso: a.iso\nnetwork: false\n${HTTP}`],
  ['an address of answers that are not served', 'installer.answers', 'iso: a.iso\nappend: "ks=$' + '{answers_url}"'],
  [
    'an initrd that compose does not start',
    'installer.answers',
    'iso: a.iso\nboot: media\nanswers:\n  - { on: initrd, files: { a: { text: b } } }',
  ],
  ['a command line for a medium that boots itself', 'installer.media', 'iso: a.iso\nboot: media\nappend: quiet'],
  ['keys nobody knows', 'typing.syntax', "iso: a.iso\nkeys: '<entr>'"],
  [
    'answers that cannot work',
    'seed.oemdrv',
    'iso: a.iso\nanswers:\n  - { on: oemdrv, files: { kickstart: { text: "text" } } }',
  ],
  ['a variable without a value', 'variable.unset', 'iso: "$' + '{medium}"'],
];
test.each(REFUSED)('%s is refused: %s', async (_, code, installer) => {
  const path = await recipe(installer);
  expect(() => plan({ recipe: path })).toThrow(expect.objectContaining({ code, exitCode: 2 }));
});

test('firmware with Secure Boot starts no kernel that QEMU hands to it', async () => {
  const path = await recipe('iso: a.iso');
  const secure = join(folder, 'secure.yaml');
  await writeFile(secure, `extends: ${path}\nname: secure\nmachine: { secure_boot: true }\n`);
  expect(() => plan({ recipe: secure })).toThrow(expect.objectContaining({ code: 'installer.secure-boot' }));
});

test('answers that are not there are told with the recipe', async () => {
  const path = await recipe('iso: a.iso\nanswers:\n  - { on: oemdrv, files: { ks.cfg: ./gone.cfg } }');
  expect(() => plan({ recipe: path })).toThrow(expect.objectContaining({ code: 'recipe.invalid' }));
});

test('the example of docs/installers.md is a recipe that can be planned', async () => {
  const text = await readFile(join(packageRoot(), 'docs/installers.md'), 'utf8');
  const example = /```yaml\n([\s\S]*?)```/.exec(text)?.[1] ?? '';
  const path = join(folder, 'example.yaml');
  await writeFile(path, example);
  await writeFile(join(folder, 'ks.cfg'), 'text\nrootpw --iscrypted $' + '{root_password}\n%packages\n@core\n%end\n');
  expect(() => plan({ recipe: path })).toThrow(expect.objectContaining({ code: 'installer.iso' }));
  expect(plan({ recipe: path, iso: 'rhel-9.4-x86_64-dvd.iso' }).source).toMatchObject({ kind: 'installer' });
});

async function onInterface(diskInterface: string, installer: string): Promise<string> {
  const base = await recipe(installer);
  const path = join(folder, `${diskInterface}-${Math.abs(hash(installer))}.yaml`);
  await writeFile(path, `extends: ${base}\nname: other-disk\nmachine: { disk_interface: ${diskInterface} }\n`);
  return path;
}

test('the installer has its disk on the interface of the image, its media on theirs', async () => {
  const path = await onInterface('nvme', 'iso: a.iso\nboot: media\nmedia_interface: usb');
  const planned = plan({ recipe: path });
  if (planned.source.kind !== 'installer') throw new Error(planned.source.kind);
  const places = { medium: '/a.iso', volume: 'A', disk: '/run/disk.qcow2', runDir: folder, answersUrl: undefined };
  const { spec } = await installerMachine(planned, planned.source, places, quietContext());
  expect(spec.disks).toEqual([
    { path: '/run/disk.qcow2', format: 'qcow2', scratch: true, interface: 'nvme' },
    { path: '/a.iso', format: 'raw', readOnly: true, media: 'cdrom', interface: 'usb' },
  ]);
  expect(spec).not.toHaveProperty('diskInterface');
});

test.each([
  ['sata', 'inst.text rd.disk=/dev/vda2', 'vda2', 'sda'],
  ['nvme', 'ks.device=vda', 'vda', 'nvme0n1'],
])(
  'an installer on %s that is told of a virtio disk (%s) is refused in plain words',
  async (kind, append, name, right) => {
    const path = await onInterface(kind, `iso: a.iso\nappend: ${append}`);
    expect(() => plan({ recipe: path })).toThrow(
      expect.objectContaining({
        code: 'installer.disk-name',
        message: `Cannot plan other-disk: its installer is told of the disk ${name}, and on ${kind} there is none of that name`,
        hint: expect.stringContaining(`name the disk ${right}`),
      }),
    );
  },
);

test('answers of the catalogue that name a virtio disk are refused with another one', () => {
  const path = join(folder, 'sata-rocky.yaml');
  writeFileSync(path, 'extends: rocky-9\nname: sata-rocky\nmachine: { disk_interface: sata }\n');
  expect(() => plan({ recipe: path, mediumLater: true, source: 'installer' })).toThrow(
    expect.objectContaining({ code: 'installer.disk-name' }),
  );
});
