import { expect, test } from 'vitest';
import { mutate, random } from '../../fixtures/fuzz.ts';
import { readGuestFrame } from '../../src/formats/guest-frame.ts';
import { PcapReader } from '../../src/formats/pcap.ts';

const GUEST = [0x52, 0x54, 0x00, 0x12, 0x34, 0x56];
const SLIRP = [0x52, 0x55, 0x0a, 0x00, 0x02, 0x02];

const ethernet = (from: number[], type: number, payload: number[]): Uint8Array =>
  Uint8Array.from([...(from === GUEST ? SLIRP : GUEST), ...from, type >> 8, type & 255, ...payload]);

function ipv4(from: number[], source: number[], protocol: number, payload: number[]): Uint8Array {
  const length = 20 + payload.length;
  const head = [0x45, 0, length >> 8, length & 255, 0, 0, 0, 0, 64, protocol, 0, 0, ...source, 10, 0, 2, 2];
  return ethernet(from, 0x0800, [...head, ...payload]);
}

const tcp = (port: number, flags: number, data: number[] = []): number[] => {
  const head = [port >> 8, port & 255, 0x90, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, flags, 0, 0, 0, 0, 0, 0];
  return [...head, ...data];
};

function dhcp(from: number, to: number, type: number): number[] {
  const message = new Array(240).fill(0);
  return [0, from, 0, to, 0, 0, 0, 0, ...message, 0, 12, 2, 0x61, 0x62, 53, 1, type, 255];
}

const arp = (source: number[]): number[] => [
  0,
  1,
  8,
  0,
  6,
  4,
  0,
  1,
  ...GUEST,
  ...source,
  0,
  0,
  0,
  0,
  0,
  0,
  10,
  0,
  2,
  2,
];
const ADDRESS = [10, 0, 2, 15];
const NONE = [0, 0, 0, 0];

test.each([
  ['a DHCP request', ipv4(GUEST, NONE, 17, dhcp(68, 67, 1)), 'dhcp asked'],
  ['a DHCP offer', ipv4(SLIRP, [10, 0, 2, 2], 17, dhcp(67, 68, 2)), 'to guest'],
  ['a DHCP acknowledgement', ipv4(SLIRP, [10, 0, 2, 2], 17, dhcp(67, 68, 5)), 'dhcp given'],
  ['an ARP answer', ethernet(GUEST, 0x0806, arp(ADDRESS)), 'address used'],
  ['an ARP probe', ethernet(GUEST, 0x0806, arp(NONE)), 'other'],
  ['an ARP request of the network', ethernet(SLIRP, 0x0806, arp([10, 0, 2, 2])), 'to guest'],
  ['a reset from port 22', ipv4(GUEST, ADDRESS, 6, tcp(22, 0x14)), 'ssh refuses'],
  ['a SYN and ACK from port 22', ipv4(GUEST, ADDRESS, 6, tcp(22, 0x12)), 'ssh accepts'],
  ['data from port 22', ipv4(GUEST, ADDRESS, 6, tcp(22, 0x18, [0x53])), 'ssh speaks'],
  ['an acknowledgement from port 22', ipv4(GUEST, ADDRESS, 6, tcp(22, 0x10)), 'ssh answers'],
  ['a request of its own', ipv4(GUEST, ADDRESS, 6, tcp(40_000, 0x02)), 'work'],
  ['a ping', ipv4(GUEST, ADDRESS, 1, [8, 0, 0, 0]), 'work'],
  ['an answer to a ping', ipv4(GUEST, ADDRESS, 1, [0, 0, 0, 0]), 'traffic'],
  ['a question for the time', ipv4(GUEST, ADDRESS, 17, [0, 123, 0, 123, 0, 8, 0, 0]), 'traffic'],
  ['a link-local address', ipv4(GUEST, [169, 254, 3, 4], 17, [0, 1, 0, 2, 0, 8, 0, 0]), 'other'],
  ['IPv6', ethernet(GUEST, 0x86dd, [0x60]), 'other'],
  ['nothing', new Uint8Array(0), 'other'],
])('%s', (_, frame, kind) => {
  expect(readGuestFrame(frame)).toBe(kind);
});

function capture(frames: readonly Uint8Array[], little: boolean): Uint8Array {
  const parts: number[] = [];
  const u32 = (value: number): void => {
    const bytes = [value >>> 24, (value >> 16) & 255, (value >> 8) & 255, value & 255];
    parts.push(...(little ? bytes.reverse() : bytes));
  };
  for (const word of [0xa1b2c3d4, 0x00020004, 0, 0, 65536, 1]) u32(word);
  for (const frame of frames) {
    for (const word of [1, 2, frame.length, frame.length]) u32(word);
    parts.push(...frame);
  }
  return Uint8Array.from(parts);
}

const FRAMES = [ipv4(GUEST, NONE, 17, dhcp(68, 67, 1)), ethernet(GUEST, 0x0806, arp(ADDRESS)), new Uint8Array(0)];

test.each([true, false])('a capture gives its frames however it is cut (little-endian: %s)', (little) => {
  const bytes = capture(FRAMES, little);
  for (let at = 0; at <= bytes.length; at += 3) {
    const reader = new PcapReader();
    expect([...reader.push(bytes.subarray(0, at)), ...reader.push(bytes.subarray(at))]).toEqual(FRAMES);
  }
});

test('damaged captures and frames end in an error or a result', () => {
  const bytes = capture(
    [...FRAMES, ipv4(GUEST, ADDRESS, 6, tcp(22, 0x12)), ipv4(SLIRP, NONE, 17, dhcp(67, 68, 5))],
    true,
  );
  for (let seed = 0; seed < 3000; seed++) {
    const next = random(seed);
    for (const frame of FRAMES) readGuestFrame(mutate(frame, next));
    try {
      for (const frame of new PcapReader().push(mutate(bytes, next))) readGuestFrame(frame);
    } catch (error) {
      expect(error).toMatchObject({ code: 'pcap.damaged' });
    }
  }
});
