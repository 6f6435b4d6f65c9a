import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bill, rpmPackage, rpmSet } from '../../fixtures/bill-of-materials.ts';
import { cycloneDxRefusals, listedLicenses } from '../../fixtures/cyclonedx-judge.ts';
import { scratch } from '../../fixtures/ext4-image.ts';
import { random } from '../../fixtures/fuzz.ts';
import { mutateJson } from '../../fixtures/mutate-json.ts';
import { packageDisk, RPM_NDB, rpmNdb } from '../../fixtures/package-disk.ts';
import { cycloneDxProblems, spdxProblems } from '../../fixtures/sbom-rules.ts';
import { spdxRefusals, whyNoSpdxTools } from '../../fixtures/spdx-judge.ts';
import { quietContext } from '../../src/events.ts';
import { cycloneDxJson } from '../../src/formats/sbom/cyclonedx.ts';
import type { BillOfMaterials } from '../../src/formats/sbom/document.ts';
import { LICENSE_EXCEPTION_IDS, LICENSE_IDS, LICENSE_LIST_VERSION } from '../../src/formats/sbom/license-ids.ts';
import { spdxJson } from '../../src/formats/sbom/spdx.ts';
import { pack } from '../../src/pack/pack.ts';

const noSpdx = await whyNoSpdxTools();
const SPDX = `the SPDX project's tools${noSpdx === undefined ? '' : ` (skipped: ${noSpdx})`}`;
const CYCLONEDX = "the CycloneDX project's library";

const STATUS = 'Status: install ok installed\nVersion: 1:5.9-4+b1\nArchitecture: amd64\n';
const DISKS = {
  dpkg: {
    'var/lib/dpkg/status': existsSync('/var/lib/dpkg/status')
      ? await readFile('/var/lib/dpkg/status')
      : `Package: zsh\n${STATUS}Maintainer: A (Nick) B <a@b.example>\n\nPackage: bare\n${STATUS}`,
  },
  rpm: {
    'etc/os-release': 'ID=rocky\nVERSION_ID=9.4\nHOME_URL="https://example.org/"\nVENDOR_NAME="Rocky (RESF)"\n',
    [RPM_NDB]: rpmNdb(
      { 1000: 'bash', 1001: '5.2', 1002: '1.el9', 1003: 0, 1004: 'A shell', 1011: 'Example (EU)', 1014: 'GPLv3+' },
      { 1000: 'linux', 1001: '6', 1002: '1', 1011: 'Big LLC <https://example.org/>', 1014: 'GPLv2 and (a, b)' },
      { 1000: 'bare', 1001: '1', 1002: '1' },
    ),
  },
  apk: {
    'etc/os-release': 'ID=alpine\nVERSION_ID=3.20.1\n',
    'lib/apk/db/installed': 'P:musl\nV:1.2.5-r0\nA:x86_64\nL:MIT\no:musl\nm:Ä B <a+x@b.example>\n\nP:none\nV:1\n\n',
  },
  none: {},
};

const ONE_OF_EACH = (texts: readonly string[], key: 'license' | 'supplier'): Partial<BillOfMaterials> => ({
  sets: [rpmSet(...texts.map((text, at) => rpmPackage({ name: `p${at}`, [key]: text })))],
});
const BILLS: Readonly<Record<string, Partial<BillOfMaterials>>> = {
  'many forms': {},
  'no system and no package': { system: {}, sets: [] },
  'a name that is no word, of the first second': { name: 'a b/c#d?é', created: 0 },
  'the last year': { created: Date.UTC(9999, 11, 31) / 1000 },
  licenses: ONE_OF_EACH(
    ['mit or (mit)', 'GPL-2.0+', 'GPL-2.0-only with Classpath-exception-2.0', 'LicenseRef-a AND MIT']
      .concat(['MIT OR (', 'ü', 'NONE', 'AND', '\b', 'LicenseRef-compose-u', 'u', 'u ', 'x'.repeat(9000)])
      .concat('DocumentRef-x:LicenseRef-y'),
    'license',
  ),
  suppliers: ONE_OF_EACH(
    [
      'A B <a@b.example>',
      'A (Nick) B <a@b.example>',
      'Project (EU)',
      '(x)',
      'x ()',
      ') (',
      '\b',
      'NOASSERTION',
      'Tool: x',
    ]
      .concat(['A <a@-b.example>', 'A <a@b-.example>', `A <a@${'b'.repeat(64)}.example>`, 'A <https://b.example/>'])
      .concat('A <a@b.example>, C <c@d.example>', '<a@b.example>', '\u2028'),
    'supplier',
  ),
  ...Object.fromEntries(
    [
      'https://localhost/',
      'https://a.example/%',
      'https://-a.example',
      'http://..',
      'https://?',
      'https://a.example?x=1',
    ]
      .concat('https://a.example/%20/~b')
      .map((url) => [`the home page ${url}`, { system: { HOME_URL: url } }]),
  ),
};

type Json = Record<string, unknown>;
type Plant = readonly [what: string, change: (document: Json & Record<string, Json[]>) => void];

function planted(text: string, [, change]: Plant): string {
  const document = JSON.parse(text);
  change(document);
  return JSON.stringify(document);
}

describe('what compose packs', () => {
  let place: Awaited<ReturnType<typeof scratch>>;
  const written: { name: string; spdx: string; cyclonedx: string }[] = [];

  beforeAll(async () => {
    place = await scratch();
    for (const [name, files] of Object.entries(DISKS)) {
      const disk = await packageDisk(place.path, name, files);
      const sbom = ['spdx', 'cyclonedx'] as const;
      await pack({ disk, out: place.path, name, filetypes: ['tgz'], sbom }, quietContext());
      const read = (suffix: string): Promise<string> => readFile(join(place.path, `${name}.${suffix}`), 'utf8');
      written.push({ name, spdx: await read('spdx.json'), cyclonedx: await read('cdx.json') });
    }
  });
  afterAll(() => place[Symbol.asyncDispose]());

  test('keeps the rules, on a disk of each package manager', () => {
    const packages = written.map(({ spdx }) => JSON.parse(spdx).packages.length);
    expect(packages.slice(1)).toEqual([4, 3, 1]);
    expect(packages[0]).toBeGreaterThan(2);
    for (const { name, spdx, cyclonedx } of written) {
      expect([...spdxProblems(JSON.parse(spdx)), ...cycloneDxProblems(JSON.parse(cyclonedx))], name).toEqual([]);
    }
  });

  test(`is what ${CYCLONEDX} takes`, async () => {
    for (const { name, cyclonedx } of written) expect(await cycloneDxRefusals(cyclonedx), name).toEqual([]);
  });

  test.skipIf(noSpdx !== undefined)(`is what ${SPDX} take`, async () => {
    expect(await spdxRefusals(written.map(({ spdx }) => spdx))).toEqual(written.map(() => []));
  });
});

describe('CycloneDX 1.5', () => {
  const text = cycloneDxJson(bill());

  test.each(Object.entries(BILLS))(`${CYCLONEDX} takes a bill with %s`, async (_, facts) => {
    const document = cycloneDxJson(bill(facts));
    expect(await cycloneDxRefusals(document)).toEqual([]);
    expect(cycloneDxProblems(JSON.parse(document))).toEqual([]);
  });

  const plants: readonly Plant[] = [
    ['a form that is another', (bom) => Object.assign(bom, { bomFormat: 'SPDX' })],
    ['a serial number that is none', (bom) => Object.assign(bom, { serialNumber: 'urn:uuid:1' })],
    ['a component of no known type', (bom) => Object.assign(bom.components![1]!, { type: 'package' })],
    ['a component without a name', (bom) => delete bom.components![2]!.name],
    ['a field nobody knows', (bom) => Object.assign(bom.components![3]!, { surprise: 1 })],
    ['an expression beside a name', (bom) => (bom.components![2]!.licenses as Json[]).push({ expression: 'MIT' })],
    [
      'a mail address that is none',
      (bom) => Object.assign(bom.components![1]!, { supplier: { contact: [{ email: 'x' }] } }),
    ],
    ['a dependency named twice', (bom) => Object.assign(bom.dependencies![0]!, { dependsOn: ['a', 'a'] })],
    ['a time that is none', (bom) => Object.assign(bom.metadata!, { timestamp: 'yesterday' })],
  ];
  test.each(plants)(`${CYCLONEDX} and the rules refuse %s`, async (...plant) => {
    const document = planted(text, plant);
    expect(await cycloneDxRefusals(document)).not.toEqual([]);
    expect(cycloneDxProblems(JSON.parse(document))).not.toEqual([]);
  });

  test(`what ${CYCLONEDX} refuses of 2000 altered documents, the rules refuse`, async () => {
    let refused = 0;
    for (let seed = 1; seed <= 2000; seed++) {
      const altered = mutateJson(JSON.parse(text), random(seed));
      if ((await cycloneDxRefusals(JSON.stringify(altered))).length === 0) continue;
      refused++;
      expect(cycloneDxProblems(altered), `seed ${seed}`).not.toEqual([]);
    }
    expect(refused).toBeGreaterThan(500);
  });

  test('the names of licenses are those of the release of the SPDX License List the library has', () => {
    const { release, licenses, exceptions } = listedLicenses();
    expect(release).toContain(`-${LICENSE_LIST_VERSION}.`);
    expect([...LICENSE_IDS.values()].sort()).toEqual([...licenses].sort());
    expect([...LICENSE_EXCEPTION_IDS.values()].sort()).toEqual([...exceptions].sort());
  });
});

describe.skipIf(noSpdx !== undefined)('SPDX 2.3', () => {
  const text = spdxJson(bill());

  test(`${SPDX} take all of those bills`, async () => {
    const documents = Object.values(BILLS).map((facts) => spdxJson(bill(facts)));
    const refused = (lists: readonly (readonly string[])[]): object =>
      Object.fromEntries(
        Object.keys(BILLS)
          .map((name, at) => [name, lists[at]])
          .filter(([, list]) => list?.length !== 0),
      );
    expect(refused(await spdxRefusals(documents))).toEqual({});
    expect(refused(documents.map((document) => spdxProblems(JSON.parse(document))))).toEqual({});
  });

  const plants: readonly Plant[] = [
    ['another version of the form', (spdx) => Object.assign(spdx, { spdxVersion: 'SPDX-2.4' })],
    ['another license of the document', (spdx) => Object.assign(spdx, { dataLicense: 'MIT' })],
    ['a namespace with a fragment', (spdx) => Object.assign(spdx, { documentNamespace: 'https://a.example/#b' })],
    ['a time that is none', (spdx) => Object.assign(spdx.creationInfo!, { created: 'yesterday' })],
    ['a package without a place to load it from', (spdx) => delete spdx.packages![1]!.downloadLocation],
    ['a name of a package twice', (spdx) => Object.assign(spdx.packages![1]!, { SPDXID: spdx.packages![2]!.SPDXID })],
    ['a license nobody explains', (spdx) => Object.assign(spdx.packages![1]!, { licenseDeclared: 'LicenseRef-x' })],
    ['a license that is no expression', (spdx) => Object.assign(spdx.packages![1]!, { licenseDeclared: 'MIT AND' })],
    ['a supplier of no known kind', (spdx) => Object.assign(spdx.packages![1]!, { supplier: 'Somebody' })],
    ['a supplier without a name', (spdx) => Object.assign(spdx.packages![1]!, { supplier: 'Organization: (x)' })],
    ['a home page that is none', (spdx) => Object.assign(spdx.packages![0]!, { homepage: 'https://localhost/' })],
    ['a relation to nothing', (spdx) => Object.assign(spdx.relationships![1]!, { relatedSpdxElement: 'SPDXRef-x' })],
    ['a document that describes nothing', (spdx) => spdx.relationships!.shift()],
  ];
  test(`${SPDX} and the rules refuse each of ${plants.length} planted defects`, async () => {
    const documents = plants.map((plant) => planted(text, plant));
    const accepted = (lists: readonly (readonly string[])[]): string[] =>
      plants.filter((_, at) => lists[at]?.length === 0).map(([what]) => what);
    expect(accepted(await spdxRefusals(documents))).toEqual([]);
    expect(accepted(documents.map((document) => spdxProblems(JSON.parse(document))))).toEqual([]);
  });

  test(`what ${SPDX} refuse of 2000 altered documents, the rules refuse`, async () => {
    const altered = Array.from({ length: 2000 }, (_, at) => mutateJson(JSON.parse(text), random(at + 1)));
    const refusals = await spdxRefusals(altered.map((document) => JSON.stringify(document)));
    expect(refusals.filter((each) => each.length > 0).length).toBeGreaterThan(500);
    const only = altered.map((document, at) => spdxProblems(document).length === 0 && refusals[at]);
    expect(only.filter((each) => each !== false && each !== undefined && each.length > 0)).toEqual([]);
  });
});
