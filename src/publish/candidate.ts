import { open, readdir, readFile, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { PublishError, UsageError } from '../errors.ts';
import type { Context } from '../events.ts';
import { fileDigest } from '../host/download.ts';
import { fileProblem } from '../host/file-problem.ts';
import { FILE_TYPES, type FileType, parseFileTypes } from '../pack/filetypes.ts';
import { checkFields, type ImageFields } from './image-rules.ts';

/** An artifact that may be uploaded. */
export interface Candidate extends ImageFields {
  readonly path: string;
  readonly file: string;
  readonly size: number;
  /** What its record says of it; undefined without a record. */
  readonly recordedSha256: string | undefined;
}

/** A candidate whose bytes are known. */
export interface Hashed extends Candidate {
  readonly sha256: string;
}

/** What a caller says of an image, before what its record says. */
export type Overrides = Partial<Omit<ImageFields, 'filetype'>> & { readonly filetypes?: readonly string[] };

interface RecordFile {
  readonly name?: unknown;
  readonly title?: unknown;
  readonly architecture?: unknown;
  readonly base_image?: unknown;
  readonly filetype?: unknown;
  readonly sha256?: unknown;
  readonly size?: unknown;
}

const RECORD = '.maas.json';

/**
 * The artifacts at `paths`, each with the record that `compose build` and `compose pack` write beside it where there is one.
 * Of a folder, those with a record; `filetypes` chooses among them.
 * @throws PublishError `publish.record`, `publish.changed`, `publish.content`, `publish.same-name`, those of the rules;
 *   UsageError `publish.no-artifact`, `publish.one-name`
 */
export async function readCandidates(paths: readonly string[], overrides: Overrides): Promise<Candidate[]> {
  const wanted = overrides.filetypes === undefined ? undefined : parseFileTypes(overrides.filetypes);
  const candidates: Candidate[] = [];
  for (const path of paths) {
    const info = await stat(path).catch((cause: NodeJS.ErrnoException) => {
      throw noArtifact(path, fileProblem(cause), cause);
    });
    if (!info.isDirectory()) {
      candidates.push(await candidate(path.endsWith(RECORD) ? path.slice(0, -RECORD.length) : path, overrides, wanted));
      continue;
    }
    const records = (await readdir(path)).filter((name) => name.endsWith(RECORD)).sort();
    const found: Candidate[] = [];
    for (const name of records) {
      const file = join(path, name.slice(0, -RECORD.length));
      const { filetype } = (await readRecord(file)) ?? {};
      if (wanted !== undefined && !wanted.includes(filetype as FileType)) continue;
      found.push(await candidate(file, overrides, undefined));
    }
    if (found.length === 0) {
      const which = wanted === undefined ? 'no artifact with a record' : `no ${wanted.join(' or ')} with a record`;
      throw new UsageError('publish.no-artifact', `Cannot publish what is in ${path}: there is ${which}`, {
        hint: `A folder's artifacts are those with a record beside them (NAME${RECORD}). Name a file instead.`,
      });
    }
    candidates.push(...found);
  }
  checkNames(candidates, overrides);
  return candidates;
}

function noArtifact(path: string, why: string, cause?: unknown): UsageError {
  return new UsageError('publish.no-artifact', `Cannot publish ${path}: ${why}`, { cause });
}

function checkNames(candidates: readonly Candidate[], overrides: Overrides): void {
  if (candidates.length > 1 && overrides.name !== undefined) {
    throw new UsageError('publish.one-name', `Cannot give one name to ${candidates.length} images`, {
      hint: 'Upload them one at a time.',
    });
  }
  const seen = new Map<string, string>();
  for (const { name, architecture, file } of candidates) {
    const other = seen.get(`${name} ${architecture}`);
    if (other !== undefined) {
      throw new PublishError('publish.same-name', `Cannot publish ${other} and ${file}: both are "${name}" in MAAS`, {
        hint: 'Choose one with --filetype, or upload them one at a time with --name.',
      });
    }
    seen.set(`${name} ${architecture}`, file);
  }
}

async function candidate(path: string, overrides: Overrides, wanted: FileType[] | undefined): Promise<Candidate> {
  const file = basename(path);
  const info = await stat(path).catch((cause: NodeJS.ErrnoException) => {
    throw noArtifact(path, fileProblem(cause), cause);
  });
  if (!info.isFile() || info.size === 0) {
    throw noArtifact(path, info.isFile() ? 'it is empty' : 'it is no file');
  }
  const record = (await readRecord(path)) ?? {};
  const said = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined);
  const name = overrides.name ?? said(record.name);
  if (name === undefined) {
    throw new PublishError('publish.name', `Cannot publish ${file}: it has no record and no name`, {
      hint: `Name it with --name, and what else MAAS is told: --title, --base-image. A record is ${file}${RECORD}.`,
    });
  }
  const filetype = wanted?.[0] ?? said(record.filetype) ?? typeByName(file);
  if (filetype === undefined || !Object.hasOwn(FILE_TYPES, filetype)) {
    throw new PublishError('publish.filetype', `Cannot publish ${file}: it is not said what kind of file it is`, {
      hint: `Name it with --filetype: ${Object.keys(FILE_TYPES).join(', ')}.`,
    });
  }
  const fields = checkFields(
    {
      name,
      title: overrides.title ?? said(record.title) ?? name,
      architecture: overrides.architecture ?? said(record.architecture) ?? 'amd64/generic',
      baseImage: overrides.baseImage ?? said(record.base_image) ?? '',
      filetype: filetype as FileType,
    },
    file,
  );
  if (typeof record.size === 'number' && record.size !== info.size) throw changed(file);
  await checkContent(path, fields.filetype);
  return { ...fields, path: resolve(path), file, size: info.size, recordedSha256: said(record.sha256) };
}

/** The candidate with its digest, which is that of its record where there is one. @throws PublishError `publish.changed` */
export async function hashCandidate(candidate: Candidate, context: Context): Promise<Hashed> {
  const sha256 = await fileDigest(candidate.path, 'sha256', context);
  const { recordedSha256: recorded } = candidate;
  if (recorded !== undefined && recorded.toLowerCase() !== sha256) throw changed(candidate.file);
  return { ...candidate, sha256 };
}

function changed(file: string): PublishError {
  return new PublishError('publish.changed', `Cannot publish ${file}: it is not the file its record tells of`, {
    hint: `Build or pack it again, or remove ${file}${RECORD} and say what it is with --name and so on.`,
  });
}

async function readRecord(path: string): Promise<RecordFile | undefined> {
  const text = await readFile(`${path}${RECORD}`, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return undefined;
    throw new PublishError('publish.record', `Cannot read ${path}${RECORD}: ${fileProblem(cause)}`, { cause });
  });
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as RecordFile;
  } catch (cause) {
    throw new PublishError('publish.record', `Cannot read ${path}${RECORD}: it is no JSON`, {
      hint: 'Remove it, and say --name, --title, --architecture, --base-image and --filetype.',
      cause,
    });
  }
}

/** The kind whose suffix, longest first, the name ends with. */
function typeByName(file: string): FileType | undefined {
  const types = Object.entries(FILE_TYPES).sort(([, a], [, b]) => b.suffix.length - a.suffix.length);
  return types.find(([, { suffix }]) => file.endsWith(`.${suffix}`))?.[0] as FileType | undefined;
}

const MAGIC = { gzip: '1f8b', bzip2: '425a68', xz: 'fd377a585a00' } as const;

/** MAAS opens no file it is given: a wrong kind would be found by the machine that deploys it. */
async function checkContent(path: string, filetype: FileType): Promise<void> {
  const { compression } = FILE_TYPES[filetype];
  if (compression === 'none') return;
  await using file = await open(path);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(6), 0, 6, 0);
  if (buffer.subarray(0, bytesRead).toString('hex').startsWith(MAGIC[compression])) return;
  throw new PublishError(
    'publish.content',
    `Cannot publish ${basename(path)}: it is no ${filetype}, not being ${compression}`,
    {
      hint: 'Name what it is with --filetype.',
    },
  );
}
