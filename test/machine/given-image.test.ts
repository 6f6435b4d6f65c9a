/** sles-12, driven from an image that is given to a tgz, in a real QEMU; a small system stands for the vendor's image. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ALLOW_FLAGS } from '../../fixtures/allows.ts';
import { compose, EMULATED } from '../../fixtures/cli.ts';
import { NO_SMALL_IMAGE } from '../../fixtures/small-image.ts';
import { type Filling, standInImage } from '../../fixtures/stand-in-image.ts';

const run = promisify(execFile);
const LONG = 600_000;
const HAVE = NO_SMALL_IMAGE === undefined;
const why = HAVE ? '' : ` (skipped: needs ${NO_SMALL_IMAGE})`;
const NAME = 'SLES12-SP5-JeOS.x86_64-12.5-OpenStack-Cloud-GM.qcow2';
const KERNEL = '4.12.14-120-default';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'compose-given-'));
  if (!HAVE) return;
  await standInImage(folder, NAME, complete);
}, LONG);
afterAll(() => rm(folder, { recursive: true, force: true }));

/** What the vendor's image has that the steps are about. Its programs say what they were asked. */
async function complete({ put, says }: Filling): Promise<void> {
  // Powering off is left to what can do it.
  await says('systemctl', '[ "$1" != poweroff ]\n');
  await says('dracut');
  await says('zypper');
  await says('grub2-mkconfig', 'cp /etc/default/grub "$2"\n');
  for (const unit of ['cloud-init-local', 'cloud-init', 'cloud-config', 'cloud-final']) {
    await put(`usr/lib/systemd/system/${unit}.service`, '');
  }
  await put(`lib/modules/${KERNEL}/modules.dep`, '');
  await put('boot/grub2/grub.cfg', '');
  await put('etc/default/grub', 'GRUB_TERMINAL="serial"\nGRUB_CMDLINE_LINUX="net.ifnames=0 console=ttyS0,115200"\n');
  await put('etc/ssh/sshd_config', '#PermitRootLogin yes\n');
  await put('etc/sysconfig/language', 'RC_LANG="POSIX"\nROOT_USES_LANG="ctype"\n');
  await put('etc/sysconfig/network/ifcfg-eth0', 'BOOTPROTO=dhcp\n');
  await put('etc/sysconfig/network/ifcfg-lo', 'BOOTPROTO=none\n');
  await put('etc/udev/rules.d/70-persistent-net.rules', 'SUBSYSTEM=="net"\n');
  await put('usr/share/zoneinfo/Europe/Berlin', 'TZif2');
}

test.skipIf(!HAVE)(
  `a given image becomes a tgz, and the manifest says which image it was${why}`,
  async () => {
    const image = join(folder, NAME);
    const { stdout: sum } = await run('sha256sum', [image]);
    const sha256 = sum.slice(0, 64);
    const out = join(folder, 'out');
    const env = { COMPOSE_STATE: join(folder, 'state'), COMPOSE_CACHE: join(folder, 'cache') };
    const set = ['--set', `image_sha256=${sha256}`, '--set', 'timezone=Europe/Berlin'];
    const given = ['build', 'sles-12', '--image', image, ...set, ...ALLOW_FLAGS, '--out', out, ...EMULATED];
    const built = await compose(given, { env });
    expect({ status: built.status, stderr: built.status === 0 ? '' : built.stderr }).toEqual({ status: 0, stderr: '' });

    const manifest = JSON.parse(await readFile(join(out, 'sles-12-amd64.build.json'), 'utf8'));
    expect(manifest.inputs[0]).toMatchObject({ kind: 'cloudimg', image: NAME, sha256 });
    expect((await run('sha256sum', [image])).stdout, 'the image stays as it is').toBe(sum);

    const archive = join(out, 'sles-12-amd64.tar.gz');
    const inside = async (path: string): Promise<string> => (await run('tar', ['-xzOf', archive, `./${path}`])).stdout;
    expect(await inside('curtin/curtin-hooks')).toBe(readFileSync('recipes/suse/curtin-hooks', 'utf8'));
    expect(await inside('etc/cloud/cloud.cfg.d/90-compose-datasources.cfg')).toContain('MAAS');
    const asked = await inside('var/log/asked');
    expect(asked).toContain('systemctl enable cloud-init-local.service\n');
    expect(asked).toContain(`dracut --force /boot/initrd-${KERNEL} ${KERNEL}\n`);
    expect(await inside('boot/grub2/grub.cfg')).toBe(
      'GRUB_CMDLINE_LINUX="net.ifnames=0"\nGRUB_TERMINAL_OUTPUT="console"\n',
    );
    expect(await inside('etc/sysconfig/language')).toBe('RC_LANG="en_US.UTF-8"\nROOT_USES_LANG="yes"\n');
    expect(await inside('etc/ssh/sshd_config')).toBe('#PermitRootLogin yes\n');
    const { stdout: listed } = await run('tar', ['-tvzf', archive]);
    expect(listed).toContain('etc/localtime -> /usr/share/zoneinfo/Europe/Berlin');
    expect(listed).toContain('network/ifcfg-lo');
    expect(listed).not.toContain('network/ifcfg-eth0');
    expect(listed).not.toContain('70-persistent-net.rules');
    expect(listed).not.toContain('root/.ssh/authorized_keys');
  },
  LONG,
);
