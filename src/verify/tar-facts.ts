/** What an archive is like beside the tree in it: what GNU tar would trip over when curtin has it unpack the archive. */
import type { Member } from './member.ts';

/** Names of one kind: how many there are, and the first of them. */
export interface Names {
  readonly count: number;
  readonly first: readonly string[];
}

export interface TarFacts {
  readonly members: number;
  /** With `..` in them. */
  readonly dotDot: Names;
  readonly absolute: Names;
  /** Longer than Linux opens. */
  readonly long: Names;
  /** Hard links whose target comes later, or never. */
  readonly lateLinks: Names;
  /** Hard links between places that a storage layout may put on file systems of their own. */
  readonly crossingLinks: Names;
  /** Directories and files where a symbolic link was before, and names that come again as something else. */
  readonly replaced: Names;
  /** Members below a symbolic link with an absolute target. */
  readonly beneathLinks: Names;
  /** In boot/efi, what a FAT cannot hold. */
  readonly efi: Names;
  /** With attributes in records that are passed over, and nowhere else. */
  readonly lostXattrs: Names;
  /** The entry of the root itself, where there is one. */
  readonly root: { readonly mode: number; readonly uid: number; readonly gid: number } | undefined;
}

/** As many names as a person reads. */
const SHOWN = 10;
/** PATH_MAX without the NUL. */
const LONGEST_PATH = 4095;
/** Where file systems are mounted before a tar is unpacked, longest first; /usr only moves with the root. */
const MOUNT_POINTS = ['boot/efi', 'boot', 'home', 'opt', 'srv', 'tmp', 'var'];

class Listing implements Names {
  count = 0;
  readonly first: string[] = [];

  add(name: string): void {
    this.count++;
    if (this.first.length < SHOWN) this.first.push(name);
  }
}

/** Looks at members in their order, because order is what matters. */
export class TarChecks {
  readonly #types = new Map<string, Member['type']>();
  /** Symbolic links with absolute targets, by path. */
  readonly #absoluteLinks = new Set<string>();
  readonly #found = {
    dotDot: new Listing(),
    absolute: new Listing(),
    long: new Listing(),
    lateLinks: new Listing(),
    crossingLinks: new Listing(),
    replaced: new Listing(),
    beneathLinks: new Listing(),
    efi: new Listing(),
    lostXattrs: new Listing(),
  };
  #members = 0;
  #root: TarFacts['root'];

  take(member: Member): void {
    this.#members++;
    const { name, path, type, mode, uid, gid } = member;
    const found = this.#found;
    if (path === '') this.#root = { mode, uid, gid };
    if (name.startsWith('/')) found.absolute.add(name);
    if (name.split('/').includes('..')) found.dotDot.add(name);
    if (Buffer.byteLength(name) > LONGEST_PATH) found.long.add(`${name.slice(0, 80)}…`);
    if (this.#isBeneathLink(path)) found.beneathLinks.add(path);
    if (type === 'hardLink') this.#takeLink(member);
    if (path.startsWith('boot/efi/') && (uid !== 0 || gid !== 0 || (type !== 'file' && type !== 'directory'))) {
      found.efi.add(path);
    }
    this.#takeType(path, type);
    if (type === 'symlink' && (member.link ?? '').startsWith('/')) this.#absoluteLinks.add(path);
    if (lacksXattrs(member)) found.lostXattrs.add(path);
  }

  #takeLink({ path, link = '' }: Member): void {
    if (!this.#types.has(link)) this.#found.lateLinks.add(`${path} → ${link}`);
    else if (mountOf(path) !== mountOf(link)) this.#found.crossingLinks.add(`${path} → ${link}`);
  }

  #takeType(path: string, type: Member['type']): void {
    const before = this.#types.get(path);
    const now = type === 'hardLink' ? 'file' : type;
    if (before !== undefined && before !== now) this.#found.replaced.add(`${path} (${before}, then ${now})`);
    this.#types.set(path, now);
  }

  #isBeneathLink(path: string): boolean {
    if (this.#absoluteLinks.size === 0) return false;
    for (let slash = path.indexOf('/'); slash > 0; slash = path.indexOf('/', slash + 1)) {
      if (this.#absoluteLinks.has(path.slice(0, slash))) return true;
    }
    return false;
  }

  facts(): TarFacts {
    return { members: this.#members, ...this.#found, root: this.#root };
  }
}

/** `SCHILY.xattr.` is what curtin's flags restore; the twins of other tools beside it do no harm. */
function lacksXattrs({ otherXattrs, xattrs }: Member): boolean {
  if (otherXattrs.length === 0) return false;
  const names = new Set(xattrs.map(({ name }) => Buffer.from(name).toString('latin1')));
  return otherXattrs.some((key) => {
    if (key.startsWith('RHT.')) return !names.has(key.slice('RHT.'.length));
    if (key.startsWith('LIBARCHIVE.xattr.')) return !names.has(key.slice('LIBARCHIVE.xattr.'.length));
    return !names.has(key.endsWith('default') ? 'system.posix_acl_default' : 'system.posix_acl_access');
  });
}

function mountOf(path: string): string {
  return MOUNT_POINTS.find((point) => path === point || path.startsWith(`${point}/`)) ?? '';
}
