/** A package as the database of its manager tells of it. Texts are as the database has them. */
export interface PackageFacts {
  readonly name: string;
  /** Of dpkg and apk the whole version; of rpm the upstream part, without epoch and release. */
  readonly version: string;
  /** Of rpm. */
  readonly release?: string;
  /** Of rpm, where it is set. */
  readonly epoch?: number;
  readonly arch: string;
  readonly license?: string;
  /** Name of the source package, where it is told. */
  readonly source?: string;
  readonly sourceVersion?: string;
  /** Who makes the package: a vendor, or a maintainer as "Name <mail>". */
  readonly supplier?: string;
  readonly summary?: string;
}

/** A package with its package URL. */
export interface Package extends PackageFacts {
  readonly purl: string;
}

export type PackageManager = 'dpkg' | 'rpm' | 'apk';

/** What one database lists, sorted by name, version and architecture. */
export interface PackageSet {
  readonly manager: PackageManager;
  /** Absolute path of the database in the tree. */
  readonly database: string;
  readonly packages: readonly Package[];
}

/** The version in full, as the manager prints it: `[epoch:]version[-release]`. */
export function fullVersion({ version, release, epoch }: PackageFacts): string {
  return `${epoch === undefined ? '' : `${epoch}:`}${version}${release === undefined ? '' : `-${release}`}`;
}

/** By name, then version, then architecture; by code units, so that no locale has a say. */
export function sortPackages<T extends PackageFacts>(packages: readonly T[]): T[] {
  const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
  return packages.toSorted(
    (a, b) => order(a.name, b.name) || order(fullVersion(a), fullVersion(b)) || order(a.arch, b.arch),
  );
}

/** One `name version arch` a line, the databases one after another. White space and control characters become "?". */
export function packagesText(sets: readonly (Partial<PackageSet> & Pick<PackageSet, 'packages'>)[]): string {
  const word = (text: string): string => text.replace(/[\s\p{Cc}]/gu, '?') || '-';
  return sets
    .flatMap((set) => set.packages)
    .map((one) => `${word(one.name)} ${word(fullVersion(one))} ${word(one.arch)}\n`)
    .join('');
}

/** The databases and all that is known of their packages, as JSON. */
export function packagesJson(sets: readonly PackageSet[]): string {
  return `${JSON.stringify(sets, null, 2)}\n`;
}
