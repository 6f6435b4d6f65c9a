import type { Entry, FileTree } from '../filesystem/file-tree.ts';
import { joinPath, splitPath } from '../filesystem/paths.ts';
import { Overlay } from './overlay.ts';

/** Linux gives up after as many (ELOOP). */
const MAX_LINKS = 40;

/** A tree as it is packed: what the edits drop is not there, and what they empty has no bytes. */
export class SealedTree implements FileTree {
  readonly #tree: FileTree;
  readonly #overlay: Overlay;

  constructor(tree: FileTree, edits: ConstructorParameters<typeof Overlay>[0]) {
    this.#tree = tree;
    this.#overlay = new Overlay(edits);
  }

  async *entries(): AsyncGenerator<Entry> {
    for await (const entry of this.#tree.entries()) {
      const sealed = this.#seal(entry);
      if (sealed !== undefined) yield sealed;
    }
  }

  /** Goes name by name: a symlink on the way that is dropped leads nowhere, whatever it points to. */
  async lookup(path: string | Uint8Array, options: { readonly follow?: boolean } = {}): Promise<Entry | undefined> {
    const left = splitPath(path);
    let links = 0;
    let at = await this.#tree.lookup('');
    const trail: Entry[] = [];
    for (let name = left.shift(); name !== undefined && at !== undefined; name = left.shift()) {
      const text = Buffer.from(name).toString('latin1');
      if (text === '.') continue;
      if (text === '..') {
        at = trail.pop() ?? at;
        continue;
      }
      const found: Entry | undefined = await this.#tree.lookup(joinPath(at.path, name));
      const next = found === undefined ? undefined : this.#seal(found);
      if (next?.kind === 'symlink' && (left.length > 0 || options.follow === true)) {
        if (++links > MAX_LINKS) return undefined;
        const target = next.target ?? new Uint8Array(0);
        if (target[0] === 0x2f) {
          at = trail[0] ?? at;
          trail.length = 0;
        }
        left.unshift(...splitPath(target));
        continue;
      }
      trail.push(at);
      at = next;
    }
    return at;
  }

  async list(path: string | Uint8Array): Promise<Entry[]> {
    const folder = await this.lookup(path, { follow: true });
    if (folder?.kind !== 'directory') return [];
    return (await this.#tree.list(folder.path))
      .map((entry) => this.#seal(entry))
      .filter((entry) => entry !== undefined);
  }

  #seal(entry: Entry): Entry | undefined {
    const verdict = this.#overlay.judge(entry);
    if (verdict === 'drop') return undefined;
    return verdict === 'empty' ? { ...entry, data: { size: 0, extents: [] } } : entry;
  }
}
