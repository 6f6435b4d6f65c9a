/** What of a member arrives when GNU tar, called as curtin calls it, unpacks the archive of a writer. */
import { execFileSync } from 'node:child_process';
import { lstatSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { TarMember } from '../../src/formats/tar/writer.ts';
import type { Item, Writer } from './tar-writers.ts';

const NAME = 'member';
const SECOND = 1_000_000_000n;
const MIB = 1024 * 1024;
const HOLES = 64 * MIB;
const ATTRIBUTE = 'user.compose';

interface Case {
  readonly title: string;
  readonly item: Item;
  /** What is there, in words; `true` where it is what was written. */
  readonly arrived: (folder: string, archive: number) => true | string;
}

const PLAIN: TarMember = {
  name: Buffer.from(NAME),
  type: 'file',
  mode: 0o644,
  uid: 0,
  gid: 0,
  mtime: 1_700_000_000n * SECOND,
  size: 4,
};
const TEXT = Buffer.from('text');

const ownTime =
  (mtime: bigint): Case['arrived'] =>
  (folder) => {
    const { mtimeNs } = lstatSync(join(folder, NAME), { bigint: true });
    return mtimeNs === mtime || new Date(Number(mtimeNs / 1_000_000n)).toISOString();
  };

function cases(): Case[] {
  const late = 2_380_000_000n * SECOND;
  const fraction = 1_700_000_000_123_456_789n;
  const value = Buffer.from([0xff, 0xfe, 0x00, 0x80]);
  const name = Buffer.from([0x6e, 0xff, 0x6d]);
  const sparse = [{ offset: HOLES - 4096, length: 4096 }];
  const owner = 300_000;
  return [
    {
      title: `owner ${owner}`,
      item: { member: { ...PLAIN, uid: owner, gid: owner }, body: TEXT },
      arrived: (folder) => {
        const { uid, gid } = lstatSync(join(folder, NAME));
        return (uid === owner && gid === owner) || `owner ${uid}`;
      },
    },
    { title: 'time in 2045', item: { member: { ...PLAIN, mtime: late }, body: TEXT }, arrived: ownTime(late) },
    {
      title: 'nanoseconds of a time',
      item: { member: { ...PLAIN, mtime: fraction }, body: TEXT },
      arrived: ownTime(fraction),
    },
    {
      title: 'attribute of the bytes ff fe 00 80',
      item: { member: { ...PLAIN, xattrs: [{ name: Buffer.from(ATTRIBUTE), value }] }, body: TEXT },
      arrived: (folder) => {
        const found = attribute(join(folder, NAME));
        return found === undefined
          ? 'no attribute'
          : found.equals(value) || found.toString('hex').replace(/..(?!$)/g, '$& ');
      },
    },
    {
      title: 'name with the byte ff',
      item: { member: { ...PLAIN, name }, body: TEXT },
      arrived: (folder) => {
        const [found = Buffer.alloc(0)] = readdirSync(folder, { encoding: 'buffer' });
        return (
          found.equals(name) ||
          `name with ${found
            .subarray(1, -1)
            .toString('hex')
            .replace(/..(?!$)/g, '$& ')}`
        );
      },
    },
    {
      title: '64 MiB of which 4 KiB are no hole',
      item: {
        member: { ...PLAIN, size: HOLES, sparse },
        body: Buffer.concat([Buffer.alloc(HOLES - 4096), Buffer.alloc(4096, 1)]),
      },
      arrived: (folder, archive) => {
        const { size } = lstatSync(join(folder, NAME));
        return (size === HOLES && archive < MIB) || `${Math.round(archive / MIB)} MiB of archive`;
      },
    },
  ];
}

function attribute(path: string): Buffer | undefined {
  try {
    const args = ['--only-values', '--absolute-names', '-n', ATTRIBUTE, path];
    return execFileSync('getfattr', args, { stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    return undefined;
  }
}

/** A row for each property: what arrives of it from each of `writers`. */
export async function fidelity(writers: ReadonlyMap<string, Writer>, work: string): Promise<string[][]> {
  const rows: string[][] = [];
  for (const { title, item, arrived } of cases()) {
    const row = [title];
    for (const writer of writers.values()) {
      const folder = mkdtempSync(join(work, 'tar-'));
      try {
        const input = await whole(writer([item]));
        const flags = ['--xattrs', '--xattrs-include=*', '-Sxpf', '-', '--numeric-owner', '-C', folder];
        execFileSync('tar', flags, { input, stdio: ['pipe', 'ignore', 'pipe'] });
        const seen = arrived(folder, input.length);
        row.push(seen === true ? 'kept' : seen);
      } catch (error) {
        row.push(String((error as Error).message).split('\n')[0] ?? '');
      } finally {
        rmSync(folder, { recursive: true });
      }
    }
    rows.push(row);
  }
  return rows;
}

async function whole(parts: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const part of parts) all.push(part);
  return Buffer.concat(all);
}
