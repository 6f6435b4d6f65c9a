/** The tree a FAT is made of: files, the directories on their way, and the entries they take. */
import { FormatError } from '../../errors.ts';
import { ENTRY_SIZE } from './layout.ts';
import { type FatNames, fatNames, foldFatName, longEntryCount, whyNoFatName } from './names.ts';

export interface FatFile {
  /** Path with `/` between components; parent directories are made. */
  readonly path: string;
  readonly content?: Uint8Array;
}

export interface FatNode {
  readonly name: string;
  readonly kind: 'file' | 'directory';
  readonly content: Uint8Array;
  readonly parent: FatNode | undefined;
  /** Sorted by name once the tree is whole. */
  children: FatNode[];
  /** Set once the tree is whole; the root has none. */
  names: FatNames | undefined;
}

const MAX_FILE = 0xffffffff;
/** Kernels and firmware make no longer path. */
const MAX_DEPTH = 60;
/** Of a directory (FAT specification 1.03, section 6.2). */
const MAX_ENTRIES = 65_536;

/** @throws FormatError `fat.name`, `fat.too-large` */
export function buildFatTree(files: readonly FatFile[]): FatNode {
  const root = directory('', undefined);
  const index = new Map<FatNode, Map<string, FatNode>>([[root, new Map()]]);
  const add = (parent: FatNode, node: FatNode): FatNode => {
    parent.children.push(node);
    index.get(parent)?.set(foldFatName(node.name), node);
    if (node.kind === 'directory') index.set(node, new Map());
    return node;
  };
  for (const file of files) {
    const parts = file.path.split('/').filter((part) => part !== '');
    const problem = parts.length === 0 ? 'it has no name' : parts.map(whyNoFatName).find((why) => why !== undefined);
    if (problem !== undefined) throw badName(file.path, problem);
    if (parts.length > MAX_DEPTH) throw badName(file.path, `it lies deeper than ${MAX_DEPTH} directories`);
    let at = root;
    for (const part of parts.slice(0, -1)) {
      const there = index.get(at)?.get(foldFatName(part));
      if (there?.kind === 'file') throw badName(file.path, `${part} is a file`);
      if (there !== undefined && there.name !== part) throw badName(file.path, `${there.name} is there in other case`);
      at = there ?? add(at, directory(part, at));
    }
    const name = parts.at(-1) as string;
    const twin = index.get(at)?.get(foldFatName(name));
    if (twin !== undefined) {
      throw badName(file.path, twin.name === name ? 'it is there twice' : `it differs from ${twin.name} in case alone`);
    }
    const content = file.content ?? new Uint8Array(0);
    if (content.length > MAX_FILE) {
      throw new FormatError('fat.too-large', `Cannot put ${file.path} on a FAT: it is 4 GiB or longer`);
    }
    add(at, { name, kind: 'file', content, parent: at, children: [], names: undefined });
  }
  for (const node of walkFat(root)) if (node.kind === 'directory') nameChildren(node);
  return root;
}

/** Every node, parents before children. */
export function* walkFat(root: FatNode): Generator<FatNode> {
  yield root;
  for (const child of root.children) yield* walkFat(child);
}

/** Bytes of the entries in a directory: its own two or the label of the root, and those of its children. */
export function directorySize(node: FatNode): number {
  const own = node.parent === undefined ? 1 : 2;
  const entries = node.children.reduce((sum, { names }) => sum + 1 + longEntryCount(names as FatNames), own);
  if (entries > MAX_ENTRIES) {
    throw new FormatError('fat.too-large', `Cannot put so many files into ${node.name || 'the root'} of a FAT`, {
      evidence: { entries, most: MAX_ENTRIES },
    });
  }
  return entries * ENTRY_SIZE;
}

function nameChildren(node: FatNode): void {
  node.children.sort((a, b) => (a.name < b.name ? -1 : 1));
  const names = fatNames(node.children.map(({ name }) => name));
  node.children.forEach((child, at) => {
    child.names = names[at];
  });
}

function directory(name: string, parent: FatNode | undefined): FatNode {
  return { name, kind: 'directory', content: new Uint8Array(0), parent, children: [], names: undefined };
}

function badName(path: string, why: string): FormatError {
  return new FormatError('fat.name', `Cannot put ${JSON.stringify(path)} on a FAT: ${why}`);
}
