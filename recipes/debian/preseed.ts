/** Answers for debian-installer: a small root, the packages MAAS needs, and no question left (its manual, appendix B). */
import { RecipeError } from '../../src/errors.ts';
import type { AnswerInputs } from '../../src/recipe/answer-inputs.ts';
import { listOf } from '../../src/recipe/values.ts';
import { BIOS, INCLUDE } from './packages.ts';
import { type Answer, preseedText } from './preseed-text.ts';
import type { Release } from './releases.ts';

/** The only disk of the machine. */
const DISK = '/dev/vda';
/** Name of the group and the volume, as of images made from packages. */
const GROUP = 'system';
const VOLUME = 'root';
const MIRROR = 'http://ftp.debian.org/debian';

const answer = (question: string, type: Answer['type'], value = '', owner = 'd-i'): Answer => ({
  owner,
  question,
  type,
  value,
});

/** The text of preseed.cfg for a build of `release`; pure. */
export function debianPreseed(release: Release): (inputs: AnswerInputs) => string {
  return (inputs) =>
    preseedText(
      [
        ...languageAnswers(inputs),
        ...mirrorAnswers(inputs, release),
        ...accountAnswers(inputs),
        ...diskAnswers(inputs),
        ...packageAnswers(inputs, release),
        ...endAnswers(),
      ],
      inputs.custom,
    );
}

function languageAnswers({ values }: AnswerInputs): Answer[] {
  const { locale = '', keyboard = 'us' } = values;
  return [
    // The installer has no language without a country; a step sets the image's own.
    answer('debian-installer/locale', 'string', /^[a-z]{2,3}_[A-Z]{2}/.test(locale) ? locale : 'en_US.UTF-8'),
    answer('keyboard-configuration/xkb-keymap', 'select', keyboard),
    answer('netcfg/choose_interface', 'select', 'auto'),
    answer('netcfg/get_hostname', 'string', 'debian'),
    answer('netcfg/get_domain', 'string'),
    answer('hw-detect/load_firmware', 'boolean', 'false'),
  ];
}

function mirrorAnswers({ values, proxy = '' }: AnswerInputs, { codename }: Release): Answer[] {
  const mirror = address('mirror', values.mirror ?? MIRROR);
  // The installer knows where Debian's own is.
  const security = values.security_mirror ? address('security_mirror', values.security_mirror) : undefined;
  const protocol = mirror.protocol.replace(':', '');
  const repositories = listOf(values.extra_repositories).flatMap((line, at) => [
    answer(`apt-setup/local${at}/repository`, 'string', line.replace(/^deb\s+/, '')),
  ]);
  return [
    answer('mirror/country', 'string', 'manual'),
    answer('mirror/protocol', 'string', protocol),
    answer(`mirror/${protocol}/hostname`, 'string', mirror.host),
    answer(`mirror/${protocol}/directory`, 'string', mirror.pathname.replace(/\/$/, '')),
    answer(`mirror/${protocol}/proxy`, 'string', proxy),
    answer('mirror/suite', 'string', codename),
    answer('apt-setup/use_mirror', 'boolean', 'true'),
    answer('apt-setup/cdrom/set-first', 'boolean', 'false'),
    answer('apt-setup/disable-cdrom-entries', 'boolean', 'true'),
    answer('apt-setup/services-select', 'multiselect', 'security, updates'),
    ...(security === undefined
      ? []
      : [
          answer('apt-setup/security_host', 'string', security.host),
          answer('apt-setup/security_path', 'string', security.pathname.replace(/\/$/, '')),
        ]),
    ...repositories,
  ];
}

/** @throws RecipeError `installer.answers` */
function address(variable: string, text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && /^https?:$/.test(url.protocol)) return url;
  throw new RecipeError('installer.answers', `Cannot preseed the ${variable}: it is no web address (${text})`, {
    hint: `Write --set ${variable}=http://HOST/PATH`,
  });
}

/** Nobody gets a password: cloud-init brings the accounts and their keys. */
function accountAnswers({ values }: AnswerInputs): Answer[] {
  return [
    answer('clock-setup/utc', 'boolean', 'true'),
    answer('time/zone', 'string', values.timezone ?? 'Etc/UTC'),
    answer('clock-setup/ntp', 'boolean', 'false'),
    answer('passwd/root-login', 'boolean', 'true'),
    answer('passwd/root-password-crypted', 'password', '!'),
    answer('passwd/make-user', 'boolean', 'false'),
  ];
}

/** The partition GRUB starts from, and a root in the rest of the disk; sizes are MB: least, priority, most. */
function diskAnswers({ layout, firmware }: AnswerInputs): Answer[] {
  const lvm = layout === 'lvm';
  const start =
    firmware === 'uefi'
      ? '64 64 64 free $iflabel{ gpt } $reusemethod{ } method{ efi } format{ } .'
      : '1 1 1 free $iflabel{ gpt } $reusemethod{ } method{ biosgrub } .';
  const place = lvm ? `$lvmok{ } lv_name{ ${VOLUME} }` : '$primary{ }';
  const root = `1500 10000 -1 ext4 ${place} method{ format } format{ } use_filesystem{ } filesystem{ ext4 } mountpoint{ / } .`;
  return [
    answer('partman-auto/disk', 'string', DISK),
    answer('partman-auto/method', 'string', lvm ? 'lvm' : 'regular'),
    ...(lvm ? lvmAnswers() : []),
    answer('partman-partitioning/default_label', 'string', 'gpt'),
    answer('partman-partitioning/choose_label', 'select', 'gpt'),
    answer('partman-efi/non_efi_system', 'boolean', 'true'),
    answer('partman-auto/expert_recipe', 'string', `compose :: ${start} ${root}`),
    answer('partman-auto/choose_recipe', 'select', 'compose'),
    answer('partman-basicfilesystems/no_swap', 'boolean', 'false'),
    answer('partman-basicmethods/method_only', 'boolean', 'false'),
    answer('partman-partitioning/confirm_write_new_label', 'boolean', 'true'),
    answer('partman/choose_partition', 'select', 'finish'),
    answer('partman/confirm', 'boolean', 'true'),
    answer('partman/confirm_nooverwrite', 'boolean', 'true'),
  ];
}

function lvmAnswers(): Answer[] {
  return [
    answer('partman-auto-lvm/new_vg_name', 'string', GROUP),
    answer('partman-auto-lvm/guided_size', 'string', 'max'),
    answer('partman-lvm/device_remove_lvm', 'boolean', 'true'),
    answer('partman-lvm/confirm', 'boolean', 'true'),
    answer('partman-lvm/confirm_nooverwrite', 'boolean', 'true'),
  ];
}

function packageAnswers(inputs: AnswerInputs, { lacks }: Release): Answer[] {
  const { arch, firmware, packages, values } = inputs;
  const bios = arch === 'amd64' ? BIOS.amd64 : [];
  const known = [...INCLUDE, ...bios]
    .filter((name) => !lacks.includes(name))
    .map((name) => name.replaceAll('${arch}', arch))
    // GRUB for BIOS, which the installer puts there, and this one exclude each other.
    .filter((name) => firmware === 'uefi' || name !== `grub-efi-${arch}`);
  return [
    answer('base-installer/kernel/image', 'string', values.kernel ?? `linux-image-${arch}`),
    answer('tasksel/first', 'multiselect', '', 'tasksel'),
    answer('pkgsel/include', 'string', [...known, ...packages].join(' ')),
    answer('pkgsel/upgrade', 'select', 'none'),
    answer('popularity-contest/participate', 'boolean', 'false', 'popularity-contest'),
    answer('grub-installer/only_debian', 'boolean', 'true'),
    answer('grub-installer/with_other_os', 'boolean', 'false'),
    answer('grub-installer/bootdev', 'string', DISK),
    // A machine it is deployed to has no entry in its firmware: the fallback path is what starts.
    answer('grub-installer/force-efi-extra-removable', 'boolean', 'true'),
  ];
}

function endAnswers(): Answer[] {
  return [
    answer('cdrom-detect/eject', 'boolean', 'false'),
    answer('finish-install/reboot_in_progress', 'note'),
    answer('debian-installer/exit/poweroff', 'boolean', 'true'),
  ];
}
