/** What a recipe's installer will be started with: decided, read and checked before anything is downloaded. */
import { readFileSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { RecipeError } from '../errors.ts';
import { parseSize } from '../formats/human.ts';
import type { Arch } from '../machine/arch.ts';
import { BOARDS } from '../machine/board.ts';
import { parseKeys } from '../machine/key-grammar.ts';
import type { LayoutName } from '../machine/keys-layouts.ts';
import { checkAnswers, type SeedKind, type SeedMember, seedVolume } from '../seed/volume.ts';
import { parseDuration } from './duration.ts';
import type { InstallerSource } from './installer-schema.ts';
import { interpolate, type Values } from './variables.ts';

/** Answers of one way to the installer; texts are whole but for `${answers_url}`. */
export interface PlannedAnswers {
  readonly on: SeedKind | 'initrd' | 'http';
  readonly label?: string;
  readonly files: readonly { readonly path: string; readonly content: string }[];
}

export interface PlannedInstaller {
  readonly kind: 'installer';
  /** Address, or path on this host. */
  readonly iso: string;
  readonly checksum?: { readonly algorithm: 'sha256' | 'sha512' } & (
    | { readonly value: string }
    | { readonly sums: string }
  );
  /** Regular expressions for the file's name and the volume's. */
  readonly fileName?: string;
  readonly volume?: string;
  readonly boot: 'kernel' | 'media';
  /** Of the CD drives. @default what the board has */
  readonly mediaInterface?: 'sata' | 'scsi' | 'usb';
  readonly kernel?: string;
  readonly initrd?: string;
  /** The kernel's whole command line; empty for `media`. */
  readonly append: string;
  readonly keys?: string;
  readonly layout: LayoutName;
  readonly answers: readonly PlannedAnswers[];
  /** Under KVM, ms. */
  readonly timeoutMs: number;
  /** Bytes. */
  readonly memory: number;
  readonly network: boolean;
}

/** What stands for the address of the answers until the server is there; a recipe's texts may hold it. */
export const ANSWERS_URL = '${answers_url}';

/** Without an instance cloud-init takes a volume for no seed. */
const META_DATA = 'instance-id: compose-install\n';

interface Wanted {
  readonly recipe: string;
  readonly arch: Arch;
  readonly values: Values;
  /** Takes the place of the recipe's medium. */
  readonly iso: string | undefined;
  readonly machine: { readonly memory: number; readonly secureBoot: boolean };
}

/**
 * @param source of the recipe, variables in its own texts replaced
 * @throws RecipeError `installer.iso`, `installer.checksum`, `installer.file-name`, `installer.secure-boot`,
 *   `installer.answers`, `installer.media`, and those of `seedVolume`; UsageError `typing.syntax`
 */
export function planInstaller(source: InstallerSource, wanted: Wanted): PlannedInstaller {
  const { recipe, arch, machine } = wanted;
  const { checksum, file_name, volume, boot, kernel, initrd, layout, network } = source;
  const iso = mediumOf(source, wanted);
  if (boot === 'kernel' && machine.secureBoot) {
    throw new RecipeError(
      'installer.secure-boot',
      `Cannot plan ${recipe}: firmware with Secure Boot starts no kernel that QEMU hands to it`,
      { hint: 'Use boot: media, or install without secure_boot.' },
    );
  }
  if (boot === 'media' && (kernel ?? initrd ?? (source.append || undefined)) !== undefined) {
    throw new RecipeError('installer.media', `Cannot plan ${recipe}: its medium boots by itself (boot: media)`, {
      hint: 'kernel, initrd and append are for boot: kernel; what a boot loader is told goes into keys.',
    });
  }
  const keys = source.keys === undefined ? undefined : [source.keys].flat().join('');
  if (keys !== undefined) parseKeys(keys);
  const answers = source.answers.map((one) => readAnswers(one, wanted));
  const served = answers.filter(({ on }) => on === 'http');
  const initrds = answers.filter(({ on }) => on === 'initrd');
  const wrong =
    served.length > 0 && !network
      ? 'answers by HTTP need a network'
      : initrds.length > 0 && boot === 'media'
        ? 'answers reach only an initrd that compose starts (boot: kernel)'
        : served.length === 0 && [source.append, keys].some((text) => text?.includes(ANSWERS_URL))
          ? `${ANSWERS_URL} is used, and there are no answers "on: http"`
          : undefined;
  if (wrong !== undefined) throw new RecipeError('installer.answers', `Cannot plan ${recipe}: ${wrong}`);
  return {
    kind: 'installer',
    iso,
    ...(checksum !== undefined && { checksum: checksum as NonNullable<PlannedInstaller['checksum']> }),
    ...(file_name !== undefined && { fileName: file_name }),
    ...(volume !== undefined && { volume }),
    boot,
    ...(source.media_interface !== undefined && { mediaInterface: source.media_interface }),
    ...(kernel !== undefined && { kernel }),
    ...(initrd !== undefined && { initrd }),
    append: boot === 'media' ? '' : withConsole(source.append, arch),
    ...(keys !== undefined && { keys }),
    layout,
    answers,
    timeoutMs: parseDuration(source.timeout) ?? 0,
    memory: source.memory === undefined ? machine.memory : (parseSize(source.memory) ?? 0),
    network,
  };
}

/** Whether a medium has to be downloaded. */
export function isAddress(iso: string): boolean {
  return /^https?:\/\//.test(iso);
}

function mediumOf({ iso: own, checksum, file_name }: InstallerSource, { recipe, iso: given }: Wanted): string {
  const iso = given === undefined ? own : resolve(given);
  if (iso === undefined) {
    const name = file_name === undefined ? '' : ` (its name is like ${file_name})`;
    throw new RecipeError('installer.iso', `Cannot plan ${recipe}: it installs from a medium that is not given`, {
      hint: `Get it from its vendor${name}, then: --iso FILE`,
    });
  }
  if (isAddress(iso) && checksum === undefined) {
    throw new RecipeError('installer.checksum', `Cannot plan ${recipe}: nothing says what ${iso} must be`, {
      hint: 'Give the recipe sources.installer.checksum; what is downloaded is always checked.',
    });
  }
  const base = iso.split('/').at(-1) ?? '';
  if (file_name !== undefined && !new RegExp(`^(?:${file_name})$`).test(base)) {
    throw new RecipeError('installer.file-name', `Cannot plan ${recipe}: ${base} is no name of its medium`, {
      hint: `The vendor's is like ${file_name}. A file that was renamed gets its name back with a symbolic link.`,
    });
  }
  return iso;
}

function readAnswers(
  { on, label, files }: InstallerSource['answers'][number],
  { recipe, values, arch }: Wanted,
): PlannedAnswers {
  const known = { ...values, arch, answers_url: ANSWERS_URL };
  const read = Object.entries(files).map(([path, given]) => {
    if (typeof given !== 'string') return { path, content: given.text };
    return { path, content: interpolate(textOf(given, recipe), known, `${given} of ${recipe}`) };
  });
  const cloud = /^(nocloud|autoinstall)/.test(on);
  if (cloud && !read.some(({ path }) => path === 'meta-data')) read.push({ path: 'meta-data', content: META_DATA });
  const members: SeedMember[] = read.map(({ path, content }) => ({ path, content: Buffer.from(content) }));
  if (on === 'initrd' || on === 'http') checkAnswers(members);
  else seedVolume(on, members, { label });
  return { on, ...(label !== undefined && { label }), files: read };
}

function textOf(file: string, recipe: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(file));
  } catch (cause) {
    const why = cause instanceof TypeError ? 'it is no UTF-8 text' : (cause as Error).message;
    throw new RecipeError('installer.answers', `Cannot read the answers ${file} of ${recipe}: ${why}`, { cause });
  }
}

function withConsole(append: string, arch: Arch): string {
  const { console } = BOARDS[arch];
  return /(^|\s)console=/.test(append) ? append : `${append} console=${console}`.trim();
}

/** Paths of answers are relative to the file that names them. */
export function absoluteAnswers<T extends InstallerSource>(source: T, folder: string): T {
  const answers = source.answers.map((one) => ({
    ...one,
    files: Object.fromEntries(
      Object.entries(one.files).map(([path, given]) => [
        path,
        typeof given !== 'string' || isAbsolute(given) || given.startsWith('${') ? given : resolve(folder, given),
      ]),
    ),
  }));
  const { iso } = source;
  const local = iso !== undefined && !isAddress(iso) && !iso.startsWith('${') && !isAbsolute(iso);
  return { ...source, answers, ...(local && { iso: resolve(folder, iso) }) };
}
