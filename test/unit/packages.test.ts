import { describe, expect, test } from 'vitest';
import { processorMs } from '../../fixtures/clock.ts';
import { mutate, random } from '../../fixtures/fuzz.ts';
import { memoryTree } from '../../fixtures/memory-tree.ts';
import { makeHeader, makeNdb } from '../../fixtures/rpm-database.ts';
import { isComposeError } from '../../src/errors.ts';
import { parseApkInstalled } from '../../src/formats/apk-installed.ts';
import { parseDpkgStatus } from '../../src/formats/dpkg-status.ts';
import { type PackageFacts, packagesJson, packagesText } from '../../src/formats/package-list.ts';
import { packageUrl } from '../../src/formats/purl.ts';
import { parseRpmHeader } from '../../src/formats/rpm/header.ts';
import { adler32 } from '../../src/formats/rpm/ndb.ts';
import { readPackages } from '../../src/verify/packages.ts';

const STATUS = `Package: zsh
Status: install ok installed
Maintainer: Zsh Team <zsh@example.org>
Architecture: amd64
Version: 5.9-4+b1
Source: zsh-src (5.9-4)
Description: shell with lots of features
 Version: 1, said in a description

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1

Package: half
Status: install reinstreq half-installed
Version: 1
Architecture: amd64

Package: attr
Status: hold ok triggers-pending
Version: 1:2.4.47-2
Architecture: amd64

Package: stateless
Version: 1
Architecture: all
`;

/** Two packages as apk writes them: the fields of a package, then those of its folders and files. */
const INSTALLED = `C:Q1abcdefghijklmnopqrstuvwxyz12345=
P:musl
V:1.2.5-r0
A:x86_64
S:407278
I:667648
T:the musl c library (libc) implementation
U:https://musl.example/
L:MIT
o:musl
m:A Maintainer <am@example.org>
t:1711147042
c:f6ab9c8ea7d3f5e4b1b8a0c5e7d4d0e3a1b2c3d4
p:so:libc.musl-x86_64.so.1=1
F:lib
R:ld-musl-x86_64.so.1
a:0:0:755
Z:Q1abcdefghijklmnopqrstuvwxyz12345=
F:usr
M:0:0:755
P:not a name

P:busybox
V:1.36.1-r28
A:x86_64
L:GPL-2.0-only
o:busybox-src
`;

describe('dpkg', () => {
  test('what has its files on the disk is listed, with its source', () => {
    expect(parseDpkgStatus(STATUS)).toEqual([
      { name: 'attr', version: '1:2.4.47-2', arch: 'amd64', source: 'attr', sourceVersion: '1:2.4.47-2' },
      {
        name: 'zsh',
        version: '5.9-4+b1',
        arch: 'amd64',
        source: 'zsh-src',
        sourceVersion: '5.9-4',
        supplier: 'Zsh Team <zsh@example.org>',
        summary: 'shell with lots of features',
      },
    ]);
  });

  test('an image without a status file has a folder of stanzas', async () => {
    const tree = memoryTree({
      '/etc/os-release': 'ID=debian\nVERSION_ID="12"\n',
      '/var/lib/dpkg/status.d/tzdata': 'Package: tzdata\nVersion: 2024a-0+deb12u1\nArchitecture: all\n',
      '/var/lib/dpkg/status.d/tzdata.md5sums': '0123  usr/share/zoneinfo/UTC\n',
      '/var/lib/dpkg/status.d/base': 'Package: base-files\nVersion: 12.4\nArchitecture: amd64\n',
    });
    const [set] = await readPackages(tree);
    expect(set).toMatchObject({ manager: 'dpkg', database: '/var/lib/dpkg/status.d' });
    expect(set!.packages.map((one) => one.purl)).toEqual([
      'pkg:deb/debian/base-files@12.4?arch=amd64&distro=debian-12',
      'pkg:deb/debian/tzdata@2024a-0%2Bdeb12u1?arch=all&distro=debian-12',
    ]);
  });
});

describe('apk', () => {
  test.each(['/lib/apk/db/installed', '/usr/lib/apk/db/installed'])('%s', async (path) => {
    const tree = memoryTree({ '/etc/os-release': 'ID=alpine\nVERSION_ID=3.20.3\n', [path]: INSTALLED });
    const [set] = await readPackages(tree);
    expect(set).toMatchObject({ manager: 'apk', database: path });
    expect(set!.packages).toEqual([
      {
        name: 'busybox',
        version: '1.36.1-r28',
        arch: 'x86_64',
        license: 'GPL-2.0-only',
        source: 'busybox-src',
        sourceVersion: '1.36.1-r28',
        purl: 'pkg:apk/alpine/busybox@1.36.1-r28?arch=x86_64&distro=alpine-3.20.3',
      },
      {
        name: 'musl',
        version: '1.2.5-r0',
        arch: 'x86_64',
        license: 'MIT',
        source: 'musl',
        sourceVersion: '1.2.5-r0',
        supplier: 'A Maintainer <am@example.org>',
        summary: 'the musl c library (libc) implementation',
        purl: 'pkg:apk/alpine/musl@1.2.5-r0?arch=x86_64&distro=alpine-3.20.3',
      },
    ]);
  });
});

const facts = (over: Partial<PackageFacts>): PackageFacts => ({ name: 'curl', version: '1', arch: '', ...over });
const on = (id: string, version = ''): { id: string; version: string } => ({ id, version });

// The forms of the names and versions are those of the specification's own test suite.
test.each([
  [
    'dpkg',
    on('debian', 'jessie'),
    facts({ version: '7.50.3-1', arch: 'i386' }),
    'pkg:deb/debian/curl@7.50.3-1?arch=i386&distro=debian-jessie',
  ],
  [
    'dpkg',
    on('debian'),
    facts({ name: 'attr', version: '1:2.4.47-2+b1', arch: 'amd64' }),
    'pkg:deb/debian/attr@1:2.4.47-2%2Bb1?arch=amd64&distro=debian',
  ],
  [
    'rpm',
    on('fedora', '25'),
    facts({ version: '7.50.3', release: '1.fc25', arch: 'i386' }),
    'pkg:rpm/fedora/curl@7.50.3-1.fc25?arch=i386&distro=fedora-25',
  ],
  [
    'rpm',
    on('', ''),
    facts({ name: 'centerim', version: '4.22.10', release: '1.el6', arch: 'i686', epoch: 1 }),
    'pkg:rpm/centerim@4.22.10-1.el6?arch=i686&epoch=1',
  ],
  [
    'rpm',
    on('opensuse-leap', '15.6'),
    facts({ name: 'NetworkManager', release: '0' }),
    'pkg:rpm/opensuse/NetworkManager@1-0?distro=opensuse-leap-15.6',
  ],
  [
    'rpm',
    on('sles', '15.6'),
    facts({ name: 'libstdc++6', release: '0' }),
    'pkg:rpm/suse/libstdc%2B%2B6@1-0?distro=sles-15.6',
  ],
  [
    'apk',
    on('Alpine', '3.20'),
    facts({ name: "a b/c%!'()*~" }),
    'pkg:apk/alpine/a%20b%2Fc%25%21%27%28%29%2A~@1?distro=Alpine-3.20',
  ],
] as const)('package URL of %s', (manager, distribution, one, url) => {
  expect(packageUrl(manager, distribution, one)).toBe(url);
});

test('two managers in one tree are two sets, and the list has them all', async () => {
  const header = makeHeader(
    new Map<number, string | number>([
      [1000, 'a'],
      [1001, '1'],
      [1002, '2'],
      [1022, 'noarch'],
    ]),
  );
  const key = makeHeader(
    new Map([
      [1000, 'gpg-pubkey'],
      [1001, 'abc'],
      [1002, 'def'],
    ]),
  );
  const tree = memoryTree({
    '/var/lib/dpkg/status': STATUS,
    '/usr/lib/sysimage/rpm/Packages.db': makeNdb(
      new Map([
        [1, key],
        [2, header],
      ]),
    ),
  });
  const sets = await readPackages(tree);
  expect(packagesText(sets)).toBe('attr 1:2.4.47-2 amd64\nzsh 5.9-4+b1 amd64\na 1-2 noarch\n');
  expect(JSON.parse(packagesJson(sets))).toEqual(sets);
  expect(await readPackages(memoryTree({ '/etc/os-release': 'ID=x\n' }))).toEqual([]);
});

test('a line of the list stays one line of three words', () => {
  const odd = { name: 'a\nb c\u001b', version: '', arch: '', purl: '' };
  expect(packagesText([{ manager: 'rpm', database: '/', packages: [odd] }])).toBe('a?b?c? - -\n');
});

describe('rpm headers', () => {
  const whole = new Map<number, string | string[] | number>([
    [1000, 'name'],
    [1001, '1'],
    [1002, '2'],
    [1003, 0],
    [1004, ['first line', 'erste Zeile']],
    [1009, 4_000_000_000],
    [1022, 'noarch'],
  ]);

  test('an epoch of zero is an epoch, and the first language counts', () => {
    const header = parseRpmHeader(makeHeader(whole));
    expect(header).toMatchObject({ epoch: 0, summary: 'first line', size: 4_000_000_000n, license: undefined });
  });

  test.each([
    ['no bytes', new Uint8Array(0)],
    ['counts that do not make its length', makeHeader(whole).subarray(0, -1)],
    ['no name', makeHeader(new Map([[1001, '1']]))],
    [
      'a name that is a number',
      makeHeader(
        new Map<number, string | number>([
          [1000, 1],
          [1001, '1'],
        ]),
      ),
    ],
    [
      'a text without an end',
      (() =>
        Uint8Array.from([
          ...makeHeader(
            new Map([
              [1001, '1'],
              [1000, 'n'],
            ]),
          ).subarray(0, -1),
          0x6e,
        ]))(),
    ],
  ])('%s: refused', (_, blob) => {
    expect(() => parseRpmHeader(blob)).toThrow(expect.objectContaining({ code: 'rpm.damaged-header', exitCode: 7 }));
  });

  test('damaged ones are an error or a header', () => {
    const good = makeHeader(whole);
    let read = 0;
    for (let seed = 1; seed <= 20_000; seed++) {
      try {
        expect(parseRpmHeader(mutate(good, random(seed))).name.length).toBeLessThan(good.length);
        read++;
      } catch (error) {
        if (!isComposeError(error)) throw new Error(`seed ${seed}`, { cause: error });
      }
    }
    expect(read).toBeGreaterThan(1000);
  });
});

test('Adler-32', () => {
  expect(adler32(new TextEncoder().encode('Wikipedia'))).toBe(0x11e60398);
  expect(adler32(new Uint8Array(100_000).fill(255))).toBe(0x149a_302c);
});

test.each([
  ['dpkg', parseDpkgStatus, STATUS],
  ['apk', parseApkInstalled, INSTALLED],
] as const)('any text is a list: %s', (_, parse, text) => {
  const bytes = new TextEncoder().encode(text);
  for (let seed = 1; seed <= 2000; seed++) {
    const packages = parse(new TextDecoder().decode(mutate(bytes, random(seed))));
    expect(packages.length).toBeLessThan(20);
    expect(packages.every((one) => one.name !== '')).toBe(true);
  }
  const took = processorMs(() => {
    for (const unit of ['\n', ' ', '\n ', ':', 'P:', 'Package:x\n\n', '\t\r']) parse(unit.repeat(300_000));
  });
  expect(took).toBeLessThan(10_000);
});

test('a database too large to read is an error with its path', async () => {
  const tree = memoryTree({ '/lib/apk/db/installed': INSTALLED });
  const lookup = tree.lookup.bind(tree);
  tree.lookup = async (path, options) => {
    const entry = await lookup(path, options);
    return entry?.data === undefined ? entry : { ...entry, data: { size: 2 ** 40, extents: [] } };
  };
  await expect(readPackages(tree)).rejects.toMatchObject({
    code: 'packages.too-large',
    message: expect.stringContaining('/lib/apk/db/installed'),
  });
});
