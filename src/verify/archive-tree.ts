import type { Entry, FileTree } from '../filesystem/file-tree.ts';

/** Linux gives up after as many (ELOOP). */
const MAX_LINKS = 40;

/** The entries of an archive as a tree to look into; keys are their paths as text, without a leading slash. */
export class ArchiveTree implements FileTree {
  readonly #entries: ReadonlyMap<string, Entry>;
  #children: ReadonlyMap<string, readonly Entry[]> | undefined;

  constructor(entries: ReadonlyMap<string, Entry>) {
    this.#entries = entries;
  }

  async *entries(): AsyncGenerator<Entry> {
    yield* this.#entries.values();
  }

  async lookup(path: string | Uint8Array, options: { readonly follow?: boolean } = {}): Promise<Entry | undefined> {
    return this.find(textOf(path), options.follow ?? false);
  }

  async list(path: string | Uint8Array): Promise<Entry[]> {
    return [...this.inside(textOf(path))];
  }

  /** As `lookup`, now. */
  find(path: string, follow = true): Entry | undefined {
    let parts = path.split('/').filter((part) => part !== '');
    for (let at = 0, links = 0; at < parts.length; at++) {
      const entry = this.#entries.get(parts.slice(0, at + 1).join('/'));
      const last = at === parts.length - 1;
      if (entry?.kind !== 'symlink' || (last && !follow)) continue;
      if (++links > MAX_LINKS) return undefined;
      const target = textOf(entry.target ?? new Uint8Array(0));
      const base = target.startsWith('/') ? [] : parts.slice(0, at);
      parts = normalize([...base, ...target.split('/'), ...parts.slice(at + 1)]);
      at = -1;
    }
    return this.#entries.get(parts.join('/'));
  }

  /** As `list`, now. */
  inside(path: string): readonly Entry[] {
    const folder = this.find(path);
    if (folder?.kind !== 'directory') return [];
    this.#children ??= childrenOf(this.#entries);
    return this.#children.get(textOf(folder.path)) ?? [];
  }
}

/** Entries by the path of their directory. */
function childrenOf(entries: ReadonlyMap<string, Entry>): Map<string, Entry[]> {
  const children = new Map<string, Entry[]>();
  for (const [key, entry] of entries) {
    if (key === '') continue;
    const parent = key.slice(0, Math.max(0, key.lastIndexOf('/')));
    const known = children.get(parent);
    if (known === undefined) children.set(parent, [entry]);
    else known.push(entry);
  }
  return children;
}

function textOf(path: string | Uint8Array): string {
  return typeof path === 'string' ? path : Buffer.from(path).toString('utf8');
}

function normalize(parts: readonly string[]): string[] {
  const out: string[] = [];
  for (const part of parts) {
    if (part === '..') out.pop();
    else if (part !== '' && part !== '.') out.push(part);
  }
  return out;
}
