import { expect, test } from 'vitest';
import { registerSecret, scrub } from '../../src/errors.ts';
import { apiBase } from '../../src/publish/access.ts';
import { checkFields, type ImageFields } from '../../src/publish/image-rules.ts';
import { bootsByNameAlone, parseVersion } from '../../src/publish/maas-version.ts';
import { authorization, parseApiKey } from '../../src/publish/oauth.ts';
import { nextVersion, streamDate } from '../../src/publish/stream-documents.ts';

const GOOD: ImageFields = {
  name: 'web-amd64',
  title: 'Web node',
  architecture: 'amd64/generic',
  baseImage: 'ubuntu/noble',
  filetype: 'tgz',
};

test.each<[string, Partial<ImageFields>, string | undefined]>([
  ['a bare word', {}, undefined],
  ['a dd image under a bare word', { filetype: 'ddgz' }, undefined],
  ['custom/, which is taken off', { name: 'custom/web' }, undefined],
  ['a release of another system, without base_image', { name: 'rhel/rhel9', baseImage: '' }, undefined],
  ['Windows as a disk', { name: 'windows/win2022', baseImage: '', filetype: 'ddgz' }, undefined],
  ['Oracle Linux', { name: 'ol/9.4', baseImage: '' }, undefined],
  ['two slashes, which MAAS fails on', { name: 'a/b/c' }, 'publish.name'],
  ['a system MAAS does not know', { name: 'debian/12' }, 'publish.name'],
  ['a word MAAS keeps', { name: 'ubuntu' }, 'publish.name'],
  ['centos and digits', { name: 'centos9' }, 'publish.name'],
  ['centos and digits behind custom/', { name: 'custom/centos9' }, 'publish.name'],
  ['nothing before the slash', { name: '/x' }, 'publish.name'],
  ['white space', { name: 'web node' }, 'publish.name'],
  ['no title, which MAAS would show', { title: ' ' }, 'publish.title'],
  ['a title of two lines', { title: 'a\nb' }, 'publish.title'],
  ['an architecture without its second part', { architecture: 'amd64' }, 'publish.architecture'],
  ['no base_image', { baseImage: '' }, 'publish.base-image'],
  ['a base_image of SUSE', { baseImage: 'suse/sles15' }, 'publish.base-image'],
  ['a base_image of Debian', { baseImage: 'debian/bookworm' }, 'publish.base-image'],
  ['a number for a code name', { baseImage: 'ubuntu/24.04' }, 'publish.base-image'],
  ['a base_image of three parts', { baseImage: 'ubuntu/noble/x' }, 'publish.base-image'],
  ['a dd image of RHEL, which MAAS does not deploy', { name: 'rhel/rhel9', filetype: 'ddgz' }, 'publish.filetype'],
  ['a dd image of Ubuntu', { name: 'ubuntu/mine', filetype: 'ddraw' }, 'publish.filetype'],
  ['a tree of Windows', { name: 'windows/win2022', filetype: 'tgz' }, 'publish.filetype'],
  ['a tree of ESXi', { name: 'esxi/8', filetype: 'txz' }, 'publish.filetype'],
])('%s', (_, fields, code) => {
  const check = (): ImageFields => checkFields({ ...GOOD, ...fields }, 'x.tar.gz');
  if (code === undefined) expect(check().name).toBe((fields.name ?? GOOD.name).replace('custom/', ''));
  else expect(check).toThrow(expect.objectContaining({ code, exitCode: 9 }));
});

test('a base_image is sent in lower case, and none for names MAAS ignores it for', () => {
  expect(checkFields({ ...GOOD, baseImage: 'Ubuntu/Noble' }, 'x').baseImage).toBe('ubuntu/noble');
  expect(checkFields({ ...GOOD, name: 'rhel/rhel9' }, 'x').baseImage).toBe('');
});

test.each([
  ['http://maas:5240', 'http://maas:5240/MAAS/api/2.0/'],
  ['http://maas:5240/MAAS', 'http://maas:5240/MAAS/api/2.0/'],
  ['http://maas:5240/MAAS/', 'http://maas:5240/MAAS/api/2.0/'],
  ['https://maas/MAAS/api/2.0/', 'https://maas/MAAS/api/2.0/'],
  ['https://proxy/site/MAAS/api/2.0', 'https://proxy/site/MAAS/api/2.0/'],
])('%s is the MAAS at %s', (text, base) => expect(apiBase(text).href).toBe(base));

test.each(['maas:5240', 'file:///x', '', 'http://a:b@maas/MAAS', 'http://maas/MAAS?x=1'])(
  '"%s" is the address of no MAAS',
  (text) => {
    expect(() => apiBase(text)).toThrow(expect.objectContaining({ code: 'publish.url' }));
  },
);

test('a request is signed as oauthlib signs it: PLAINTEXT, the secret behind an encoded ampersand', () => {
  const header = authorization({ consumer: 'Aa', token: 'Bb', secret: 'C c' }, 1_700_000_000_999);
  expect(header.replace(/oauth_nonce="\w{32}"/, 'oauth_nonce="N"')).toBe(
    'OAuth oauth_nonce="N", oauth_timestamp="1700000000", oauth_version="1.0", oauth_signature_method="PLAINTEXT", ' +
      'oauth_consumer_key="Aa", oauth_token="Bb", oauth_signature="%26C%20c"',
  );
});

test('a key has three parts, and none of them is in the error or in any later message', () => {
  expect(parseApiKey(' one1:two2:three3\n', 'x')).toEqual({ consumer: 'one1', token: 'two2', secret: 'three3' });
  for (const text of ['secretpart', 'partaaaa:partbbbb', 'parta:partb:partc:partd', 'part1::part3', '']) {
    expect(() => parseApiKey(text, 'the file key')).toThrow(expect.objectContaining({ code: 'publish.api-key' }));
    if (text !== '') expect(scrub(`x ${text} y`)).toBe('x *** y');
  }
  registerSecret('three3');
  expect(scrub(authorization({ consumer: 'one1', token: 'two2', secret: 'three3' }))).not.toMatch(/one1|two2|three3/);
});

test.each([
  ['3.3.9', true],
  ['3.5.10', true],
  ['3.6.2', true],
  ['3.6.3', false],
  ['3.7.0', true],
  ['3.7.1', false],
  ['3.8.0~beta6', false],
  ['4.0', false],
  ['next', false],
])('MAAS %s boots by name alone: %s', (text, expected) => expect(bootsByNameAlone(parseVersion(text))).toBe(expected));

test('versions of a stream sort as text in the order they were made', () => {
  const date = new Date('2026-11-21T23:59:59Z');
  const made: string[] = [];
  for (let at = 0; at < 12; at++) made.push(nextVersion(date, made));
  expect(made.slice(0, 3)).toEqual(['20261121', '20261121.01', '20261121.02']);
  expect([...made].sort()).toEqual(made);
  expect(nextVersion(new Date('2026-11-20T00:00:00Z'), ['20261121'])).toBe('20261121.01');
  expect(nextVersion(new Date('2026-11-22T00:00:00Z'), made)).toBe('20261122');
  expect(() => nextVersion(date, ['20261121.99'])).toThrow(expect.objectContaining({ code: 'stream.versions' }));
  expect(streamDate(new Date('2026-11-21T00:00:00Z'))).toBe('Sat, 21 Nov 2026 00:00:00 +0000');
});
