import { copyFile, open, readdir, readFile, stat, truncate } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { HostError } from '../errors.ts';
import { run } from '../host/process.ts';
import type { Arch } from './arch.ts';
import { BOARDS, descriptorMachine } from './board.ts';

interface FlashFile {
  readonly path: string;
  readonly format: 'raw' | 'qcow2';
}

/** Firmware ready to be used: code to read, variables of this run to write. */
export interface Firmware {
  readonly code: FlashFile;
  readonly vars: FlashFile | undefined;
  /** `split`: code and variables apart; `combined`: both in `code`, which is written to; `stateless`: no variables. */
  readonly mode: 'split' | 'combined' | 'stateless';
  readonly secureBoot: boolean;
  /** Its variables are guarded by System Management Mode, which the machine has to have. */
  readonly smm: boolean;
  /** The descriptor it was found by. */
  readonly descriptor: string;
}

export interface FirmwareOptions {
  /** Firmware that enforces Secure Boot, with the vendors' keys enrolled. @default false */
  readonly secureBoot?: boolean | undefined;
  /** QEMU's machine type. @default the architecture's */
  readonly machine?: string | undefined;
  readonly folders?: readonly string[];
}

const file = z.object({ filename: z.string().startsWith('/'), format: z.enum(['raw', 'qcow2']) });

/** QEMU's firmware descriptor (docs/interop/firmware.json), the parts compose reads, for firmware in flash. */
const descriptorSchema = z.object({
  'interface-types': z.array(z.string()),
  mapping: z.object({
    device: z.literal('flash'),
    mode: z.enum(['split', 'combined', 'stateless']).default('split'),
    executable: file,
    'nvram-template': file.optional(),
  }),
  targets: z.array(z.object({ architecture: z.string(), machines: z.array(z.string()) })),
  features: z.array(z.string()).default([]),
});

/** Folders of descriptors, the strongest first; a file name found in one hides the same name in those after it. */
export function firmwareFolders(env: NodeJS.ProcessEnv = process.env): string[] {
  const user = join(env.XDG_CONFIG_HOME || join(homedir(), '.config'), 'qemu/firmware');
  const shared = ['/usr/share', '/usr/local/share', '/opt/homebrew/share'].map((folder) => `${folder}/qemu/firmware`);
  return [user, '/etc/qemu/firmware', ...shared];
}

/**
 * The UEFI firmware QEMU's own descriptors offer for `arch`, the first by file name that fits and whose files are there.
 * An empty file masks the descriptors of its name in weaker folders.
 * @throws HostError `firmware.missing`
 */
export async function findFirmware(arch: Arch, options: FirmwareOptions = {}): Promise<Firmware> {
  const folders = options.folders ?? firmwareFolders();
  const seen = new Map<string, string>();
  for (const folder of folders) {
    for (const name of await readdir(folder).catch(() => [])) {
      if (name.endsWith('.json') && !seen.has(name)) seen.set(name, join(folder, name));
    }
  }
  const tried: string[] = [];
  let second: Firmware | undefined;
  for (const [, path] of [...seen].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const found = match(await readFile(path, 'utf8').catch(() => ''), path, arch, options);
    if (found === undefined || !(await readable(found.firmware))) {
      tried.push(basename(path));
      continue;
    }
    if (found.best) return found.firmware;
    second ??= found.firmware;
  }
  if (second !== undefined) return second;
  const kind = options.secureBoot ? 'firmware with Secure Boot and enrolled keys' : 'firmware';
  throw new HostError('firmware.missing', `Cannot boot by UEFI: no ${kind} for ${arch} is described on this host`, {
    hint: `Install the package ${BOARDS[arch].firmware.package}, or run: compose doctor --install`,
    evidence: { folders, tried },
  });
}

async function readable({ code, vars }: Firmware): Promise<boolean> {
  // Debian describes an AArch64 firmware it does not ship.
  const found = await Promise.allSettled([code, ...(vars ? [vars] : [])].map(({ path }) => stat(path)));
  return found.every(({ status }) => status === 'fulfilled');
}

function match(
  text: string,
  path: string,
  arch: Arch,
  options: FirmwareOptions,
): { readonly firmware: Firmware; readonly best: boolean } | undefined {
  const parsed = descriptorSchema.safeParse(parseJson(text));
  if (!parsed.success || !parsed.data['interface-types'].includes('uefi')) return undefined;
  const { mapping, targets, features } = parsed.data;
  const { firmware, machine } = BOARDS[arch];
  const name = descriptorMachine(options.machine ?? machine);
  const fits = targets.some(
    (target) =>
      target.architecture === firmware.architecture &&
      target.machines.some((pattern) => pattern.replace(/\*$/, '').startsWith(name)),
  );
  if (!fits) return undefined;
  const secure = features.includes('secure-boot');
  const smm = features.includes('requires-smm');
  const enforces = secure && features.includes('enrolled-keys');
  // SMM exists on q35 alone, and costs time: without Secure Boot it is for nothing.
  if (options.secureBoot ? !enforces || (smm && name !== 'pc-q35-') : enforces || smm) return undefined;
  const template = mapping['nvram-template'];
  if (mapping.mode === 'split' && template === undefined) return undefined;
  return {
    best: secure === (options.secureBoot ?? false),
    firmware: {
      code: { path: mapping.executable.filename, format: mapping.executable.format },
      vars: template && mapping.mode === 'split' ? { path: template.filename, format: template.format } : undefined,
      mode: mapping.mode,
      secureBoot: enforces,
      smm,
      descriptor: path,
    },
  };
}

/** An empty file is how an administrator masks a descriptor; a damaged one helps nobody. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * `firmware` with variables of its own in `folder`, in their own format, and with files as long as the board's flash where
 * that has a fixed length.
 * @throws HostError `firmware.unusable` when a file cannot be read or is longer than the flash
 */
export async function prepareFirmware(
  firmware: Firmware,
  folder: string,
  options: { readonly arch: Arch; readonly signal: AbortSignal },
): Promise<Firmware> {
  const { flashSize } = BOARDS[options.arch].firmware;
  const take = async (source: FlashFile, name: string, written: boolean): Promise<FlashFile> => {
    try {
      const length = flashSize === undefined ? undefined : await virtualLength(source);
      if (length !== undefined && flashSize !== undefined && length > flashSize) {
        throw new RangeError(`it is longer than the flash (${length} > ${flashSize} bytes)`);
      }
      const short = length !== undefined && length !== flashSize;
      if (!written && !short) return source;
      const path = join(folder, name);
      await copyFile(source.path, path);
      if (short && source.format === 'raw') await truncate(path, flashSize);
      else if (short) await run('qemu-img', ['resize', '-q', '-f', 'qcow2', path, String(flashSize)], options);
      return { path, format: source.format };
    } catch (cause) {
      options.signal.throwIfAborted();
      const why = (cause as Error).message;
      throw new HostError('firmware.unusable', `Cannot use the firmware ${source.path}: ${why}`, {
        hint: `${firmware.descriptor} describes it; reinstall its package.`,
        cause,
      });
    }
  };
  const code = await take(firmware.code, 'eficode.fd', firmware.mode === 'combined');
  const vars = firmware.vars && (await take(firmware.vars, 'efivars.fd', true));
  return { ...firmware, code, vars };
}

/** Bytes the guest sees: a qcow2 file has them at byte 24 (docs/interop/qcow2.txt). */
async function virtualLength({ path, format }: FlashFile): Promise<number> {
  if (format === 'raw') return (await stat(path)).size;
  const handle = await open(path);
  try {
    const head = Buffer.alloc(32);
    const { bytesRead } = await handle.read(head, 0, head.length, 0);
    if (bytesRead < head.length || head.toString('latin1', 0, 3) !== 'QFI') throw new TypeError('it is no qcow2 file');
    return Number(head.readBigUInt64BE(24));
  } finally {
    await handle.close();
  }
}
