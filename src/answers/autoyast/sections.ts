/**
 * Sections of an AutoYaST profile and the types of what is in them. Source: the AutoYaST guides of SLES 12 and 15, chapter by
 * chapter.
 */

/** Sections of either release. */
const BOTH =
  `add-on audit-laf auth-client bootloader cio_ignore classes configuration_management dasd deploy_image dhcp-server
dns-server fcoe-client files firewall firstboot ftp-server general groups host http-server iscsi-client kdump keyboard language
login_settings mail networking nfs nfs_server nis nis_server ntp-client partitioning partitioning_advanced printer proxy report
samba-client samba-server scripts security services-manager software sound squid ssh_import suse_register sysconfig tftp-server timezone
upgrade user_defaults users zfcp`.split(/\s+/);

/** Sections that SLES 12 has and SLES 15 lost, and what took their place. */
export const LOST_SECTIONS: ReadonlyMap<string, string> = new Map([
  ['ca_mgm', 'openssl in a script'],
  ['image', 'deploy_image'],
  ['inetd', 'services-manager, with the socket of the service'],
  ['kerberos', 'auth-client'],
  ['ldap', 'auth-client'],
  ['runlevel', 'services-manager'],
  ['x11', 'nothing'],
]);

export const SECTIONS: readonly string[] = BOTH;

/** Sections that are lists themselves. */
export const LIST_SECTIONS = ['files', 'groups', 'partitioning', 'users'];

/** Types an element may be given (`config:type`, `type` or `t`). */
export const TYPES = ['boolean', 'integer', 'symbol', 'list', 'map', 'string', 'disksize'];

/** Elements that hold a list wherever they stand. Without the type the installer takes only one of its items, or none. */
export const LISTS = new Set([
  'add_on_others',
  'add_on_products',
  'addons',
  'chroot-scripts',
  'device_order',
  'init-scripts',
  'interfaces',
  'nameservers',
  'packages',
  'partitions',
  'patterns',
  'post-packages',
  'post-patterns',
  'post-scripts',
  'postpartitioning-scripts',
  'pre-scripts',
  'products',
  'remove-packages',
  'remove-patterns',
  'remove-products',
  'searchlist',
  'subvolumes',
]);

/** Elements that are true or false. As a text, "false" would be as good as true. */
export const BOOLEANS = new Set([
  'accept_file_without_checksum',
  'accept_non_trusted_gpg_key',
  'accept_unknown_gpg_key',
  'accept_unsigned_file',
  'accept_verification_failed',
  'confirm',
  'confirm_license',
  'do_registration',
  'enable_firewall',
  'enable_snapshots',
  'final_halt',
  'final_reboot',
  'halt',
  'import_gpg_key',
  'install_recommended',
  'install_updates',
  'keep_install_network',
  'second_stage',
  'self_update',
  'start_firewall',
  'start_immediately',
]);

/** Elements that are whole numbers. */
export const INTEGERS = new Set(['partition_nr', 'stripes']);
