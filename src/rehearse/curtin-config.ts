/** The configuration a deployment gets from MAAS (maasserver/preseed.py, get_curtin_yaml_config). */
import { FILE_TYPES, type FileType } from '../pack/filetypes.ts';
import type { MetadataService } from './metadata-server.ts';
import { MACHINE, resolverOf } from './network.ts';
import type { PlannedStorage } from './storage-layout.ts';

export interface ConfigInputs {
  readonly service: Pick<MetadataService, 'guestUrl' | 'systemId' | 'token' | 'network'>;
  readonly imageUrl: string;
  readonly filetype: FileType;
  readonly storage: PlannedStorage;
  /** `ubuntu`, `centos`, `rhel`, `ol`; what `base_image` begins with. */
  readonly baseOs: string;
  /** Whether MAAS has the image prove that cloud-init and netplan are in it: names of one's own, not `windows/…`. */
  readonly dependencies: boolean;
}

/** QEMU's first network card has it unless it is told otherwise (net/net.c). */
const MAC = '52:54:00:12:34:56';
const NIC = 'eth0';

/** Files below etc/cloud/cloud.cfg.d by the keys of `cloudconfig`; the names are curtin's. */
export function cloudConfigFiles(inputs: ConfigInputs): Map<string, string> {
  const { cloudconfig, network } = curtinConfig(inputs);
  const files = new Map<string, string>();
  for (const [key, { content }] of Object.entries(cloudconfig)) files.set(`95-cloudconfig-${key}.cfg`, content);
  // JSON is YAML.
  files.set('50-curtin-networking.cfg', `${JSON.stringify({ network }, null, 1)}\n`);
  return files;
}

export interface CurtinConfig extends Readonly<Record<string, unknown>> {
  readonly cloudconfig: Readonly<Record<string, { readonly path: string; readonly content: string }>>;
  readonly network: Readonly<Record<string, unknown>>;
}

export function curtinConfig(inputs: ConfigInputs): CurtinConfig {
  const { service, imageUrl, filetype, storage, baseOs, dependencies } = inputs;
  const { guestUrl, systemId } = service;
  const { consumerKey: consumer_key, tokenKey: token_key, tokenSecret: token_secret } = service.token;
  const credentials = { consumer_key, token_key, token_secret };
  const reporting = { maas: { type: 'webhook', endpoint: statusUrl(service), ...credentials } };
  const cloud = (name: string, content: object | string): { path: string; content: string } => {
    const text = typeof content === 'string' ? content : `#cloud-config\n${JSON.stringify(content, null, 1)}\n`;
    return { path: `/etc/cloud/cloud.cfg.d/90_maas_${name}.cfg`, content: text };
  };
  const dd = FILE_TYPES[filetype].content !== 'tree';
  return {
    showtrace: true,
    verbosity: 3,
    // The target stays mounted, so that it can be looked at as after the built-in steps.
    install: { log_file: '/run/state/install.log', error_tarfile: null, target: '/run/target', unmount: 'disabled' },
    sources: { '00_image': { type: dd ? `dd-${filetype.slice(2)}` : 'tgz', uri: imageUrl } },
    partitioning_commands: { builtin: ['curtin', 'block-meta', 'custom'] },
    storage: storage.curtin,
    cloudconfig: {
      'maas-datasource': cloud('datasource', 'datasource_list: [ MAAS ]\n'),
      'maas-cloud-config': cloud('cloud_config', {
        datasource: { MAAS: { ...credentials, metadata_url: `${guestUrl}/MAAS/metadata/` } },
      }),
      'maas-reporting': cloud('reporting', { reporting }),
    },
    network: baseOs === 'ubuntu' ? networkV2(resolverOf(service.network)) : networkV1(resolverOf(service.network)),
    reporting,
    // There is no archive here to install a kernel, a tool or an update from; MAAS leaves the first two to curtin.
    kernel: null,
    swap: { size: 0 },
    pollinate: { user_agent: false },
    late_commands: {
      ...(dependencies && { '98-validate-custom-image-has-cloud-init': inTarget('cloud-init --version') }),
      ...(dependencies && baseOs === 'ubuntu' && { '99-validate-custom-image-has-netplan': inTarget('netplan info') }),
      maas: [...['wget', '--no-proxy', netbootUrl(service)], ...['--post-data', 'op=netboot_off', '-O', '/dev/null']],
    },
    system_id: systemId,
  };
}

export function statusUrl({ guestUrl, systemId }: Pick<MetadataService, 'guestUrl' | 'systemId'>): string {
  return `${guestUrl}/MAAS/metadata/status/${systemId}`;
}

export function netbootUrl({ guestUrl, systemId }: Pick<MetadataService, 'guestUrl' | 'systemId'>): string {
  return `${guestUrl}/MAAS/metadata/latest/by-id/${systemId}/`;
}

function inTarget(command: string): string[] {
  return ['curtin', 'in-target', '--', 'bash', '-c', command];
}

/** A card with an address of MAAS's choice (its mode "auto assign"). Renderers of older cloud-inits know gateway4 only. */
function networkV2(resolver: string | undefined): Record<string, unknown> {
  const { address, prefix, gateway } = MACHINE;
  const card = {
    match: { macaddress: MAC },
    'set-name': NIC,
    mtu: 1500,
    addresses: [`${address}/${prefix}`],
    gateway4: gateway,
    nameservers: { addresses: resolver === undefined ? [] : [resolver], search: ['maas'] },
  };
  return { version: 2, ethernets: { [NIC]: card } };
}

/** What RHEL's relatives and SUSE get. */
function networkV1(resolver: string | undefined): Record<string, unknown> {
  const { address, prefix, gateway } = MACHINE;
  const resolvers = resolver === undefined ? [] : [resolver];
  const subnet = { type: 'static', address: `${address}/${prefix}`, gateway, dns_nameservers: resolvers };
  return {
    version: 1,
    config: [
      { id: NIC, name: NIC, type: 'physical', mac_address: MAC, mtu: 1500, subnets: [subnet] },
      { type: 'nameserver', address: resolvers, search: ['maas'] },
    ],
  };
}
