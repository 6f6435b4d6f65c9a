import { describe, expect, test } from 'vitest';
import { bill, rpmPackage, rpmSet } from '../../fixtures/bill-of-materials.ts';
import { mutate, random } from '../../fixtures/fuzz.ts';
import { cycloneDxProblems, spdxProblems } from '../../fixtures/sbom-rules.ts';
import { cycloneDxJson } from '../../src/formats/sbom/cyclonedx.ts';
import { parseLicense } from '../../src/formats/sbom/license.ts';
import { spdxJson } from '../../src/formats/sbom/spdx.ts';

describe('license expressions', () => {
  test.each([
    ['MIT', 'MIT', 'a name'],
    ['mit AND apache-2.0', 'MIT AND Apache-2.0', 'case does not matter in names'],
    ['MIT and (BSD-3-Clause or Zlib)', 'MIT AND (BSD-3-Clause OR Zlib)', 'nor in operators, here'],
    ['GPL-2.0-only WITH Classpath-exception-2.0', 'GPL-2.0-only WITH Classpath-exception-2.0', 'an exception'],
    ['GPL-2.0+', 'GPL-2.0+', 'a name of the list with a plus'],
    ['Apache-1.1+', 'Apache-1.1+', 'a plus behind a name'],
    ['((MIT))', '((MIT))', 'parentheses in parentheses'],
    ['LicenseRef-X.1 OR MIT', 'LicenseRef-X.1 OR MIT', 'a reference'],
    ['GPLv2+ and BSD', undefined, 'short names of before'],
    ['MIT Apache-2.0', undefined, 'two names'],
    ['MIT AND', undefined, 'an end too early'],
    ['(MIT', undefined, 'no end'],
    ['MIT)', undefined, 'no beginning'],
    ['MIT WITH MIT', undefined, 'no exception'],
    ['MIT WITH Classpath-exception-2.0 WITH LLVM-exception', undefined, 'two exceptions'],
    ['LicenseRef-', undefined, 'a reference to nothing'],
    ['', undefined, 'nothing'],
    ['('.repeat(5000), undefined, 'too deep'],
    ['constructor', undefined, 'a name of JavaScript, not of the list'],
  ])('%s → %s (%s)', (text, expected, _why) => expect(parseLicense(text)?.text).toBe(expected));

  test('any text is an expression or none, and what is one stays as it is', () => {
    const bytes = new TextEncoder().encode('(MIT AND GPL-2.0-only WITH Classpath-exception-2.0) OR LicenseRef-a+');
    for (let seed = 1; seed <= 5000; seed++) {
      const text = new TextDecoder('latin1').decode(mutate(bytes, random(seed)));
      const parsed = parseLicense(text);
      if (parsed !== undefined) expect(parseLicense(parsed.text)).toEqual(parsed);
    }
  });
});

describe('SPDX', () => {
  const document = JSON.parse(spdxJson(bill()));

  test('keeps the rules of the specification', () => expect(spdxProblems(document)).toEqual([]));

  test('a package has its version, source, supplier, license and package URL', () => {
    expect(document.packages[1]).toEqual({
      SPDXID: 'SPDXRef-Package-rpm-bash-0-1.0-1.el9-x86-64',
      name: 'bash',
      versionInfo: '0:1.0-1.el9',
      supplier: 'Organization: Example Project',
      downloadLocation: 'NOASSERTION',
      filesAnalyzed: false,
      sourceInfo: 'built from the source package bash-src 1.0-1',
      licenseConcluded: 'NOASSERTION',
      licenseDeclared: 'GPL-3.0-or-later AND (MIT OR BSD-3-Clause)',
      copyrightText: 'NOASSERTION',
      summary: 'A shell',
      externalRefs: [
        {
          referenceCategory: 'PACKAGE-MANAGER',
          referenceType: 'purl',
          referenceLocator: 'pkg:rpm/example/bash@1.0?arch=x86_64',
        },
      ],
    });
    expect(document.packages.map((each: { supplier: string }) => each.supplier)).toEqual([
      'Organization: RESF',
      'Organization: Example Project',
      'NOASSERTION',
      'NOASSERTION',
      'NOASSERTION',
      'Person: Jane Doe (jane@example.org)',
      'Person: odd@example.org (odd@example.org)',
    ]);
  });

  test.each([
    ['Project (EU)', 'Organization: Project (EU) ()', 'a name with parentheses is followed by those of an address'],
    ['(x)', 'Organization: (x) ()', 'one of nothing else, too'],
    ['A (Nick) B <a@b.example>', 'Person: A (Nick) B (a@b.example)', 'and an address comes last'],
    ['A <a@-b.example>', 'Organization: A <a@-b.example>', 'an address nobody can have is part of the name'],
    ['\b', 'NOASSERTION', 'control characters are nobody'],
  ])('the supplier %j is %s: %s', (supplier, expected) => {
    const { packages } = JSON.parse(spdxJson(bill({ sets: [rpmSet(rpmPackage({ name: 'x', supplier }))] })));
    expect(packages[1].supplier).toBe(expected);
  });

  test.each([
    ['https://www.example.org/', true],
    ['https://example.org?a=%20&b=~c', true],
    ['https://localhost/', false],
    ['http://..', false],
    ['https://-a.example/', false],
    ['https://a.example/%', false],
  ])('the home page %s is told: %s', (HOME_URL, told) => {
    const { packages } = JSON.parse(spdxJson(bill({ system: { HOME_URL } })));
    expect(packages[0].homepage).toBe(told ? HOME_URL : undefined);
  });

  test('a license of control characters alone says nothing', () => {
    const document = JSON.parse(spdxJson(bill({ sets: [rpmSet(rpmPackage({ name: 'x', license: '\b' }))] })));
    expect(document.packages[1].licenseDeclared).toBe('NOASSERTION');
    expect(document.hasExtractedLicensingInfos).toBeUndefined();
  });

  test('licenses that are not on the list are told in full, each once', () => {
    expect(document.hasExtractedLicensingInfos).toEqual([
      { licenseId: 'LicenseRef-Fedora-Public-Domain', extractedText: 'LicenseRef-Fedora-Public-Domain' },
      { licenseId: 'LicenseRef-compose-GPLv2', extractedText: 'GPLv2+' },
      { licenseId: 'LicenseRef-compose-GPLv2-2', extractedText: 'GPLv2 +' },
      {
        licenseId: 'LicenseRef-compose-GPLv2-and-Redistributable-no-modification-permitted',
        extractedText: 'GPLv2 and Redistributable, no modification permitted',
      },
    ]);
  });
});

describe('CycloneDX', () => {
  const document = JSON.parse(cycloneDxJson(bill()));

  test('keeps the rules of the specification', () => expect(cycloneDxProblems(document)).toEqual([]));

  test('the system is a component, and a package has its license, supplier and source', () => {
    expect(document.components[0]).toEqual({
      type: 'operating-system',
      'bom-ref': 'operating-system',
      supplier: { name: 'RESF' },
      name: 'rocky',
      version: '9.4',
      description: 'Rocky Linux 9.4',
      externalReferences: [{ type: 'website', url: 'https://example.org/' }],
    });
    expect(document.components[1]).toMatchObject({
      type: 'library',
      name: 'bash',
      version: '0:1.0-1.el9',
      licenses: [{ expression: 'GPL-3.0-or-later AND (MIT OR BSD-3-Clause)' }],
      properties: [
        { name: 'image-compose:arch', value: 'x86_64' },
        { name: 'image-compose:source', value: 'bash-src' },
        { name: 'image-compose:source-version', value: '1.0-1' },
      ],
    });
    expect(document.components[2].licenses).toEqual([
      { license: { name: 'GPLv2 and Redistributable, no modification permitted' } },
    ]);
    expect(document.dependencies[0]).toEqual({ ref: 'image', dependsOn: ['operating-system'] });
    expect(document.dependencies[1].dependsOn).toHaveLength(6);
  });
});

test.each([
  ['nothing known of the system', bill({ system: {}, sets: [] })],
  ['a name that is no word', bill({ name: 'a b/c#d?é' })],
  ['the first second', bill({ created: 0 })],
])('%s is a document in both forms', (_, facts) => {
  expect(spdxProblems(JSON.parse(spdxJson(facts)))).toEqual([]);
  expect(cycloneDxProblems(JSON.parse(cycloneDxJson(facts)))).toEqual([]);
});

test('the same facts give the same bytes', () => {
  expect(spdxJson(bill())).toBe(spdxJson(bill()));
  expect(cycloneDxJson(bill())).toBe(cycloneDxJson(bill()));
});

test('the rules catch what breaks them', () => {
  const spdx = JSON.parse(spdxJson(bill()));
  spdx.packages[1].licenseDeclared = 'LicenseRef-nowhere';
  spdx.packages[2].SPDXID = spdx.packages[3].SPDXID;
  spdx.packages[4].surprise = 1;
  delete spdx.packages[5].downloadLocation;
  expect(spdxProblems(spdx).length).toBeGreaterThanOrEqual(4);
  const cdx = JSON.parse(cycloneDxJson(bill()));
  cdx.components[1].type = 'package';
  cdx.components[2].licenses.push({ expression: 'MIT' });
  cdx.dependencies[1].dependsOn.push('nowhere');
  expect(cycloneDxProblems(cdx).length).toBeGreaterThanOrEqual(3);
});
