import type { DiskName } from './disk.ts';

interface Kind {
  /** compose's own. */
  readonly flags: string;
  /** End of the name of the file it makes. */
  readonly suffix: string;
  /** How often it is run: the best run counts, slow ones have one. */
  readonly runs: number;
  /** @default 'usual' */
  readonly disk?: DiskName;
}

/** What is compared. */
export const KINDS = {
  tgz: { flags: '--format tgz', suffix: 'tar.gz', runs: 3 },
  'tgz-server': { flags: '--format tgz', suffix: 'tar.gz', runs: 4, disk: 'server' },
  ddgz: { flags: '--format ddgz', suffix: 'dd.gz', runs: 3 },
  'ddgz-small': { flags: '--format ddgz', suffix: 'dd.gz', runs: 3, disk: 'small' },
  'ddgz-100g': { flags: '--format ddgz', suffix: 'dd.gz', runs: 3 },
  'tgz-zlib': { flags: '--format tgz --engine zlib', suffix: 'tar.gz', runs: 2 },
  txz: { flags: '--format txz', suffix: 'tar.xz', runs: 1 },
  tbz: { flags: '--format tbz', suffix: 'tar.bz2', runs: 1 },
} as const satisfies Readonly<Record<string, Kind>>;

/** A kind whose disk is that of the others in a larger virtual disk. */
export const LARGE = { kind: 'ddgz-100g', beside: 'ddgz', size: '100G' } as const;

export type BenchKind = keyof typeof KINDS;

export function diskOf(kind: BenchKind): DiskName {
  const { disk = 'usual' }: Kind = KINDS[kind];
  return disk;
}

/**
 * The ways people pack a disk today, each as one bash script. `DISK` is the qcow2, `PART` the number of its root
 * partition, `MNT` that partition mounted read-only by the kernel, with the EFI system partition's files in it, `MOUNTED` a
 * folder with these alone, `TMP` an empty folder, `OUT` the file to make.
 */
export interface Rival {
  readonly id: string;
  readonly title: string;
  readonly kind: BenchKind;
  readonly script: string;
  readonly packages: readonly string[];
  /** Runs that are worth their time; the slow chain is run once. */
  readonly runs: number;
  /** It writes the milliseconds it took into `$TMP/ms`, its preparation not counted. */
  readonly timesItself?: boolean;
}

/** compose with other flags, as a rival of itself. */
const COMPOSE = (flags: string): string => `
node "$CLI" pack "$DISK" --no-seal --format tgz ${flags} --name other --out "$OUT.d" --log plain
mv "$OUT.d/other.tar.gz" "$OUT"
rm -r "$OUT.d"
`;

const TAR = `tar --numeric-owner --xattrs --xattrs-include='*' --acls --selinux -Sc`;

/**
 * The chain packer-maas uses: the disk served by qemu-nbd, a partition cut out of it by nbdkit, shown as a file by
 * nbdfuse, mounted by fuse2fs, archived by tar, compressed in a second pass by pigz. Its fixed wait of five seconds for
 * qemu-nbd is replaced by watching for the socket, in the rival's favour; it packs the root partition alone, so the files of
 * the EFI system partition are given to it, that both archives have the same content.
 */
const FUSE_CHAIN = `
mkdir "$TMP/part" "$TMP/root"
release() {
  umount -l "$TMP/root" || true
  umount -l "$TMP/part" || true
  kill $(jobs -p) 2>/dev/null || true
  wait || true
}
trap release EXIT
qemu-nbd --read-only --shared=10 --socket="$TMP/nbd.sock" --format=qcow2 "$DISK" &
until [ -S "$TMP/nbd.sock" ]; do sleep 0.05; done
nbdfuse --readonly "$TMP/part/nbd" --command nbdkit -s nbd socket="$TMP/nbd.sock" --filter=partition partition="$PART" &
until [ -f "$TMP/part/nbd" ]; do sleep 0.05; done
fuse2fs "$TMP/part/nbd" "$TMP/root" -o fakeroot,ro
tar -Sp --acls --selinux --xattrs --one-file-system -cf "$TMP/out.tar" -C "$TMP/root" . -C "$MOUNTED" .
pigz --best --force "$TMP/out.tar"
mv "$TMP/out.tar.gz" "$OUT"
`;

const BARE = `
node "$CLI" pack "$DISK" --no-seal --format tgz --name bare --out "$TMP/bare" --log plain
zcat "$TMP/bare/bare.tar.gz" > "$TMP/bare.tar"
node "$BARE" "$TMP/bare.tar" "$OUT" > "$TMP/ms"
`;

/** Of the kernel's own mount; what most people do. */
const tarPigz = (id: string, kind: BenchKind, runs = 2): Rival => ({
  id,
  title: 'tar | pigz -6 (mounted by the kernel, as root)',
  kind,
  script: `${TAR} -C "$MNT" . | pigz -6 > "$OUT"`,
  packages: ['tar', 'pigz'],
  runs,
});

const convertPigz = (id: string, kind: BenchKind): Rival => ({
  id,
  title: 'qemu-img convert, then pigz -6',
  kind,
  script: CONVERT_PIGZ,
  packages: ['qemu-utils', 'pigz'],
  runs: 2,
});

const bare = (id: string, kind: BenchKind): Rival => ({
  id,
  title: 'bare libdeflate workers on the same bytes in memory, nothing read or written',
  kind,
  script: BARE,
  packages: ['libdeflate0'],
  runs: 4,
  timesItself: true,
});

const CONVERT_PIGZ = 'qemu-img convert -O raw "$DISK" "$TMP/disk.raw" && pigz -6 -c "$TMP/disk.raw" > "$OUT"';

export const RIVALS: readonly Rival[] = [
  {
    id: 'tar-gzip',
    title: 'tar | gzip (mounted by the kernel, as root)',
    kind: 'tgz',
    script: `${TAR} -C "$MNT" . | gzip -6 > "$OUT"`,
    packages: ['tar', 'gzip'],
    runs: 1,
  },
  tarPigz('tar-pigz', 'tgz'),
  {
    id: 'fuse-chain',
    title: 'FUSE chain of packer-maas (tar, then pigz --best)',
    kind: 'tgz',
    script: FUSE_CHAIN,
    packages: ['qemu-utils', 'nbdkit', 'libnbd-bin', 'fuse2fs', 'tar', 'pigz'],
    runs: 1,
  },
  bare('bare', 'tgz'),
  { id: 'fast', title: 'compose --fast', kind: 'tgz', script: COMPOSE('--fast'), packages: ['libisal2'], runs: 2 },
  { id: 'small', title: 'compose --small', kind: 'tgz', script: COMPOSE('--small'), packages: [], runs: 1 },
  tarPigz('server-tar-pigz', 'tgz-server', 1),
  bare('server-bare', 'tgz-server'),
  tarPigz('zlib-tar-pigz', 'tgz-zlib'),
  convertPigz('convert-pigz', 'ddgz'),
  convertPigz('convert-pigz-small', 'ddgz-small'),
  {
    id: 'tar-xz',
    title: 'tar | xz -6 with a thread a core (mounted by the kernel, as root)',
    kind: 'txz',
    script: `${TAR} -C "$MNT" . | xz -6 -T"$(nproc)" > "$OUT"`,
    packages: ['tar', 'xz-utils'],
    runs: 1,
  },
  {
    id: 'tar-pbzip2',
    title: 'tar | pbzip2 (mounted by the kernel, as root)',
    kind: 'tbz',
    script: `${TAR} -C "$MNT" . | pbzip2 -c > "$OUT"`,
    packages: ['tar', 'pbzip2'],
    runs: 1,
  },
  {
    id: 'tar-lbzip2',
    title: 'tar | lbzip2 (mounted by the kernel, as root)',
    kind: 'tbz',
    script: `${TAR} -C "$MNT" . | lbzip2 -c > "$OUT"`,
    packages: ['tar', 'lbzip2'],
    runs: 1,
  },
];
