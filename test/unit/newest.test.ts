import { expect, test } from 'vitest';
import { newestName } from '../../src/host/newest.ts';

const D = 'a'.repeat(64);
const SUMS = `${D} *ubuntu-24.04-live-server-amd64.iso
${D} *ubuntu-24.04.9-live-server-amd64.iso
${D} *ubuntu-24.04.10-live-server-amd64.iso
${D} *ubuntu-24.04.11-desktop-amd64.iso
SHA256 (Rocky-9.6-x86_64-dvd.iso) = ${D}
# Rocky-9.7-x86_64-dvd.iso: 12 bytes
${D}  debian-12.9.0-amd64-netinst.iso
`;

test.each([
  ['ubuntu-24.04*-live-server-amd64.iso', 'ubuntu-24.04.10-live-server-amd64.iso'],
  ['Rocky-9.*-x86_64-dvd.iso', 'Rocky-9.6-x86_64-dvd.iso'],
  ['debian-12.*-amd64-netinst.iso', 'debian-12.9.0-amd64-netinst.iso'],
  ['debian-13.*-amd64-netinst.iso', undefined],
])('of the names that %s fits, %s is the newest', (pattern, name) => expect(newestName(SUMS, pattern)).toBe(name));

test('a medium without a number behind the * is older than any with one', () => {
  expect(newestName(`${D} *u-24.04-s.iso\n${D} *u-24.04.1-s.iso\n`, 'u-24.04*-s.iso')).toBe('u-24.04.1-s.iso');
});
