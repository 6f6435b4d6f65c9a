import type { PackageSet } from '../package-list.ts';

/** What both forms of a bill of materials tell. The same facts give the same bytes. */
export interface BillOfMaterials {
  /** Of the image. */
  readonly name: string;
  /** Settings of its os-release(5). */
  readonly system: Readonly<Record<string, string>>;
  readonly sets: readonly PackageSet[];
  /** Seconds since 1970. */
  readonly created: number;
  /** UUID of the document; another one for other facts. */
  readonly uuid: string;
  /** Version of compose. */
  readonly toolVersion: string;
}

export const TOOL = 'image-compose';

/** A name of a host with a domain (RFC 1123, section 2.1): no label begins or ends with a dash. */
const LABEL = '[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?';
const HOST = `(?:${LABEL}\\.)+[A-Za-z]{2,63}`;

/** An address that no reader of either form refuses: no port, and a percent sign only before two digits (RFC 3986, 2.1). */
const HOMEPAGE = new RegExp(`^https?://${HOST}(?:[/?](?:[\\w./~?=&-]|%[0-9A-Fa-f]{2})*)?$`);

export interface SystemFacts {
  readonly name: string;
  readonly version: string | undefined;
  readonly description: string | undefined;
  readonly homepage: string | undefined;
  readonly vendor: string | undefined;
}

export function systemFacts(release: Readonly<Record<string, string>>): SystemFacts {
  const { ID, NAME, VERSION_ID, BUILD_ID, PRETTY_NAME, HOME_URL, VENDOR_NAME } = release;
  return {
    name: ID || NAME || 'unknown',
    version: VERSION_ID || BUILD_ID || undefined,
    description: PRETTY_NAME || undefined,
    homepage: HOME_URL !== undefined && HOMEPAGE.test(HOME_URL) ? HOME_URL : undefined,
    vendor: VENDOR_NAME || undefined,
  };
}

/** Time in UTC to the second, as both forms write it. */
export function timestamp(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(/\.\d+Z$/, 'Z');
}

/** A name and a mail address of plain characters, which no reader of either form refuses. */
const ADDRESSED = new RegExp(`^([^<]*)<([\\w+-]+(?:\\.[\\w+-]+)*@${HOST})>$`);

export interface Party {
  readonly kind: 'person' | 'organization';
  readonly name: string;
  readonly email: string | undefined;
}

/** A vendor is an organization; a maintainer, given with an address, counts as a person. Undefined where nobody is named. */
export function partyOf(supplier: string | undefined): Party | undefined {
  const text = (supplier ?? '').replace(/[\s\p{Cc}]+/gu, ' ').trim();
  if (text === '') return undefined;
  const match = ADDRESSED.exec(text);
  if (match === null) return { kind: 'organization', name: text, email: undefined };
  return { kind: 'person', name: match[1]?.trim() || (match[2] ?? ''), email: match[2] };
}
