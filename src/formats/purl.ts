import { fullVersion, type PackageFacts, type PackageManager } from './package-list.ts';

const TYPES: Readonly<Record<PackageManager, string>> = { dpkg: 'deb', rpm: 'rpm', apk: 'apk' };
/** Vendors whose `ID` in os-release is the name of a product. */
const VENDORS: readonly (readonly [id: RegExp, vendor: string])[] = [
  [/^rhel$/, 'redhat'],
  [/^opensuse/, 'opensuse'],
  [/^sle[sd]?($|[-_])/, 'suse'],
];

/** The system packages belong to, from os-release(5); empty where it is not known. */
export interface Distribution {
  readonly id: string;
  readonly version: string;
}

export function distributionOf(release: Readonly<Record<string, string>>): Distribution {
  return { id: release.ID ?? '', version: release.VERSION_ID ?? release.VERSION_CODENAME ?? '' };
}

/**
 * The package URL of an installed package: `pkg:<type>/<vendor>/<name>@<version>?<qualifiers>` (package-url
 * specification, types deb, rpm and apk). The epoch is part of a deb's version and a qualifier of an rpm.
 */
export function packageUrl(manager: PackageManager, { id, version }: Distribution, facts: PackageFacts): string {
  const vendor = (VENDORS.find(([pattern]) => pattern.test(id))?.[1] ?? id).toLowerCase();
  const name = manager === 'rpm' ? facts.name : facts.name.toLowerCase();
  const qualifiers: readonly (readonly [key: string, value: string])[] = [
    ['arch', facts.arch],
    ['distro', id === '' || version === '' ? id : `${id}-${version}`],
    ['epoch', facts.epoch === undefined ? '' : String(facts.epoch)],
  ];
  const query = qualifiers.filter(([, value]) => value !== '').map(([key, value]) => `${key}=${encode(value)}`);
  const path = [TYPES[manager], vendor, name].filter((part) => part !== '').map(encode);
  const { epoch: _, ...unqualified } = facts;
  const text = fullVersion(unqualified);
  return `pkg:${path.join('/')}${text === '' ? '' : `@${encode(text)}`}${query.length > 0 ? `?${query.join('&')}` : ''}`;
}

/** Percent-encodes all but letters, digits and `.-_~:`, which the specification wants as they are. */
function encode(text: string): string {
  const rest = (char: string): string => `%${char.charCodeAt(0).toString(16).toUpperCase()}`;
  return encodeURIComponent(text)
    .replaceAll('%3A', ':')
    .replace(/[!'()*]/g, rest);
}
