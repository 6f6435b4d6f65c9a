/** What MAAS answers at `<metadata>/…` (metadataserver/api.py): versions, listings, items. */

export interface Metadata {
  /** MAAS's system id of the machine. */
  readonly instanceId: string;
  /** Its full host name. */
  readonly hostname: string;
  /** OpenSSH public keys, one a line. */
  readonly publicKeys: readonly string[];
  readonly userData: string;
  readonly vendorData: string;
}

const VERSIONS = ['2012-03-01', 'latest'];
const ITEMS = ['instance-id', 'local-hostname', 'public-keys', 'vendor-data', 'x509'] as const;

export interface MetadataItem {
  /** `user-data`, `meta-data/instance-id` and so on; '' for a listing. */
  readonly item: string;
  readonly text: string;
}

/** The answer to a path below the metadata address; undefined is 404. Clients double slashes now and then. */
export function metadataAt(path: string, metadata: Metadata): MetadataItem | undefined {
  const parts = path.split('/').filter((part) => part !== '');
  const [version, item, leaf, ...more] = parts;
  if (version === undefined) return listing(VERSIONS);
  if (!VERSIONS.includes(version) || more.length > 0) return undefined;
  if (item === undefined) return listing(['maas-commissioning-scripts', 'meta-data', 'user-data']);
  if (item === 'user-data' && leaf === undefined) return { item, text: metadata.userData };
  if (item !== 'meta-data') return undefined;
  if (leaf === undefined) return listing([...ITEMS]);
  const text = metaData(leaf, metadata);
  return text === undefined ? undefined : { item: `meta-data/${leaf}`, text };
}

function listing(names: readonly string[]): MetadataItem {
  return { item: '', text: names.join('\n') };
}

function metaData(leaf: string, metadata: Metadata): string | undefined {
  if (leaf === 'instance-id') return metadata.instanceId;
  if (leaf === 'local-hostname') return metadata.hostname;
  if (leaf === 'public-keys') return metadata.publicKeys.join('\n');
  if (leaf === 'vendor-data') return metadata.vendorData;
  return leaf === 'x509' ? '' : undefined;
}
