import { FormatError, isComposeError } from '../errors.ts';
import { type Entry, type FileTree, readContent, readPath } from '../filesystem/file-tree.ts';
import { parseApkInstalled } from '../formats/apk-installed.ts';
import { parseDpkgStatus } from '../formats/dpkg-status.ts';
import { parseOsRelease } from '../formats/os-release.ts';
import { type PackageFacts, type PackageManager, type PackageSet, sortPackages } from '../formats/package-list.ts';
import { distributionOf, packageUrl } from '../formats/purl.ts';
import { RPM_DATABASES, RPM_FOLDERS, readRpmDatabase } from '../formats/rpm/database.ts';
import { packageFacts } from '../formats/rpm/header.ts';

const OS_RELEASE = ['/etc/os-release', '/usr/lib/os-release'] as const;
const DPKG_STATUS = '/var/lib/dpkg/status';
/** Images made from packages without dpkg have a file for each in this folder. */
const DPKG_STATUS_FOLDER = '/var/lib/dpkg/status.d';
const APK_DATABASES = ['/lib/apk/db/installed', '/usr/lib/apk/db/installed'] as const;

/** Largest database that is read, bytes; Berkeley DB makes the longest, of some 150 MiB for a full installation. */
export const DATABASE_LIMIT = 512 * 1024 * 1024;
const TEXT_LIMIT = 64 * 1024 * 1024;

interface Found {
  readonly manager: PackageManager;
  readonly database: string;
  readonly packages: readonly PackageFacts[];
}

/** Whether a file at this path, without its leading slash, is one that `readPackages` may read. */
export function isPackageDatabase(path: string): boolean {
  const absolute = `/${path}`;
  const wanted: readonly string[] = [...OS_RELEASE, DPKG_STATUS, ...APK_DATABASES, ...RPM_FILES];
  return wanted.includes(absolute) || absolute.startsWith(`${DPKG_STATUS_FOLDER}/`);
}

const RPM_FILES = RPM_FOLDERS.flatMap((folder) =>
  [...RPM_DATABASES, 'rpmdb.sqlite-wal'].map((name) => `${folder}/${name}`),
);

/** Settings of the tree's os-release(5); none where it has no such file. */
export async function readOsRelease(tree: FileTree): Promise<Record<string, string>> {
  for (const path of OS_RELEASE) {
    const text = await readText(tree, path);
    if (text !== undefined) return parseOsRelease(text);
  }
  return {};
}

/**
 * Installed packages, from the databases of dpkg, rpm and apk themselves; nothing of the tree is run. A tree with none of
 * them answers an empty list.
 * @throws FormatError `packages.too-large`, and those of a damaged database
 */
export async function readPackages(tree: FileTree): Promise<PackageSet[]> {
  const found = (await Promise.all([readDpkg(tree), readRpm(tree), readApk(tree)])).filter((one) => one !== undefined);
  const distribution = distributionOf(await readOsRelease(tree));
  return found.map(({ manager, database, packages }) => ({
    manager,
    database,
    packages: packages.map((facts) => ({ ...facts, purl: packageUrl(manager, distribution, facts) })),
  }));
}

async function readDpkg(tree: FileTree): Promise<Found | undefined> {
  const status = await readText(tree, DPKG_STATUS);
  const packages = status === undefined ? [] : parseDpkgStatus(status);
  let database = status === undefined ? undefined : DPKG_STATUS;
  for (const entry of await tree.list(DPKG_STATUS_FOLDER)) {
    if (entry.data === undefined || baseName(entry).endsWith('.md5sums')) continue;
    database ??= DPKG_STATUS_FOLDER;
    packages.push(...parseDpkgStatus(decode(await whole(entry, DPKG_STATUS_FOLDER)), 'installed'));
  }
  return database === undefined ? undefined : { manager: 'dpkg', database, packages: sortPackages(packages) };
}

async function readRpm(tree: FileTree): Promise<Found | undefined> {
  for (const folder of RPM_FOLDERS) {
    for (const name of RPM_DATABASES) {
      const database = `${folder}/${name}`;
      const bytes = await readBytes(tree, database);
      if (bytes === undefined) continue;
      const wal = name === 'rpmdb.sqlite' ? await readBytes(tree, `${database}-wal`) : undefined;
      return { manager: 'rpm', database, packages: sortPackages(readRpmDatabase(bytes, wal).map(packageFacts)) };
    }
  }
  return undefined;
}

async function readApk(tree: FileTree): Promise<Found | undefined> {
  for (const database of APK_DATABASES) {
    const text = await readText(tree, database);
    if (text !== undefined) return { manager: 'apk', database, packages: parseApkInstalled(text) };
  }
  return undefined;
}

const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

async function readText(tree: FileTree, path: string): Promise<string | undefined> {
  const bytes = await readBytes(tree, path, TEXT_LIMIT);
  return bytes === undefined ? undefined : decode(bytes);
}

async function readBytes(tree: FileTree, path: string, limit = DATABASE_LIMIT): Promise<Uint8Array | undefined> {
  return inLimit(path, () => readPath(tree, path, limit));
}

async function whole(entry: Entry, path: string): Promise<Uint8Array> {
  return inLimit(path, () => (entry.data === undefined ? new Uint8Array(0) : readContent(entry.data, TEXT_LIMIT)));
}

async function inLimit<T>(path: string, read: () => T | Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    if (isComposeError(cause) || !(cause instanceof RangeError)) throw cause;
    throw new FormatError('packages.too-large', `Cannot read the packages: ${path}: ${cause.message}`, { cause });
  }
}

function baseName(entry: Entry): string {
  return decode(entry.path.subarray(entry.path.lastIndexOf(0x2f) + 1));
}
