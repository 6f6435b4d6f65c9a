import { PackError } from '../../errors.ts';
import type { Edit } from '../file-tree.ts';
import { componentMatcher, patternParts } from '../glob.ts';
import { joinPath, pathKey } from '../paths.ts';
import { readDirectory } from './directory.ts';
import { type Inode, readInode } from './inode.ts';
import { damaged } from './problems.ts';
import { ROOT_INODE } from './superblock.ts';
import type { Volume } from './volume.ts';

/** What a list of edits comes to, as inodes and names. */
export interface Plan {
  /** Names to take out of a directory that stays: its inode → `pathKey` of the names. */
  readonly unlinks: Map<number, Set<string>>;
  /** Subdirectories that a directory that stays loses. */
  readonly lostSubdirectories: Map<number, number>;
  /** Directories that go with all they hold. */
  readonly doomed: Set<number>;
  /** Names that inodes other than directories lose. */
  readonly lostNames: Map<number, number>;
  /** Regular files that lose their content. */
  readonly emptied: Set<number>;
  /** `remove /etc/ssh/ssh_host_rsa_key`: what was found, in the order of the edits. */
  readonly applied: string[];
}

interface Found {
  readonly path: Uint8Array;
  readonly name: Uint8Array;
  readonly parent: number;
  readonly inode: Inode;
}

/** e2fsck makes one where it is missing, and calls a file system without one damaged. */
const LOST_AND_FOUND = 'lost+found';

/** Works out `edits`, in order, without changing anything. Symlinks are edited, never followed. */
export async function planEdits(volume: Volume, edits: readonly Edit[]): Promise<Plan> {
  const planner = new Planner(volume);
  for (const edit of edits) await planner.add(edit);
  return planner.plan;
}

class Planner {
  readonly plan: Plan = {
    unlinks: new Map(),
    lostSubdirectories: new Map(),
    doomed: new Set(),
    lostNames: new Map(),
    emptied: new Set(),
    applied: [],
  };
  readonly #volume: Volume;

  constructor(volume: Volume) {
    this.#volume = volume;
  }

  async add(edit: Edit): Promise<void> {
    const parts = patternParts(edit.path);
    if (parts.length === 0) {
      if (edit.kind !== 'clear') throw refuseRoot(edit);
      await this.#clear({ path: new Uint8Array(0), inode: await readInode(this.#volume, ROOT_INODE) });
      return;
    }
    for (const found of await this.#match(parts)) {
      if (edit.kind === 'empty') this.#empty(found);
      else if (edit.kind === 'clear' || isLostAndFound(found)) await this.#clear(found);
      else await this.#remove(found);
    }
  }

  async #match(parts: readonly string[]): Promise<Found[]> {
    let directories = [{ path: new Uint8Array(0) as Uint8Array, inode: ROOT_INODE }];
    let found: Found[] = [];
    for (const part of parts) {
      const matches = componentMatcher(part);
      found = [];
      for (const directory of directories) {
        for (const child of await this.#children(directory.inode)) {
          if (!matches(child.name)) continue;
          const inode = await readInode(this.#volume, child.inode);
          const path = joinPath(directory.path, child.name);
          found.push({ path, name: child.name, parent: directory.inode, inode });
        }
      }
      found.sort((a, b) => Buffer.compare(a.path, b.path));
      directories = found
        .filter(({ inode }) => inode.kind === 'directory')
        .map(({ path, inode }) => ({ path, inode: inode.number }));
    }
    return found;
  }

  /** The names of a directory that earlier edits left in it. */
  async #children(directory: number): Promise<{ name: Uint8Array; inode: number }[]> {
    const gone = this.plan.unlinks.get(directory);
    const names: { name: Uint8Array; inode: number }[] = [];
    for await (const { entries } of readDirectory(this.#volume, await readInode(this.#volume, directory))) {
      for (const { name, inode } of entries) {
        if (gone?.has(pathKey(name)) !== true) names.push({ name: name.slice(), inode });
      }
    }
    return names;
  }

  #empty({ path, inode }: Found): void {
    if (inode.kind !== 'file' || inode.size === 0 || this.plan.emptied.has(inode.number)) return;
    this.plan.emptied.add(inode.number);
    this.#note('empty', path);
  }

  async #clear({ path, inode }: Pick<Found, 'path' | 'inode'>): Promise<void> {
    if (inode.kind !== 'directory') return;
    let any = false;
    for (const child of await this.#children(inode.number)) {
      const isKept = inode.number === ROOT_INODE && pathKey(child.name) === LOST_AND_FOUND;
      const found = {
        path: joinPath(path, child.name),
        name: child.name,
        parent: inode.number,
        inode: await readInode(this.#volume, child.inode),
      };
      if (isKept) await this.#clear(found);
      else await this.#unlink(found);
      any ||= !isKept;
    }
    if (any) this.#note('clear', path);
  }

  async #remove(found: Found): Promise<void> {
    await this.#unlink(found);
    this.#note('remove', found.path);
  }

  async #unlink({ parent, name, inode }: Found): Promise<void> {
    const names = this.plan.unlinks.get(parent) ?? new Set();
    this.plan.unlinks.set(parent, names.add(pathKey(name)));
    if (inode.kind !== 'directory') {
      increase(this.plan.lostNames, inode.number);
      return;
    }
    increase(this.plan.lostSubdirectories, parent);
    await this.#doom(inode);
  }

  async #doom(top: Inode): Promise<void> {
    const { doomed, lostNames } = this.plan;
    const stack = [top];
    for (let directory = stack.pop(); directory !== undefined; directory = stack.pop()) {
      if (doomed.has(directory.number) || directory.number === ROOT_INODE) {
        throw damaged(`directory inode ${directory.number}`, 'two names lead to it', { inode: directory.number });
      }
      const children = await this.#children(directory.number);
      doomed.add(directory.number);
      for (const child of children) {
        const read = readInode(this.#volume, child.inode);
        const inode = read instanceof Promise ? await read : read;
        if (inode.kind === 'directory') stack.push(inode);
        else increase(lostNames, inode.number);
      }
    }
  }

  #note(kind: Edit['kind'], path: Uint8Array): void {
    this.plan.applied.push(`${kind} /${Buffer.from(path)}`);
  }
}

function isLostAndFound({ parent, name, inode }: Found): boolean {
  return parent === ROOT_INODE && inode.kind === 'directory' && pathKey(name) === LOST_AND_FOUND;
}

function increase(counts: Map<number, number>, key: number): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function refuseRoot(edit: Edit): PackError {
  return new PackError('edit.root', `Cannot ${edit.kind} the root directory: the tree would be gone (${edit.reason})`, {
    hint: 'Name what is to go, or clear "/" to keep an empty root.',
  });
}
