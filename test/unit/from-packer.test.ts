import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { packageRoot } from '../../src/host/built-module.ts';
import { recipeSchema } from '../../src/recipe/schema.ts';

/** Keys of the plugin's configuration (builder/qemu/config.hcl2spec.go), those of qemu_img_args at the end. */
const OPTIONS = `
packer_build_name packer_builder_type packer_core_version packer_debug packer_force packer_on_error packer_user_variables
packer_sensitive_variables http_directory http_content http_port_min http_port_max http_bind_address http_interface
http_network_protocol iso_url iso_urls iso_checksum iso_target_path iso_target_extension iso_skip_cache boot_wait boot_command
boot_steps boot_keygroup_interval boot_key_interval disable_vnc vnc_bind_address vnc_port_min vnc_port_max vnc_use_password
vnc_password shutdown_command shutdown_timeout communicator pause_before_connecting host_port_min host_port_max skip_nat_mapping
ssh_host_port_min ssh_host_port_max ssh_host ssh_port ssh_username ssh_password ssh_keypair_name temporary_key_pair_name
temporary_key_pair_type temporary_key_pair_bits ssh_ciphers ssh_key_exchange_algorithms ssh_clear_authorized_keys
ssh_private_key_file ssh_certificate_file ssh_pty ssh_timeout ssh_wait_timeout ssh_agent_auth ssh_disable_agent_forwarding
ssh_handshake_attempts ssh_bastion_host ssh_bastion_port ssh_bastion_username ssh_bastion_password ssh_bastion_interactive
ssh_bastion_agent_auth ssh_bastion_private_key_file ssh_bastion_certificate_file ssh_file_transfer_method ssh_proxy_host
ssh_proxy_port ssh_proxy_username ssh_proxy_password ssh_keep_alive_interval ssh_read_write_timeout ssh_remote_tunnels
ssh_local_tunnels ssh_public_key ssh_private_key winrm_username winrm_password winrm_host winrm_port winrm_timeout winrm_use_ssl
winrm_insecure winrm_use_ntlm winrm_no_proxy floppy_files floppy_dirs floppy_content floppy_label cd_files cd_content cd_label
cpus sockets cores threads cpu_model memory machine_type accelerator qemu_binary vga display use_default_display headless
efi_boot efi_firmware_code efi_firmware_vars efi_drop_efivars firmware use_pflash vtpm use_tpm1 tpm_device_type disk_image
use_backing_file disk_size disk_additional_size skip_resize_disk disk_interface cdrom_interface disk_cache disk_discard
disk_detect_zeroes format disk_compression skip_compaction qemu_img_args net_device net_bridge output_directory vm_name qemuargs
qmp_enable qmp_socket_path run_once convert create resize`
  .trim()
  .split(/\s+/);

const text = readFileSync(join(packageRoot(), 'docs/from-packer.md'), 'utf8');
const rows = [...text.matchAll(/^\| (`.+?) \| (\w+) \| (.+) \|$/gm)];
const said = rows.flatMap(([, options = '']) => [...options.matchAll(/`(\w+)`/g)].map((match) => match[1] ?? ''));

test('each of the 142 options of Packer’s QEMU builder has its row, and only one', () => {
  expect(new Set(OPTIONS).size).toBe(142);
  expect([...said].sort()).toEqual([...OPTIONS].sort());
});

test('a row says covered, better or gone, and what or why', () => {
  for (const [line, , state, answer = ''] of rows) {
    expect(['covered', 'better', 'gone'], line).toContain(state);
    expect(answer.length, line).toBeGreaterThan(8);
  }
});

test('the fields of a recipe that it names exist', () => {
  const fields = Object.keys(recipeSchema.shape.machine.shape);
  for (const [, field = ''] of text.matchAll(/`machine\.(\w+)/g)) if (field !== 'x') expect(fields).toContain(field);
});
