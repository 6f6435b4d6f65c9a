import { FormatError } from '../errors.ts';
import { hasQcow2Magic } from '../formats/qcow2-header.ts';
import type { HostFile } from './host-file.ts';

/** Formats QEMU reads where compose does not itself. `vhd` is what QEMU calls vpc. */
export type ServedFormat = 'vmdk' | 'vhdx' | 'vhd' | 'vdi';
export type DiskFormat = 'raw' | 'qcow2' | ServedFormat;

/** As people write them. */
export const FORMAT_NAMES: Readonly<Record<DiskFormat, string>> = {
  raw: 'raw',
  qcow2: 'qcow2',
  vmdk: 'VMDK',
  vhdx: 'VHDX',
  vhd: 'VHD',
  vdi: 'VDI',
};
export const DISK_FORMATS = Object.keys(FORMAT_NAMES) as readonly DiskFormat[];

/** Bytes from the beginning of a file, and from its end, that are looked at. */
const HEAD = 512;
const TAIL = 512;

interface Signature {
  readonly text: string;
  readonly at: number;
  /** The format, where it is one compose reads. */
  readonly format?: ServedFormat;
  readonly name: string;
  /** What turns it into something compose reads, where it is not. */
  readonly remedy: 'convert' | 'unpack';
}

const HEAD_SIGNATURES: readonly Signature[] = [
  { text: 'KDMV', at: 0, format: 'vmdk', name: 'VMDK', remedy: 'convert' },
  { text: 'COWD', at: 0, format: 'vmdk', name: 'VMDK', remedy: 'convert' },
  { text: '# Disk DescriptorFile', at: 0, format: 'vmdk', name: 'VMDK', remedy: 'convert' },
  { text: 'vhdxfile', at: 0, format: 'vhdx', name: 'VHDX', remedy: 'convert' },
  { text: 'conectix', at: 0, format: 'vhd', name: 'VHD', remedy: 'convert' },
  { text: '\x7f\x10\xda\xbe', at: 64, format: 'vdi', name: 'VDI', remedy: 'convert' },
  { text: 'QED\0', at: 0, name: 'QED', remedy: 'convert' },
  { text: 'WithoutFreeSpace', at: 0, name: 'Parallels', remedy: 'convert' },
  { text: 'WithouFreSpacExt', at: 0, name: 'Parallels', remedy: 'convert' },
  { text: 'LUKS\xba\xbe', at: 0, name: 'LUKS', remedy: 'convert' },
  { text: '\x1f\x8b\x08', at: 0, name: 'gzip', remedy: 'unpack' },
  { text: '\xfd7zXZ\0', at: 0, name: 'xz', remedy: 'unpack' },
  { text: 'BZh', at: 0, name: 'bzip2', remedy: 'unpack' },
  { text: '\x28\xb5\x2f\xfd', at: 0, name: 'zstd', remedy: 'unpack' },
  { text: 'PK\x03\x04', at: 0, name: 'zip', remedy: 'unpack' },
];
/** Formats that end in a footer; a fixed VHD is a raw disk but for it. */
const TAIL_SIGNATURES: readonly Signature[] = [
  { text: 'conectix', at: 0, format: 'vhd', name: 'VHD', remedy: 'convert' },
  { text: 'koly', at: 0, name: 'DMG', remedy: 'convert' },
];

/**
 * The format of `file` by its magic numbers; raw when it has none.
 * @throws FormatError `disk.unsupported-format` for an image or a compressed file of another known format
 */
export async function detectFormat(file: HostFile): Promise<DiskFormat> {
  const head = await part(file, 0, HEAD);
  if (hasQcow2Magic(head)) return 'qcow2';
  const tail = await part(file, file.size - TAIL, TAIL);
  const known = find(HEAD_SIGNATURES, head) ?? find(TAIL_SIGNATURES, tail);
  if (known === undefined) return 'raw';
  if (known.format === undefined) throw unsupported(file.path, known);
  return known.format;
}

function find(signatures: readonly Signature[], bytes: Uint8Array): Signature | undefined {
  return signatures.find(({ text, at }) =>
    Array.from(text).every((character, index) => bytes[at + index] === character.charCodeAt(0)),
  );
}

async function part(file: HostFile, position: number, length: number): Promise<Uint8Array> {
  const start = Math.max(0, position);
  const bytes = new Uint8Array(Math.max(0, Math.min(length, file.size - start)));
  await file.read(start, bytes);
  return bytes;
}

function unsupported(path: string, { name, remedy }: Signature): FormatError {
  const hint =
    remedy === 'convert'
      ? `Convert it first: \`qemu-img convert -O qcow2 ${path} disk.qcow2\`. If it is a raw disk that only looks like ${name}, say that its format is raw.`
      : 'Unpack it first, and give the disk image that was in it.';
  return new FormatError(
    'disk.unsupported-format',
    `Cannot read the disk: it is ${name}, which compose does not read (${path})`,
    {
      hint,
      evidence: { file: path, format: name },
    },
  );
}
