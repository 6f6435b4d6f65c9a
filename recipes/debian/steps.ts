/** Provisioning steps of a Debian, whatever it was made from. */
import { join } from 'node:path';
import { packageRoot } from '../../src/host/built-module.ts';
import type { RecipeInput } from '../../src/recipe/schema.ts';
import { DEBIAN_LOCALE_STEPS } from '../standard.ts';
import { BIOS, CLOUD_IMAGE_LACKS } from './packages.ts';
import type { Release } from './releases.ts';

type Steps = NonNullable<RecipeInput['provision']>;

const file = (name: string): string => join(packageRoot(), 'recipes/debian', name);

/** MAAS first; NoCloud and ConfigDrive so that the image can be tried anywhere; None so that a boot never hangs on it. */
const DATASOURCES = 'datasource_list: [ MAAS, NoCloud, ConfigDrive, None ]\n';

/** The archive of releases that have left the mirrors signs with keys that may have ended; its lists have no end of their own. */
const ARCHIVED_SOURCES = `#!/bin/sh -eu
rm -f /etc/apt/sources.list.d/*
printf 'deb %s %s main\\ndeb %s %s main\\n' "$MIRROR" "$SUITE" "$SECURITY_MIRROR" "$SECURITY" > /etc/apt/sources.list
echo 'Acquire::Check-Valid-Until "false";' > /etc/apt/apt.conf.d/99-archived-release
`;

const EXTRA_REPOSITORIES = `#!/bin/sh -eu
printf '%s\\n' "$REPOSITORIES" | sed 's/, */\\n/g' > /etc/apt/sources.list.d/compose-extra.list
`;

/** The image starts the newest kernel it has, so that only the one that was asked for may be there. */
const KERNEL = `#!/bin/sh -eu
[ "$KERNEL" != "linux-image-$ARCH" ] || exit 0
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -y -q "$KERNEL"
echo 'linux-base linux-base/removing-running-kernel boolean false' | debconf-set-selections
dpkg-query -W -f '\${Package} \${db:Status-Abbrev}\\n' 'linux-image-*' | sed -n 's/ ii *$//p' > /run/kernels
dpkg-query -W -f '\${Depends}\\n' "$KERNEL" | tr ',|' '\\n\\n' | sed 's/ *(.*//; s/ //g' > /run/wanted
echo "$KERNEL" >> /run/wanted
others=$(grep -vxF -f /run/wanted /run/kernels || true)
[ -z "$others" ] || apt-get purge -y -q $others
`;

/**
 * debian-installer keeps the console, the proxy and the network card of the installation in what it installed, and manages
 * the network by ifupdown, which cloud-init would then prefer to netplan.
 */
const AFTER_INSTALLER = `#!/bin/sh -eu
if [ -f /etc/default/grub ]; then
    sed -i -e 's/ *console=[^" ]*//g' -e '/^GRUB_TERMINAL=serial/d' -e '/^GRUB_SERIAL_COMMAND=/d' /etc/default/grub
fi
for file in /etc/apt/apt.conf /etc/apt/apt.conf.d/*; do
    [ -f "$file" ] || continue
    sed -i '/^Acquire::http::Proxy/d' "$file"
    [ -s "$file" ] || rm -f "$file"
done
printf 'auto lo\\niface lo inet loopback\\n' > /etc/network/interfaces
printf 'system_info:\\n  network:\\n    renderers: [ netplan ]\\n' > /etc/cloud/cloud.cfg.d/80-compose-netplan.cfg
systemctl enable systemd-resolved.service
`;

const BOOT_LOADER = `#!/bin/sh -eu
# Every kernel and module set, not those of the build machine only.
mkdir -p /etc/initramfs-tools/conf.d
echo MODULES=most > /etc/initramfs-tools/conf.d/compose
update-grub
grep -q "^[[:space:]]*linux" /boot/grub/grub.cfg
`;

/** mmdebstrap was told of one suite; a machine wants its updates too. */
const SECURITY = `#!/bin/sh -eu
if [ -z "$SECURITY_MIRROR" ]; then
    # Mirrors keep the archive of security updates beside the other, under its name and "-security".
    mirror=$(sed -n 's/^deb \\(\\[[^]]*] *\\)\\{0,1\\}\\([a-z+]*:[^ ]*\\) .*/\\2/p' /etc/apt/sources.list | head -n 1)
    [ -n "$mirror" ] || { echo 'apt has no package source' >&2; exit 1; }
    SECURITY_MIRROR=\${mirror%/}-security
fi
printf 'deb %s %s main\\n' "$SECURITY_MIRROR" "$SECURITY" > /etc/apt/sources.list.d/security.list
`;

/** Not the grown initramfs of the build: what is built in has the group's tools through lvm2's own hooks. */
const GROW_ROOT = `#!/bin/sh -eu
systemctl enable grow-root.service
`;

/** A snapshot of the volume has the same UUID; a name is only one's. */
const ROOT_BY_NAME = `#!/bin/sh -eu
volume=$(findmnt --noheadings --output SOURCE /)
sed -i "s#^UUID=[^ ]* / #$volume / #" /etc/fstab
grep -q "^/dev/mapper/[^ ]* / " /etc/fstab
`;

export function debianSteps({ codename, security, mirrored }: Release): Steps {
  const env = { SUITE: codename, SECURITY: security, SECURITY_MIRROR: '${security_mirror}' };
  const archived: Steps = [
    {
      name: 'package sources in the archive',
      sources: ['cloudimg'],
      early: true,
      shell: { script: ARCHIVED_SOURCES, env: { ...env, MIRROR: '${mirror}' } },
    },
  ];
  return [
    ...(mirrored ? [] : archived),
    {
      name: 'extra repositories',
      sources: ['cloudimg', 'packages'],
      when: '${extra_repositories}',
      early: true,
      shell: { script: EXTRA_REPOSITORIES, env: { REPOSITORIES: '${extra_repositories}' } },
    },
    { name: 'packages for MAAS', sources: ['cloudimg'], packages: CLOUD_IMAGE_LACKS },
    { name: 'boot loader for BIOS', sources: ['cloudimg'], arch: ['amd64'], packages: BIOS.amd64 },
    // What is built from packages begins with the right one, and debian-installer is told.
    { name: 'kernel', sources: ['cloudimg'], shell: { script: KERNEL, env: { KERNEL: '${kernel}', ARCH: '${arch}' } } },
    { name: 'what the installer left', sources: ['installer'], shell: { script: AFTER_INSTALLER } },
    ...DEBIAN_LOCALE_STEPS.map((step) => ({ ...step, sources: [...(step.sources ?? []), 'installer' as const] })),
    {
      name: 'datasources',
      write: { path: '/etc/cloud/cloud.cfg.d/90-compose-datasources.cfg', content: DATASOURCES, mode: '0644' },
    },
    { name: 'curtin hooks', upload: { from: file('curtin-hooks'), to: '/curtin/curtin-hooks', mode: '0755' } },
    { name: 'boot loader', shell: { script: BOOT_LOADER } },
    { name: 'security updates', sources: ['packages'], shell: { script: SECURITY, env } },
    { name: 'package caches', shell: { script: '#!/bin/sh -eu\napt-get clean\nrm -rf /var/lib/apt/lists/*\n' } },
  ];
}

/** For a root on LVM; cloud-init grows one that is in a partition. */
export const LVM_STEPS: Steps = [
  { name: 'root by the name of its volume', sources: ['packages'], shell: { script: ROOT_BY_NAME } },
  { name: 'growing of the root', upload: { from: file('grow-root'), to: '/usr/local/sbin/grow-root', mode: '0755' } },
  {
    name: 'growing at the first boot',
    upload: { from: file('grow-root.service'), to: '/etc/systemd/system/grow-root.service', mode: '0644' },
  },
  { name: 'growing is switched on', shell: { script: GROW_ROOT } },
];
