/** A bill of materials as SPDX 2.3 in JSON (spdx-spec, v2.3, chapters 6, 7, 10 and 11). */

import { fullVersion, type Package } from '../package-list.ts';
import { type BillOfMaterials, partyOf, systemFacts, TOOL, timestamp } from './document.ts';
import { ExtractedLicenses } from './license.ts';
import { LICENSE_LIST_VERSION } from './license-ids.ts';

const DOCUMENT = 'SPDXRef-DOCUMENT';
const SYSTEM = 'SPDXRef-OperatingSystem';
const NONE = 'NOASSERTION';

/** The document describes the operating system, which contains the packages. */
export function spdxJson(bill: BillOfMaterials): string {
  const licenses = new ExtractedLicenses();
  const ids = new Set<string>();
  const packages = bill.sets.flatMap((set) =>
    set.packages.map((one) => packageElement(one, uniqueId(set.manager, one, ids), licenses)),
  );
  const relate = (from: string, kind: string, to: string): object => ({
    spdxElementId: from,
    relationshipType: kind,
    relatedSpdxElement: to,
  });
  const extracted = licenses.all.map(([licenseId, extractedText]) => ({ licenseId, extractedText }));
  const document = {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: DOCUMENT,
    name: bill.name,
    documentNamespace: `https://spdx.org/spdxdocs/${encodeURIComponent(bill.name)}-${bill.uuid}`,
    creationInfo: {
      created: timestamp(bill.created),
      creators: [`Tool: ${TOOL}-${bill.toolVersion}`],
      licenseListVersion: LICENSE_LIST_VERSION,
    },
    packages: [systemElement(bill), ...packages],
    ...(extracted.length > 0 ? { hasExtractedLicensingInfos: extracted } : {}),
    relationships: [
      relate(DOCUMENT, 'DESCRIBES', SYSTEM),
      ...packages.map((one) => relate(SYSTEM, 'CONTAINS', one.SPDXID)),
    ],
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

function systemElement(bill: BillOfMaterials): object {
  const { name, version, description, homepage, vendor } = systemFacts(bill.system);
  return {
    SPDXID: SYSTEM,
    name,
    ...(version === undefined ? {} : { versionInfo: version }),
    supplier: supplierOf(vendor),
    downloadLocation: NONE,
    filesAnalyzed: false,
    ...(homepage === undefined ? {} : { homepage }),
    licenseConcluded: NONE,
    licenseDeclared: NONE,
    copyrightText: NONE,
    ...(description === undefined ? {} : { description }),
    primaryPackagePurpose: 'OPERATING_SYSTEM',
  };
}

function packageElement(one: Package, id: string, licenses: ExtractedLicenses): { readonly SPDXID: string } {
  const version = fullVersion(one);
  const source = [one.source, one.sourceVersion].filter((part) => part !== undefined).join(' ');
  return {
    SPDXID: id,
    name: one.name,
    ...(version === '' ? {} : { versionInfo: version }),
    supplier: supplierOf(one.supplier),
    downloadLocation: NONE,
    filesAnalyzed: false,
    ...(source === '' ? {} : { sourceInfo: `built from the source package ${source}` }),
    licenseConcluded: NONE,
    licenseDeclared: licenses.expression(one.license),
    copyrightText: NONE,
    ...(one.summary === undefined ? {} : { summary: one.summary }),
    externalRefs: [{ referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: one.purl }],
  } as { readonly SPDXID: string };
}

/**
 * "Person: Name (mail)" or "Organization: Name" (chapter 7.5). What stands in the last parentheses is a mail address to
 * every reader, so a name that has some of its own is followed by empty ones.
 */
function supplierOf(text: string | undefined): string {
  const party = partyOf(text);
  if (party === undefined) return NONE;
  const { kind, name, email } = party;
  const contact = email !== undefined || /[()]/.test(name) ? ` (${email ?? ''})` : '';
  return `${kind === 'person' ? 'Person' : 'Organization'}: ${name}${contact}`;
}

/** Letters, digits, dots and dashes only; told apart by a number where that makes two the same. */
function uniqueId(manager: string, one: Package, taken: Set<string>): string {
  const words = [manager, one.name, fullVersion(one), one.arch].filter((part) => part !== '').join('-');
  const base = `SPDXRef-Package-${words.replace(/[^A-Za-z0-9.-]+/g, '-')}`;
  let id = base;
  for (let number = 2; taken.has(id); number++) id = `${base}-${number}`;
  taken.add(id);
  return id;
}
