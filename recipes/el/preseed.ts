/**
 * The file a region has to have for images of arm64 where its curtin looks for loaders of amd64 alone (Launchpad 2090874): it
 * gives the loaders of the tree the names that curtin and the firmware know.
 */

/** @param vendor folder of the loaders below EFI */
export function arm64Preseed(vendor: string): string {
  const efi = '/boot/efi/EFI';
  const copied = (from: string, to: string): string =>
    `[curtin, in-target, --, cp, -v, ${efi}/${vendor}/${from}, ${efi}/${to}]`;
  return `#cloud-config
debconf_selections:
 maas: |
  {{for line in str(curtin_preseed).splitlines()}}
  {{line}}
  {{endfor}}
extract_commands:
  loader_name: ${copied('shimaa64.efi', `${vendor}/shimx64.efi`)}
late_commands:
  fallback_1: [curtin, in-target, --, mkdir, -p, ${efi}/BOOT]
  fallback_2: ${copied('shimaa64.efi', 'BOOT/BOOTAA64.EFI')}
  fallback_3: ${copied('grubaa64.efi', 'BOOT/grubaa64.efi')}
  maas: [wget, '--no-proxy', {{node_disable_pxe_url|escape.json}}, '--post-data', {{node_disable_pxe_data|escape.json}}, '-O', '/dev/null']
`;
}
