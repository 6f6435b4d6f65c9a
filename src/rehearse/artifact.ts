import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { isComposeError, UsageError } from '../errors.ts';
import type { Context } from '../events.ts';
import { readTar } from '../formats/tar/reader.ts';
import { decompress } from '../host/decompress.ts';
import { fileProblem } from '../host/file-problem.ts';
import type { Arch } from '../machine/arch.ts';
import { FILE_TYPES, type FileType, parseFileTypes } from '../pack/filetypes.ts';
import { type Failure, failure } from './failure.ts';

/** An artifact and what MAAS would be told about it. */
export interface RehearsedArtifact {
  readonly path: string;
  readonly filetype: FileType;
  readonly arch: Arch;
  readonly name: string;
  /** Bytes of the file. */
  readonly size: number;
  /** What `base_image` begins with; MAAS's commissioning release is an Ubuntu where none is given. */
  readonly baseOs: string;
  /** Whether it is an image of one's own, of which MAAS asks that cloud-init and netplan work. */
  readonly custom: boolean;
  /** Of `<artifact>.maas.json`, where there is one. */
  readonly sha256: string | undefined;
}

export interface ArtifactFlags {
  readonly path: string;
  readonly filetype?: string | undefined;
  readonly arch?: Arch | undefined;
  readonly baseImage?: string | undefined;
}

/** By the longest suffix: `.dd.tar.gz` is no `.tar.gz`. */
const BY_SUFFIX = Object.entries(FILE_TYPES)
  .map(([type, { suffix }]) => [`.${suffix}`, type as FileType] as const)
  .sort(([a], [b]) => b.length - a.length);

const CUSTOM_FREE = /^(?:windows|esxi|ubuntu-core|centos|rhel|ol|suse|ubuntu)\//;

/**
 * What is at `path`, by the flags, by the record beside it, by its name, in that order.
 * @throws UsageError `rehearse.artifact`, `rehearse.filetype`, `filetype.unknown`
 */
export async function describeArtifact(flags: ArtifactFlags): Promise<RehearsedArtifact> {
  const { path } = flags;
  const info = await stat(path).catch((cause: Error) => {
    throw new UsageError('rehearse.artifact', `Cannot rehearse ${path}: ${fileProblem(cause)}`, { cause });
  });
  if (!info.isFile()) throw new UsageError('rehearse.artifact', `Cannot rehearse ${path}: it is no file`);
  const record = await readRecord(`${path}.maas.json`);
  const named = flags.filetype ?? record.filetype;
  const filetype = named === undefined ? bySuffix(path) : parseFileTypes([named])[0];
  if (filetype === undefined) {
    throw new UsageError('rehearse.filetype', `Cannot rehearse ${path}: its name tells no filetype of MAAS`, {
      hint: 'Say what it is with --filetype tgz, ddgz or another of MAAS.',
    });
  }
  const name = record.name ?? basename(path);
  const base = flags.baseImage ?? record.base_image ?? '';
  const arch = flags.arch ?? (record.architecture?.startsWith('arm64/') ? 'arm64' : 'amd64');
  return {
    path,
    filetype,
    arch,
    name,
    size: info.size,
    baseOs: base.split('/', 1)[0] || 'ubuntu',
    custom: !CUSTOM_FREE.test(name),
    sha256: record.sha256,
  };
}

type Recorded = Partial<Record<'filetype' | 'name' | 'base_image' | 'architecture' | 'sha256', string>>;

async function readRecord(path: string): Promise<Recorded> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) return {};
  try {
    const json = JSON.parse(text) as Record<string, unknown>;
    return Object.fromEntries(Object.entries(json).filter(([, value]) => typeof value === 'string')) as Recorded;
  } catch (cause) {
    throw new UsageError('rehearse.record', `Cannot read ${path}: it is no JSON`, {
      hint: 'Remove it, and say --filetype, --arch and --base-image where they are not the usual ones.',
      cause,
    });
  }
}

function bySuffix(path: string): FileType | undefined {
  if (path.endsWith('.tgz')) return 'tgz';
  return BY_SUFFIX.find(([suffix]) => path.endsWith(suffix))?.[1];
}

/** Bytes it decompresses to, or why it cannot be deployed: curtin's pipelines do not notice an archive that ends early. */
export async function readToEnd(artifact: RehearsedArtifact, context: Context): Promise<number | Failure> {
  const { path, filetype, sha256 } = artifact;
  const { content, compression } = FILE_TYPES[filetype];
  const damaged = (why: string): Failure =>
    failure('artifact', 'rehearse.artifact-damaged', `${basename(path)} ${why}`, {
      hint: 'Compare it with SHA256SUMS; build or copy it again. curtin itself would go on with half an image.',
    });
  if (sha256 !== undefined && (await digest(path, context)) !== sha256) {
    return damaged('is not the file its record describes (sha256)');
  }
  let bytes = 0;
  const counted = async function* (): AsyncGenerator<Uint8Array> {
    const source = compression === 'none' ? createReadStream(path) : decompress(path, compression);
    for await (const chunk of source) {
      context.signal.throwIfAborted();
      bytes += (chunk as Uint8Array).length;
      yield chunk as Uint8Array;
    }
  };
  try {
    let members = 0;
    if (content === 'disk') for await (const _ of counted());
    else for await (const _ of readTar(counted())) members++;
    if (content === 'disk-in-tar' && members !== 1) return damaged(`holds ${members} files where one disk belongs`);
    if (bytes === 0) return damaged('is empty');
    return bytes;
  } catch (error) {
    context.signal.throwIfAborted();
    if (!isComposeError(error)) throw error;
    return damaged(`cannot be read to its end: ${error.message}`);
  }
}

async function digest(path: string, { signal }: Context): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024, signal })) hash.update(chunk);
  return hash.digest('hex');
}
