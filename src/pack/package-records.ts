import { createHash } from 'node:crypto';
import { join, resolve } from 'node:path';
import type { FileTree } from '../filesystem/file-tree.ts';
import { type PackageSet, packagesText } from '../formats/package-list.ts';
import { cycloneDxJson } from '../formats/sbom/cyclonedx.ts';
import type { BillOfMaterials } from '../formats/sbom/document.ts';
import { spdxJson } from '../formats/sbom/spdx.ts';
import { packageVersion } from '../host/built-module.ts';
import { readOsRelease, readPackages } from '../verify/packages.ts';
import type { Outcome } from './outcome.ts';
import type { SbomFormat } from './sbom-formats.ts';

/** A record of what an image holds, beside its artifacts. */
export interface PackageRecord {
  readonly kind: 'packages' | SbomFormat;
  readonly file: string;
  readonly path: string;
}

/** What a tree has installed, read once for all of its records. */
export interface TreePackages {
  readonly system: Readonly<Record<string, string>>;
  readonly sets: readonly PackageSet[];
  /** When the databases were last changed, seconds since 1970. */
  readonly changed: number;
}

/** Seconds; later years do not fit the form of time the records have. */
const LATEST = Date.UTC(9999, 11, 31) / 1000;

/** @throws the errors of a damaged package database */
export async function treePackages(tree: FileTree): Promise<TreePackages> {
  const sets = await readPackages(tree);
  const times = await Promise.all(
    sets.map(async ({ database }) => (await tree.lookup(database, { follow: true }))?.mtime),
  );
  const latest = times.map((time) => Number((time ?? 0n) / 1_000_000_000n)).reduce((a, b) => Math.max(a, b), 0);
  return { system: await readOsRelease(tree), sets, changed: Math.min(latest, LATEST) };
}

/**
 * Writes `<name>.packages.txt`, `<name>.spdx.json` and `<name>.cdx.json`, those that are wanted. They tell the time
 * `created`, else that of the last change of the packages, and no other: the same tree gives the same bytes.
 */
export async function writePackageRecords(
  packages: TreePackages,
  options: {
    /** What gives them their names. */
    readonly outcome: Outcome;
    readonly out: string;
    readonly name: string;
    readonly kinds: readonly PackageRecord['kind'][];
    readonly created?: number | undefined;
  },
): Promise<PackageRecord[]> {
  const { system, sets, changed } = packages;
  const { name, kinds, outcome } = options;
  const facts = {
    name,
    system,
    sets,
    created: Math.min(options.created ?? changed, LATEST),
    toolVersion: packageVersion(),
  };
  const bill: BillOfMaterials = { ...facts, uuid: uuidOf(JSON.stringify(facts)) };
  const forms: Readonly<Record<PackageRecord['kind'], readonly [suffix: string, text: () => string]>> = {
    packages: ['packages.txt', () => packagesText(sets)],
    spdx: ['spdx.json', () => spdxJson(bill)],
    cyclonedx: ['cdx.json', () => cycloneDxJson(bill)],
  };
  const records: PackageRecord[] = [];
  for (const kind of kinds) {
    const [suffix, text] = forms[kind];
    const file = `${name}.${suffix}`;
    const path = join(resolve(options.out), file);
    await outcome.write(path, text());
    records.push({ kind, file, path });
  }
  return records;
}

/** A UUID of version 8 (RFC 9562, section 5.8) from the SHA-256 of what it names. */
function uuidOf(text: string): string {
  const bytes = createHash('sha256').update(text).digest().subarray(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
