/** The kernels of a tree, with what belongs to each. */
import { constants, gunzipSync } from 'node:zlib';
import { kernelMachine, type Machine } from '../formats/executable.ts';
import { moduleName } from './initrd.ts';
import type { TreeFacts } from './tree-facts.ts';

export interface Kernel {
  /** In the tree, without a leading slash. */
  readonly path: string;
  /** What follows its name, such as `6.1.0-18-amd64`; empty where nothing does. */
  readonly version: string;
  readonly machine: Machine | undefined;
  /** Path of its initial file system. */
  readonly initrd: string | undefined;
  /** Path of its directory of modules. */
  readonly modules: string | undefined;
}

const KERNEL = /^(?:vmlinu[xz]|Image|image)(?:-(.*))?$/;
const NOT_FOR_BOOT = /rescue|kdump|\.old$|\.hmac$/;

const known = new WeakMap<TreeFacts, readonly Kernel[]>();

/** Those in /boot, rescue ones left out. */
export function kernelsOf(tree: TreeFacts): readonly Kernel[] {
  const found = known.get(tree);
  if (found !== undefined) return found;
  const names = tree.inside('boot').map((entry) => Buffer.from(entry.path).toString().slice('boot/'.length));
  const kernels = names.flatMap((name): Kernel[] => {
    const match = KERNEL.exec(name);
    // A link that leads nowhere is no kernel.
    if (match === null || NOT_FOR_BOOT.test(name) || tree.node(`boot/${name}`)?.kind !== 'file') return [];
    const version = match[1] ?? '';
    const initrd = initrdNames(version).find((one) => tree.node(`boot/${one}`)?.kind === 'file');
    const modules = ['lib/modules', 'usr/lib/modules']
      .map((folder) => `${folder}/${version}`)
      .find((folder) => version !== '' && tree.node(folder)?.kind === 'directory');
    const machine = machineOf(tree.bytes(`boot/${name}`) ?? new Uint8Array(0));
    return [{ path: `boot/${name}`, version, machine, initrd: initrd && `boot/${initrd}`, modules }];
  });
  // Some have a link without a version beside the kernel itself.
  const versioned = kernels.filter(({ version }) => version !== '');
  const list = versioned.length > 0 ? versioned : kernels;
  known.set(tree, list);
  return list;
}

function initrdNames(version: string): string[] {
  if (version === '') return ['initrd.img', 'initrd', 'initrd.gz', 'initramfs.img', 'initramfs.gz'];
  return [`initrd.img-${version}`, `initramfs-${version}.img`, `initrd-${version}`, `initrd-${version}.img`];
}

function machineOf(head: Uint8Array): Machine | undefined {
  if (head[0] !== 0x1f || head[1] !== 0x8b) return kernelMachine(head);
  try {
    // The head is cut somewhere: what comes of it until there is enough.
    return kernelMachine(gunzipSync(head, { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: 64 * 1024 * 1024 }));
  } catch {
    return undefined;
  }
}

/** Names of the modules that stand in a kernel's directory, or are built into it. */
export function modulesOf(
  tree: TreeFacts,
  { modules }: Kernel,
): { readonly files: Set<string>; readonly builtIn: Set<string> } {
  const files = new Set<string>();
  const folder = modules === undefined ? undefined : tree.node(modules);
  const prefix = folder === undefined ? undefined : `${Buffer.from(folder.path).toString()}/`;
  if (prefix === undefined) return { files, builtIn: files };
  for (const path of tree.entries.keys()) {
    const name = path.startsWith(prefix) ? moduleName(path) : undefined;
    if (name !== undefined) files.add(name);
  }
  const lines = (tree.text(`${prefix}modules.builtin`) ?? '').split('\n');
  return { files, builtIn: new Set(lines.map(moduleName).filter((name) => name !== undefined)) };
}
