import { FormatError } from '../errors.ts';
import type { Iso9660, IsoEntry, IsoSource } from '../formats/iso9660-reader.ts';

const MOST_LISTED = 24;
/** Names looked at for a suggestion: an error must not take the time of a whole DVD. */
const MOST_VISITED = 4000;
const LIKELY = /(^|\/)(vmlinu[xz][^/]*|linux|bzimage|kernel|image|initrd[^/]*|initramfs[^/]*)$/i;
const decoder = new TextDecoder();

/** The entry at `path`, symlinks followed; where no name is equal, one that differs in case alone. */
export async function findOnIso<S extends IsoSource>(iso: Iso9660<S>, path: string): Promise<IsoEntry<S> | undefined> {
  const exact = await iso.lookup(path, { follow: true });
  if (exact !== undefined) return exact;
  let at = '';
  for (const part of path.split('/').filter((name) => name !== '')) {
    const names = (await iso.list(at === '' ? '/' : at)).map(({ path: full }) => baseName(full));
    const found =
      part === '.' || part === '..' || names.includes(part)
        ? part
        : names.find((name) => name.toLowerCase() === part.toLowerCase());
    if (found === undefined) return undefined;
    at += `/${found}`;
  }
  return iso.lookup(at, { follow: true });
}

/** A file's bytes in pieces of at most `step`. @throws FormatError `iso9660.truncated` */
export async function* isoFileChunks(entry: IsoEntry, what: string, step = 1024 * 1024): AsyncGenerator<Uint8Array> {
  const { data } = entry;
  if (data === undefined) return;
  const end = Math.max(data.size, ...data.extents.map(({ position, length }) => position + length));
  if (end > data.source.size) {
    throw new FormatError(
      'iso9660.truncated',
      `Cannot read ${what}: it ends at byte ${end}, and the image at ${data.source.size}`,
      { hint: 'The image was cut short or is damaged; compare it with its published checksum.' },
    );
  }
  for (const { position, length } of data.extents) {
    for (let done = 0; done < length; done += step) {
      const bytes = new Uint8Array(Math.min(step, length - done));
      await data.source.read(position + done, bytes);
      yield bytes;
    }
  }
}

/** What is in the root of an ISO, directories with a slash, for a message. */
export async function rootNames(iso: Iso9660): Promise<string[]> {
  const names = (await iso.list('/')).map(({ path, kind }) => baseName(path) + (kind === 'directory' ? '/' : ''));
  const more = names.length - MOST_LISTED;
  return more > 0 ? [...names.slice(0, MOST_LISTED), `and ${more} more`] : names;
}

/** Files whose names are those of kernels and initrds. */
export async function likelyBootFiles(iso: Iso9660): Promise<string[]> {
  const found: string[] = [];
  let visited = 0;
  for await (const { path, kind } of iso.entries()) {
    if (++visited > MOST_VISITED || found.length === MOST_LISTED) break;
    const name = `/${decoder.decode(path)}`;
    if (kind === 'file' && LIKELY.test(name)) found.push(name);
  }
  return found;
}

function baseName(path: Uint8Array): string {
  return decoder.decode(path.subarray(path.lastIndexOf(0x2f) + 1));
}
