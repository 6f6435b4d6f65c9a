import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  DEFAULT_DEBIAN_MIRROR,
  debianMirror,
  hostDebianMirror,
  parseDeb822,
  parseSourcesList,
} from '../../src/host/apt.ts';

test.each([
  ['deb http://mirror.test/debian bookworm main contrib', { uri: 'http://mirror.test/debian' }, 'plain'],
  ['  deb [arch=amd64 signed-by=/x.gpg] http://m.test/debian/ sid main # mine', { components: ['main'] }, 'options'],
  ['deb http://m.test/debian ./', { suites: ['./'], components: [] }, 'flat'],
])('sources.list: %s', (line, expected, why) => {
  expect(parseSourcesList(line), why).toMatchObject([expected]);
});

test('comments, source packages and nonsense are passed over', () => {
  expect(parseSourcesList('# deb http://m.test/debian x main\ndeb-src http://m.test/debian x main\nhello\n')).toEqual(
    [],
  );
});

test('deb822 stanzas with several URIs, continued lines, comments and a disabled one', () => {
  const text = `Types: deb deb-src
URIs: http://a.test/debian
 http://b.test/debian
# a comment
Suites: bookworm bookworm-updates
Components: main

Types: deb
URIs: http://off.test/debian
Suites: x
Enabled: no

Types: deb-src
URIs: http://src.test/debian
Suites: x
`;
  expect(parseDeb822(text)).toEqual([
    { uri: 'http://a.test/debian', suites: ['bookworm', 'bookworm-updates'], components: ['main'] },
    { uri: 'http://b.test/debian', suites: ['bookworm', 'bookworm-updates'], components: ['main'] },
  ]);
});

test.each([
  [['http://m.test/debian-security', 'http://m.test/debian/'], 'http://m.test/debian', 'the archive, not its updates'],
  [['file:/mnt/debian', 'https://m.test/pub/debian'], 'https://m.test/pub/debian', 'a guest cannot read a folder'],
  [['http://archive.test/ubuntu'], undefined, "Ubuntu's archive is another one"],
])('the mirror among %j', (uris, expected, why) => {
  expect(debianMirror(uris.map((uri) => ({ uri, suites: [], components: [] }))), why).toBe(expected);
});

test("the host's own files decide, in apt's order, and without any the default one", async () => {
  const etc = await mkdtemp(join(tmpdir(), 'compose-apt-'));
  try {
    expect(await hostDebianMirror(etc)).toBe(DEFAULT_DEBIAN_MIRROR);
    await mkdir(join(etc, 'sources.list.d'));
    const stanza = 'Types: deb\nURIs: http://second.test/debian\nSuites: x\nComponents: main\n';
    await writeFile(join(etc, 'sources.list.d/debian.sources'), stanza);
    await writeFile(join(etc, 'sources.list.d/ignored.txt'), 'deb http://no.test/debian x main\n');
    expect(await hostDebianMirror(etc)).toBe('http://second.test/debian');
    await writeFile(join(etc, 'sources.list'), 'deb http://first.test/debian x main\n');
    expect(await hostDebianMirror(etc)).toBe('http://first.test/debian');
  } finally {
    await rm(etc, { recursive: true });
  }
});
