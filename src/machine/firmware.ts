import { copyFile, readdir, readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { HostError } from '../errors.ts';
import type { Arch } from './arch.ts';

interface FlashFile {
  readonly path: string;
  readonly format: string;
}

/** A firmware pair ready to be used: code to read, variables of this run to write. */
export interface Firmware {
  readonly code: FlashFile;
  readonly vars: FlashFile | undefined;
  /** The descriptor it was found by. */
  readonly descriptor: string;
}

/** QEMU's firmware descriptor (docs/interop/firmware.json), the parts compose reads. */
interface Descriptor {
  readonly 'interface-types'?: readonly string[];
  readonly mapping?: {
    readonly device?: string;
    readonly mode?: string;
    readonly executable?: { readonly filename: string; readonly format: string };
    readonly 'nvram-template'?: { readonly filename: string; readonly format: string };
  };
  readonly targets?: readonly { readonly architecture: string; readonly machines: readonly string[] }[];
  readonly features?: readonly string[];
}

const ARCHITECTURE: Readonly<Record<Arch, string>> = { amd64: 'x86_64' };
/** Versioned machine that `-machine q35` stands for, as descriptors name it. */
const MACHINE: Readonly<Record<Arch, string>> = { amd64: 'pc-q35-' };
const PACKAGE: Readonly<Record<Arch, string>> = { amd64: 'ovmf' };

/** Folders of descriptors, the strongest first; a file name found in one hides the same name in those after it. */
export function firmwareFolders(env: NodeJS.ProcessEnv = process.env): string[] {
  const user = join(env.XDG_CONFIG_HOME ?? join(homedir(), '.config'), 'qemu/firmware');
  return [user, '/etc/qemu/firmware', '/usr/share/qemu/firmware', '/usr/local/share/qemu/firmware'];
}

/**
 * The UEFI firmware QEMU's own descriptors offer for `arch`, the first by file name that fits.
 * @throws HostError `firmware.missing`
 */
export async function findFirmware(
  arch: Arch,
  options: { readonly secureBoot?: boolean; readonly folders?: readonly string[] } = {},
): Promise<Firmware> {
  const folders = options.folders ?? firmwareFolders();
  const seen = new Map<string, string>();
  for (const folder of folders) {
    for (const name of await readdir(folder).catch(() => [])) {
      if (name.endsWith('.json') && !seen.has(name)) seen.set(name, join(folder, name));
    }
  }
  const tried: string[] = [];
  for (const [, path] of [...seen].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const descriptor = await readDescriptor(path);
    if (descriptor === undefined) continue;
    tried.push(basename(path));
    const firmware = match(descriptor, path, arch, options.secureBoot ?? false);
    if (firmware !== undefined) return firmware;
  }
  throw new HostError('firmware.missing', `Cannot boot by UEFI: no firmware for ${arch} is described on this host`, {
    hint: `Install the package ${PACKAGE[arch]}, or run: compose doctor --install`,
    evidence: { folders, tried },
  });
}

async function readDescriptor(path: string): Promise<Descriptor | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Descriptor;
  } catch {
    // An empty file is how an administrator masks a descriptor; a damaged one helps nobody.
    return undefined;
  }
}

function match(descriptor: Descriptor, path: string, arch: Arch, secureBoot: boolean): Firmware | undefined {
  const { mapping } = descriptor;
  const features = descriptor.features ?? [];
  if (!descriptor['interface-types']?.includes('uefi') || mapping?.device !== 'flash') return undefined;
  if (features.includes('requires-smm')) return undefined;
  if (secureBoot !== features.includes('enrolled-keys')) return undefined;
  const target = descriptor.targets?.find(({ architecture }) => architecture === ARCHITECTURE[arch]);
  if (!target?.machines.some((pattern) => pattern.replace(/\*$/, '').startsWith(MACHINE[arch]))) return undefined;
  const { executable, 'nvram-template': template } = mapping;
  if (executable === undefined) return undefined;
  return {
    code: { path: executable.filename, format: executable.format },
    vars: template === undefined ? undefined : { path: template.filename, format: template.format },
    descriptor: path,
  };
}

/** `firmware` with variables of its own, copied into `folder`. */
export async function prepareFirmware(firmware: Firmware, folder: string): Promise<Firmware> {
  if (firmware.vars === undefined) return firmware;
  const path = join(folder, 'efivars.fd');
  await copyFile(firmware.vars.path, path);
  return { ...firmware, vars: { path, format: firmware.vars.format } };
}
