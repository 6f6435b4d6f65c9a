/** The tree an ISO is made of: files and the directories on their way. */
import { FormatError } from '../../errors.ts';

export interface IsoFile {
  /** Path with `/` between components, no leading slash; parent directories are made. */
  readonly path: string;
  readonly content?: Uint8Array;
  /** Target, for a symbolic link. */
  readonly symlink?: string;
  /** Permission bits. @default 0o644 (0o755 for directories made on the way, 0o777 for links, as lstat has them) */
  readonly mode?: number;
}

export interface IsoNode {
  readonly name: string;
  readonly kind: 'directory' | 'file' | 'symlink';
  readonly mode: number;
  readonly content: Uint8Array;
  readonly target: string;
  readonly children: Map<string, IsoNode>;
  readonly parent: IsoNode | undefined;
}

const MAX_FILE = 0xffffffff;
const encoder = new TextEncoder();

/** @throws FormatError `iso9660.name`, `iso9660.too-large` */
export function buildTree(files: readonly IsoFile[]): IsoNode {
  const root = directoryNode('', undefined);
  for (const file of files) {
    const parts = file.path.split('/').filter((part) => part !== '');
    const name = parts.pop();
    if (name === undefined || [...parts, name].some((part) => part === '.' || part === '..' || part.includes('\0'))) {
      throw badName(file.path, 'a component is empty, a dot or holds a NUL');
    }
    const parent = parts.reduce(enter, root);
    checkLength(name);
    if (parent.children.has(name)) throw badName(file.path, 'it is there twice');
    parent.children.set(name, leafNode(file, name, parent));
  }
  return root;
}

function enter(at: IsoNode, name: string): IsoNode {
  let child = at.children.get(name);
  if (child === undefined) {
    checkLength(name);
    child = directoryNode(name, at);
    at.children.set(name, child);
  }
  if (child.kind !== 'directory') throw badName(name, 'a file is in the way of a directory');
  return child;
}

function directoryNode(name: string, parent: IsoNode | undefined): IsoNode {
  const empty = { content: new Uint8Array(0), target: '' };
  return { name, kind: 'directory', mode: 0o755, ...empty, children: new Map(), parent };
}

function leafNode(file: IsoFile, name: string, parent: IsoNode): IsoNode {
  const children = new Map<string, IsoNode>();
  if (file.symlink !== undefined) {
    if (file.symlink === '' || file.symlink.includes('\0')) throw badName(file.path, 'a link needs a target');
    const empty = { content: new Uint8Array(0), target: file.symlink };
    return { name, kind: 'symlink', mode: file.mode ?? 0o777, ...empty, children, parent };
  }
  const content = file.content ?? new Uint8Array(0);
  if (content.length > MAX_FILE) {
    throw new FormatError('iso9660.too-large', `Cannot put ${file.path} on an ISO: it is 4 GiB or longer`);
  }
  return { name, kind: 'file', mode: file.mode ?? 0o644, content, target: '', children, parent };
}

function checkLength(name: string): void {
  if (encoder.encode(name).length > 255) throw badName(name, 'it is longer than 255 bytes');
}

function badName(path: string, why: string): FormatError {
  return new FormatError('iso9660.name', `Cannot put ${JSON.stringify(path)} on an ISO: ${why}`);
}
