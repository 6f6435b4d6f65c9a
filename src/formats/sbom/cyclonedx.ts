/** A bill of materials as CycloneDX 1.5 in JSON (CycloneDX specification, bom-1.5.schema.json). */

import { fullVersion, type Package } from '../package-list.ts';
import { type BillOfMaterials, partyOf, systemFacts, TOOL, timestamp } from './document.ts';
import { parseLicense, saidLicense } from './license.ts';

const IMAGE = 'image';
const SYSTEM = 'operating-system';

/** The bill is of the image, which depends on its operating system, and that on the packages. */
export function cycloneDxJson(bill: BillOfMaterials): string {
  const refs = new Set([IMAGE, SYSTEM]);
  const packages = bill.sets.flatMap((set) => set.packages.map((one) => packageComponent(one, uniqueRef(one, refs))));
  const document = {
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    serialNumber: `urn:uuid:${bill.uuid}`,
    version: 1,
    metadata: {
      timestamp: timestamp(bill.created),
      tools: { components: [{ type: 'application', name: TOOL, version: bill.toolVersion }] },
      component: { type: 'file', 'bom-ref': IMAGE, name: bill.name },
    },
    components: [systemComponent(bill), ...packages],
    dependencies: [
      { ref: IMAGE, dependsOn: [SYSTEM] },
      { ref: SYSTEM, dependsOn: packages.map((one) => one['bom-ref']) },
      ...packages.map((one) => ({ ref: one['bom-ref'] })),
    ],
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

function systemComponent(bill: BillOfMaterials): object {
  const { name, version, description, homepage, vendor } = systemFacts(bill.system);
  return {
    type: 'operating-system',
    'bom-ref': SYSTEM,
    ...supplierOf(vendor),
    name,
    ...(version === undefined ? {} : { version }),
    ...(description === undefined ? {} : { description }),
    ...(homepage === undefined ? {} : { externalReferences: [{ type: 'website', url: homepage }] }),
  };
}

function packageComponent(one: Package, ref: string): { readonly 'bom-ref': string } {
  const version = fullVersion(one);
  const properties = [
    { name: `${TOOL}:arch`, value: one.arch },
    { name: `${TOOL}:source`, value: one.source ?? '' },
    { name: `${TOOL}:source-version`, value: one.sourceVersion ?? '' },
  ].filter(({ value }) => value !== '');
  const component = {
    type: 'library',
    'bom-ref': ref,
    ...supplierOf(one.supplier),
    name: one.name,
    ...(version === '' ? {} : { version }),
    ...(one.summary === undefined ? {} : { description: one.summary }),
    ...licensesOf(one.license),
    purl: one.purl,
    ...(properties.length > 0 ? { properties } : {}),
  };
  return component;
}

/** An expression where it is one, which no version of the list refuses; else the text as a name. */
function licensesOf(text: string | undefined): object {
  const said = saidLicense(text);
  if (said === undefined) return {};
  const expression = parseLicense(said)?.text;
  return { licenses: [expression === undefined ? { license: { name: said } } : { expression }] };
}

function supplierOf(text: string | undefined): object {
  const party = partyOf(text);
  if (party === undefined) return {};
  const { name, email } = party;
  return { supplier: { name, ...(email === undefined ? {} : { contact: [{ name, email }] }) } };
}

/** The package URL; told apart by a number where one package is listed twice. */
function uniqueRef(one: Package, taken: Set<string>): string {
  let ref = one.purl;
  for (let number = 2; taken.has(ref); number++) ref = `${one.purl}#${number}`;
  taken.add(ref);
  return ref;
}
