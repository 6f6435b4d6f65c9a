/** The tree an ISO is made of: files and the directories on their way, named for both of its hierarchies. */
import { FormatError } from '../../errors.ts';
import { isoIdentifiers, jolietNames } from './names.ts';

export interface IsoFile {
  /** Path with `/` between components, no leading slash; parent directories are made. */
  readonly path: string;
  readonly content?: Uint8Array;
  /** Target, for a symbolic link. */
  readonly symlink?: string;
  /** Permission bits. @default 0o644 (0o755 for directories made on the way) */
  readonly mode?: number;
}

export interface IsoNode {
  readonly name: string;
  readonly directory: boolean;
  readonly mode: number;
  readonly content: Uint8Array;
  readonly symlink: string | undefined;
  readonly children: IsoNode[];
  parent: IsoNode | undefined;
  iso: string;
  joliet: string;
  serial: number;
  /** First sector of the content; for a directory, of its records in each tree. */
  sector: number;
  jolietSector: number;
  size: number;
  jolietSize: number;
  /** Rock Ridge entries that do not fit into a record, with their place in the continuation area. */
  continuation: { sector: number; offset: number } | undefined;
}

const MAX_FILE = 0xffffffff;
const encoder = new TextEncoder();

/** @throws FormatError `iso9660.name`, `iso9660.too-large` */
export function buildTree(files: readonly IsoFile[]): IsoNode {
  const root = makeNode('', true, 0o755);
  const find = (parts: readonly string[]): IsoNode => {
    let at = root;
    for (const part of parts) {
      let child = at.children.find((node) => node.name === part);
      if (child === undefined) {
        child = makeNode(part, true, 0o755);
        child.parent = at;
        at.children.push(child);
      }
      if (!child.directory) throw badName(part, 'a file is in the way of a directory');
      at = child;
    }
    return at;
  };
  for (const file of files) {
    const parts = file.path.split('/').filter((part) => part !== '');
    const name = parts.pop();
    if (name === undefined || [...parts, name].some((part) => part === '.' || part === '..' || part.includes('\0'))) {
      throw badName(file.path, 'a component is empty, a dot or holds a NUL');
    }
    if (encoder.encode(name).length > 255) throw badName(name, 'it is longer than 255 bytes');
    const parent = find(parts);
    if (parent.children.some((node) => node.name === name)) throw badName(file.path, 'it is there twice');
    if ((file.content?.length ?? 0) > MAX_FILE) {
      throw new FormatError('iso9660.too-large', `Cannot put ${file.path} on an ISO: it is 4 GiB or longer`);
    }
    const node = makeNode(name, false, file.mode ?? 0o644, file.content, file.symlink);
    node.parent = parent;
    parent.children.push(node);
  }
  return root;
}

function badName(path: string, why: string): FormatError {
  return new FormatError('iso9660.name', `Cannot put ${JSON.stringify(path)} on an ISO: ${why}`);
}

function makeNode(
  name: string,
  directory: boolean,
  mode: number,
  content: Uint8Array = new Uint8Array(0),
  symlink?: string,
): IsoNode {
  const places = { serial: 0, sector: 0, jolietSector: 0, size: content.length, jolietSize: 0 };
  return {
    name,
    directory,
    mode,
    content,
    symlink,
    children: [],
    parent: undefined,
    iso: '',
    joliet: '',
    continuation: undefined,
    ...places,
  };
}

/** Directories in the order of a path table (ECMA-119 6.9.1): by level, then parent, then name. Names are given here. */
export function breadthFirst(root: IsoNode): IsoNode[] {
  const all = [root];
  for (const directory of all) {
    directory.children.sort((a, b) => (a.name < b.name ? -1 : 1));
    const iso = isoIdentifiers(directory.children);
    const joliet = jolietNames(directory.children.map((child) => child.name));
    directory.children.forEach((child, at) => {
      child.iso = iso[at] ?? '';
      child.joliet = joliet[at] ?? '';
    });
    directory.children.sort((a, b) => (a.iso < b.iso ? -1 : 1));
    all.push(...directory.children.filter((child) => child.directory));
  }
  return all;
}
