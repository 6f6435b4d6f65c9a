/** A guest's tar stream unpacked into a new folder of this host. Its names and links are a stranger's. */
import { createHash } from 'node:crypto';
import { link, mkdir, open, symlink, utimes } from 'node:fs/promises';
import { ProvisionError } from '../errors.ts';
import { readTar, type TarEntry } from '../formats/tar/reader.ts';
import type { TransferOptions } from './transfer.ts';

export interface UntarResult {
  /** SHA-256 of each file, also of each further name of one. */
  readonly digests: readonly string[];
  readonly bytes: number;
  readonly skipped: readonly string[];
}

/** Names that one archive may bring: each costs memory here. */
const MOST_ENTRIES = 2_000_000;
const SLASH = Buffer.from('/');

/**
 * Unpacks into `folder`, which is empty. Every folder on a file's way is one made here, so no symbolic link of the archive
 * is ever followed; set-id bits and owners are left out.
 * @throws ProvisionError `download.unsafe`; FormatError for a damaged archive
 */
export async function untar(
  chunks: AsyncIterable<Uint8Array>,
  folder: string,
  onProgress?: TransferOptions['onProgress'],
): Promise<UntarResult> {
  const work = new Unpacking(Buffer.from(folder), onProgress);
  for await (const entry of readTar(chunks)) await work.take(entry);
  await work.finish();
  return work;
}

class Unpacking implements UntarResult {
  readonly digests: string[] = [];
  readonly skipped: string[] = [];
  bytes = 0;
  readonly #root: Buffer;
  readonly #onProgress: TransferOptions['onProgress'];
  /** What is there by now, relative paths as latin1: folders, the digest of files, or a link. */
  readonly #made = new Map<string, 'folder' | 'link' | { readonly sha256: string }>();
  readonly #times: { path: Buffer; mtime: number; mode: number }[] = [];

  constructor(root: Buffer, onProgress: TransferOptions['onProgress']) {
    this.#root = root;
    this.#onProgress = onProgress;
  }

  async take(entry: TarEntry): Promise<void> {
    const parts = partsOf(entry.name);
    const key = parts.join('/');
    if (this.#made.size > MOST_ENTRIES) throw unsafe(entry.name, `it has over ${MOST_ENTRIES} names`);
    if (parts.length === 0) return;
    await this.#parents(parts, entry);
    const there = this.#made.get(key);
    if (there !== undefined && !(there === 'folder' && entry.type === 'directory')) {
      throw unsafe(entry.name, 'it names a file twice');
    }
    const path = this.#path(parts);
    switch (entry.type) {
      case 'directory':
        if (there === undefined) await mkdir(path);
        this.#made.set(key, 'folder');
        this.#times.push({ path, mtime: seconds(entry), mode: entry.mode });
        return;
      case 'symlink':
        await symlink(Buffer.from(entry.linkName ?? []), path);
        this.#made.set(key, 'link');
        return;
      case 'hardLink':
        return this.#hardLink(entry, path, key);
      case 'file':
        this.#made.set(key, { sha256: await this.#file(entry, path) });
        return;
      default:
        this.skipped.push(Buffer.from(entry.name).toString());
    }
  }

  async finish(): Promise<void> {
    for (const { path, mtime } of this.#times.reverse()) await utimes(path, mtime, mtime);
  }

  #path(parts: readonly string[]): Buffer {
    return Buffer.concat([this.#root, ...parts.flatMap((part) => [SLASH, Buffer.from(part, 'latin1')])]);
  }

  async #parents(parts: readonly string[], entry: TarEntry): Promise<void> {
    for (let depth = 1; depth < parts.length; depth++) {
      const key = parts.slice(0, depth).join('/');
      const there = this.#made.get(key);
      if (there === 'folder') continue;
      if (there !== undefined) throw unsafe(entry.name, 'its folder is no folder');
      await mkdir(this.#path(parts.slice(0, depth)));
      this.#made.set(key, 'folder');
    }
  }

  async #hardLink(entry: TarEntry, path: Buffer, key: string): Promise<void> {
    const target = partsOf(entry.linkName ?? new Uint8Array());
    const there = this.#made.get(target.join('/'));
    if (there === undefined || typeof there === 'string')
      throw unsafe(entry.name, 'it links to no file of the archive');
    await link(this.#path(target), path);
    this.#made.set(key, there);
    this.digests.push(there.sha256);
  }

  async #file(entry: TarEntry, path: Buffer): Promise<string> {
    const hash = createHash('sha256');
    if (entry.sparse !== undefined) throw unsafe(entry.name, 'it is stored with holes');
    // A new file, never what a link points to.
    const file = await open(path, 'wx', entry.mode & 0o777);
    try {
      for await (const chunk of entry.body()) {
        hash.update(chunk);
        this.bytes += chunk.length;
        await file.writeFile(chunk);
        this.#onProgress?.(this.bytes, undefined);
      }
      await file.utimes(seconds(entry), seconds(entry));
    } finally {
      await file.close();
    }
    const digest = hash.digest('hex');
    this.digests.push(digest);
    return digest;
  }
}

/** The components of a name, each a byte a character. @throws ProvisionError `download.unsafe` */
function partsOf(name: Uint8Array): string[] {
  const text = Buffer.from(name.buffer, name.byteOffset, name.length).toString('latin1');
  if (text.startsWith('/') || text.includes('\0')) throw unsafe(name, 'its name is no relative path');
  const parts = text.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw unsafe(name, 'its name leads outside');
  return parts;
}

/** Times that a file system here can hold. */
function seconds(entry: TarEntry): number {
  const value = Number(entry.mtime) / 1e9;
  return value > 0 && value < 2 ** 40 ? value : 0;
}

function unsafe(name: Uint8Array, why: string): ProvisionError {
  const shown = Buffer.from(name).toString().slice(0, 200);
  return new ProvisionError('download.unsafe', `Cannot take "${shown}" from the guest: ${why}`, {
    hint: 'The guest made an archive that no tar makes of a folder; look at what runs in it.',
  });
}
