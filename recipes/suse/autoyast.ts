/** The profile AutoYaST is given: pure, from typed values. */
import type { AnswerInputs } from '../../src/recipe/answer-inputs.ts';
import { listOf } from '../../src/recipe/variables.ts';
import { withCustom } from './custom-profile.ts';
import { packageNames, WITHOUT } from './packages.ts';
import { drives } from './partitions.ts';
import { type Profile, profileXml, type Value, YastSymbol } from './profile.ts';
import type { YastRelease } from './release.ts';
import { repository } from './repository.ts';
import { installedScript, type Scripts } from './scripts.ts';

/** An unusable digest: nobody logs in as root by a password. */
export const LOCKED = '!';

/** @throws RecipeError `autoyast.value`, `autoyast.custom`, `suse.package`, `suse.repository` */
export function autoyast(release: YastRelease, inputs: AnswerInputs, scripts: Scripts): string {
  const { arch, custom, packages, values, layout, firmware } = inputs;
  const kernel = values.kernel || undefined;
  const profile: Profile = {
    'add-on': addOns(release, values),
    bootloader: {
      loader_type: firmware === 'uefi' ? 'grub2-efi' : 'grub2',
      global: { append: 'net.ifnames=1', timeout: 1, trusted_grub: 'false' },
    },
    firewall: { enable_firewall: false, start_firewall: false },
    general: {
      mode: { confirm: false, final_halt: false, halt: true, second_stage: false },
      // Modules of the medium are signed by keys that nobody is there to trust; a signature that is wrong ends it.
      'signature-handling': {
        accept_file_without_checksum: true,
        accept_non_trusted_gpg_key: true,
        accept_unknown_gpg_key: true,
        accept_unsigned_file: true,
        accept_verification_failed: false,
        import_gpg_key: true,
      },
    },
    keyboard: { keymap: values.keyboard ?? 'us' },
    language: { language: (values.locale ?? 'en_US.UTF-8').replace(/\..*$/, ''), languages: '' },
    networking: {
      interfaces: [{ bootproto: 'dhcp', name: 'eth0', startmode: 'auto' }],
      keep_install_network: false,
    },
    partitioning: drives(layout).map((drive) => ({
      ...withSymbols(drive),
      partitions: drive.partitions.map(withSymbols),
    })),
    ...(inputs.proxy !== undefined && {
      proxy: { enabled: true, http_proxy: inputs.proxy, https_proxy: inputs.proxy },
    }),
    // A message nobody reads must not stop it; an error must, because there is somebody who reads the console.
    report: {
      errors: { show: true, timeout: 0, log: true },
      messages: { show: false, timeout: 1, log: true },
      warnings: { show: false, timeout: 1, log: true },
    },
    scripts: {
      'chroot-scripts': [
        { chrooted: true, filename: 'compose.sh', interpreter: 'shell', source: installedScript(inputs, scripts) },
      ],
    },
    'services-manager': { default_target: 'multi-user', services: { enable: ['sshd'] } },
    software: {
      ...(release.product !== undefined && { products: [release.product] }),
      install_recommended: false,
      packages: packageNames({ arch, kernel, more: packages }, release),
      patterns: release.patterns,
      'remove-packages': WITHOUT.filter((name) => !packages.includes(name)),
    },
    timezone: { hwclock: 'UTC', timezone: values.timezone ?? 'Etc/UTC' },
    users: [{ username: 'root', user_password: LOCKED, encrypted: true }],
  };
  return profileXml(`${release.title} for ${arch}, made by compose`, withCustom(profile, custom));
}

/** Elements of a drive and of a partition that YaST has words of its own for (AutoYaST guide, partitioning). */
const SYMBOLS = new Set(['type', 'filesystem', 'mountby']);

function withSymbols(values: object): Profile {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, SYMBOLS.has(name) ? new YastSymbol(String(value)) : value]),
  );
}

function addOns({ addOns: modules }: YastRelease, values: AnswerInputs['values']): Value | undefined {
  const more = listOf(values.extra_repositories ?? '').map(repository);
  if (modules.length + more.length === 0) return undefined;
  return {
    add_on_products: [
      ...modules.map(({ name, folder }) => ({
        media_url: 'dvd:///?devices=/dev/sr0',
        product: name,
        product_dir: folder,
      })),
      ...more.map(({ name, address }) => ({ alias: name, media_url: address, name, product_dir: '/' })),
    ],
  };
}
