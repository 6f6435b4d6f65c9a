import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, open, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HostError } from '../errors.ts';
import type { Context } from '../events.ts';
import { writeGpt } from '../formats/gpt-write.ts';
import { embedGrubBios } from '../formats/grub-bios.ts';
import { cacheFolder, temporaryFolder } from '../host/folders.ts';
import { makeFolder } from '../host/make-folder.ts';
import { run } from '../host/process.ts';
import { reapPath } from '../host/reaper.ts';
import { SingleFlight } from '../host/single-flight.ts';
import type { Arch } from '../machine/arch.ts';
import { userEmulation } from '../machine/user-emulation.ts';
import type { DiskLayout } from '../recipe/schema.ts';
import { coreConfig, espFiles, fstab, grubConfig, grubStub, hookScript, MKE2FS_CONF } from './base-disk-files.ts';
import { type BaseDiskLayout, baseDiskLayout, type DiskRange, ROOT_VOLUME } from './base-disk-layout.ts';

export interface BaseDiskOptions {
  /** Another one than the host's needs its user emulation (qemu-user-static through binfmt_misc). */
  readonly arch: Arch;
  readonly suite: string;
  readonly components: readonly string[];
  readonly include: readonly string[];
  readonly mirror: string;
  /** Length of the disk, bytes. */
  readonly size: number;
  readonly layout: DiskLayout;
}

export interface BaseDisk {
  readonly path: string;
  /** Digest of everything the disk was made from. */
  readonly key: string;
  readonly fromCache: boolean;
}

/** Raised whenever the files or steps below change what comes out. */
const RECIPE_VERSION = 7;

/** Bytes of a disk's first sector that are program. */
const BOOT_CODE = 440;

/**
 * mformat makes a partition table in the boot sector of a FAT32 and in its copy, for drives that have no other. In a partition
 * GRUB takes it for a disk of its own and warns of it dozens of times.
 */
const BOOT_SECTORS = [0, 6];
const BOOT_TABLE = 446;
const NO_TABLE = new Uint8Array(64);

/** By the disk that is made. */
const disks = new SingleFlight<BaseDisk>();

/**
 * A bootable disk of a Debian suite made on this host without root and without loop devices: mmdebstrap fills a tree,
 * `mke2fs -d` makes the root file system inside mmdebstrap's own (fake) root, where owners are right, mtools fills the ESP
 * with the distribution's signed shim and GRUB, our own GPT holds both, and on a PC GRUB for BIOS. LVM's metadata are our own
 * too. Kept in the cache by the digest of its inputs, which include the archive's Release file: a suite that moved on is built
 * anew. Several that want the same disk at once share it. A disk with LVM is made of the one without, which is kept as well.
 * @throws HostError `tool.missing`, `tool.failed`
 */
export async function composeBaseDisk(options: BaseDiskOptions, context: Context): Promise<BaseDisk> {
  const key = await inputKey(options, context);
  const folder = join(cacheFolder(), 'base');
  await makeFolder(folder);
  const cached = (layout: DiskLayout, make: MakeRaw, context: Context): Promise<BaseDisk> => {
    const final = join(folder, `${options.suite}-${options.arch}-${layout}-${key.slice(0, 24)}.qcow2`);
    return disks.run(final, '', (shared) => cachedDisk(final, key, make, shared), context);
  };
  const flat: MakeRaw = (raw, work, shared) => makeFlat({ ...options, layout: 'flat' }, key, raw, work, shared);
  if (options.layout === 'flat') return cached('flat', flat, context);
  const lvm: MakeRaw = async (raw, _work, shared) => {
    const { path } = await cached('flat', flat, shared);
    await run('qemu-img', ['convert', '-f', 'qcow2', '-O', 'raw', path, raw], shared);
    await changeLayout(raw, options, key);
  };
  return cached(options.layout, lvm, context);
}

/** Makes the raw disk; `work` is a folder for files on the way. */
type MakeRaw = (raw: string, work: string, context: Context) => Promise<void>;

/** The disk at its place in the cache, made when it is not there yet. */
async function cachedDisk(final: string, key: string, make: MakeRaw, context: Context): Promise<BaseDisk> {
  if (existsSync(final)) return { path: final, key, fromCache: true };
  await using work = await temporaryFolder('compose-base-');
  const raw = join(work.path, 'disk.raw');
  await make(raw, work.path, context);
  const partial = `${final}.partial-${process.pid}`;
  using _held = reapPath(partial);
  try {
    await run('qemu-img', ['convert', '-O', 'qcow2', '-f', 'raw', raw, partial], context);
    await rename(partial, final);
  } finally {
    await rm(partial, { force: true });
  }
  return { path: final, key, fromCache: false };
}

async function makeFlat(
  options: BaseDiskOptions,
  key: string,
  raw: string,
  work: string,
  context: Context,
): Promise<void> {
  // mmdebstrap's hook runs as another user in unshare mode and has to write here.
  await chmod(work, 0o777);
  await writeFile(raw, '', { mode: 0o666 });
  await chmod(raw, 0o666);
  await truncate(raw, options.size);
  const { layout, guid, rootUuid } = placed(options, key);
  await fillTree({ ...options, root: layout.root }, work, raw, rootUuid, context);
  await fillEsp({ arch: options.arch, esp: layout.esp, rootUuid, serial: key.slice(0, 8) }, work, raw, context);
  await writeHead(raw, { size: options.size, guid, layout }, await embeddedGrub(work, layout));
}

/** Root, ESP and GRUB for BIOS lie at the same places in every layout. */
async function changeLayout(raw: string, options: BaseDiskOptions, key: string): Promise<void> {
  const { layout, guid } = placed(options, key);
  await using file = await open(raw, 'r');
  const bootCode = new Uint8Array(BOOT_CODE);
  await file.read(bootCode, 0, bootCode.length, 0);
  await writeHead(raw, { size: options.size, guid, layout }, { bootCode });
}

function placed(options: BaseDiskOptions, key: string): { layout: BaseDiskLayout; guid: string; rootUuid: string } {
  const uuid = (name: string): string => seededUuid(key, name);
  return { layout: baseDiskLayout(options, uuid), guid: uuid('disk'), rootUuid: uuid('root') };
}

/** Of all that goes into the file systems, which are the same in every layout. */
async function inputKey({ layout: _layout, ...options }: BaseDiskOptions, context: Context): Promise<string> {
  const [mmdebstrap, mke2fs] = await Promise.all([
    run('mmdebstrap', ['--version'], context),
    run('mke2fs', ['-V'], context),
  ]);
  const inputs = {
    version: RECIPE_VERSION,
    ...options,
    include: [...options.include].sort(),
    tools: [mmdebstrap.stdout.trim(), mke2fs.stderr.split('\n', 1)[0]],
    release: await releaseDigest(options, context),
  };
  return createHash('sha256').update(JSON.stringify(inputs)).digest('hex');
}

/** Digest of the suite's Release file, which names the digest of every package. */
async function releaseDigest(options: Pick<BaseDiskOptions, 'mirror' | 'suite'>, context: Context): Promise<string> {
  const { EnvHttpProxyAgent, fetch } = await import('undici');
  const url = `${options.mirror}/dists/${options.suite}/InRelease`;
  try {
    const response = await fetch(url, { dispatcher: new EnvHttpProxyAgent(), signal: context.signal });
    if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
    return createHash('sha256')
      .update(new Uint8Array(await response.arrayBuffer()))
      .digest('hex');
  } catch (cause) {
    context.signal.throwIfAborted();
    throw new HostError('mirror.unreachable', `Cannot read the archive: ${url} cannot be fetched`, {
      hint: 'Name a mirror that has this suite with --set mirror=http://…/debian, and check the proxy settings.',
      cause,
    });
  }
}

async function fillTree(
  options: BaseDiskOptions & { readonly root: DiskRange },
  work: string,
  raw: string,
  rootUuid: string,
  context: Context,
): Promise<void> {
  const { arch, root } = options;
  const rootDevice = `UUID=${rootUuid}`;
  const hook = join(work, 'hook');
  const script = { arch, raw, offset: root.start, kibibytes: root.size / 1024, uuid: rootUuid, out: work };
  await writeFile(hook, hookScript(script), { mode: 0o755 });
  const files = {
    fstab: fstab(rootDevice),
    'grub.cfg': grubConfig(arch, rootUuid, rootDevice, ROOT_VOLUME),
    'core.cfg': coreConfig(rootUuid),
    'mke2fs.conf': MKE2FS_CONF,
  };
  for (const [name, content] of Object.entries(files)) await writeFile(join(work, name), content, { mode: 0o644 });
  const args = [
    '--variant=minbase',
    `--architectures=${arch}`,
    `--components=${options.components.join(',')}`,
    `--include=${options.include.join(',')}`,
  ];
  args.push('--aptopt=Acquire::Retries "3"', '--dpkgopt=force-unsafe-io', '--skip=cleanup/apt');
  args.push(`--customize-hook=${hook}`, options.suite, '/dev/null', options.mirror);
  // initramfs-tools makes an initrd for the kernel and another when dpkg is done; the hook makes one.
  const initrd = options.include.includes('initramfs-tools') ? { INITRD: 'No' } : {};
  const epoch = process.env.SOURCE_DATE_EPOCH ?? '1700000000';
  const env = { ...process.env, ...initrd, ...userEmulation(arch), SOURCE_DATE_EPOCH: epoch };
  const onLine = (line: string): void =>
    context.emit({ type: 'output', phase: 'acquire', stream: 'stderr', text: `${line}\n` });
  await run('mmdebstrap', args, { ...context, env, onLine });
}

async function fillEsp(
  { arch, esp, rootUuid, serial }: Pick<BaseDiskLayout, 'esp'> & { arch: Arch; rootUuid: string; serial: string },
  work: string,
  raw: string,
  context: Context,
): Promise<void> {
  const image = `${raw}@@${esp.start}`;
  const env = { ...process.env, MTOOLS_SKIP_CHECK: '1', SOURCE_DATE_EPOCH: '1700000000' };
  const mtools = (tool: string, ...args: string[]): Promise<unknown> =>
    run(tool, ['-i', image, ...args], { ...context, env });
  await mtools('mformat', '-F', '-N', serial, '-T', String(esp.size / 512), '-v', 'EFI', '::');
  await mtools('mmd', '::/EFI', '::/EFI/BOOT', '::/EFI/debian');
  const stub = join(work, 'stub.cfg');
  await writeFile(stub, grubStub(rootUuid));
  for (const [from, to] of espFiles(arch, work, stub)) await mtools('mcopy', from, `::${to}`);
  await using file = await open(raw, 'r+');
  for (const sector of BOOT_SECTORS)
    await file.write(NO_TABLE, 0, NO_TABLE.length, esp.start + sector * 512 + BOOT_TABLE);
}

/** What goes in front of the file systems so that a PC's BIOS starts GRUB; the core image is there already where it is left out. */
interface BiosStart {
  readonly bootCode: Uint8Array;
  readonly core?: Uint8Array;
}

/** GRUB for BIOS of the images that the tree has of it. */
async function embeddedGrub(work: string, { biosBoot }: BaseDiskLayout): Promise<BiosStart | undefined> {
  const [boot, core] = [join(work, 'boot.img'), join(work, 'core.img')];
  if (biosBoot === undefined || !existsSync(boot)) return undefined;
  return embedGrubBios(await readFile(boot), await readFile(core), biosBoot.start / 512, biosBoot.size);
}

/** Everything that is in no file system: partition tables, boot code, LVM's metadata. */
async function writeHead(
  raw: string,
  { size, guid, layout }: { readonly size: number; readonly guid: string; readonly layout: BaseDiskLayout },
  bios: BiosStart | undefined,
): Promise<void> {
  const { biosBoot, lvm, partitions } = layout;
  const { primary, backup } = writeGpt({
    diskSize: size,
    diskGuid: guid,
    partitions,
    ...(bios !== undefined && { bootCode: bios.bootCode }),
  });
  await using file = await open(raw, 'r+');
  await file.write(primary, 0, primary.length, 0);
  await file.write(backup.bytes, 0, backup.bytes.length, backup.position);
  if (biosBoot !== undefined && bios?.core !== undefined) {
    await file.write(bios.core, 0, bios.core.length, biosBoot.start);
  }
  if (lvm !== undefined) await file.write(lvm.head, 0, lvm.head.length, lvm.start);
}

/** A version 4 shaped UUID that depends on the inputs alone, so that the same inputs give the same disk. */
function seededUuid(key: string, name: string): string {
  const hex = createHash('sha256').update(`${key}/${name}`).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
