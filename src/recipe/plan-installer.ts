/** What a recipe's installer will be started with: decided, read and checked before anything is downloaded. */
import { resolve } from 'node:path';
import { RecipeError } from '../errors.ts';
import { parseSize } from '../formats/human.ts';
import type { Arch } from '../machine/arch.ts';
import { BOARDS } from '../machine/board.ts';
import { parseKeys } from '../machine/key-grammar.ts';
import type { LayoutName } from '../machine/keys-layouts.ts';
import type { DiskInterface } from '../machine/spec.ts';
import type { AnswerInputs, AnswerLanguage } from './answer-inputs.ts';
import { answerProblems, customProblems, type FileProblem, refuseErrors } from './answer-problems.ts';
import { parseDuration } from './duration.ts';
import type { InstallerSource } from './installer-schema.ts';
import { ANSWERS_URL, type CustomAnswers, customText, type PlannedAnswers, planAnswers } from './planned-answers.ts';

export type { PlannedAnswers } from './planned-answers.ts';
export { ANSWERS_URL, VOLUME } from './planned-answers.ts';

export interface PlannedInstaller {
  readonly kind: 'installer';
  /** Address, or path on this host; undefined only in a plan made without the medium (`PlanOptions.mediumLater`). */
  readonly iso?: string;
  /** For people: what the medium is called, and where it is to be had. */
  readonly isoNames?: string;
  /** Of the answers. */
  readonly language?: AnswerLanguage;
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

interface Wanted {
  readonly inputs: Omit<AnswerInputs, 'custom'>;
  /** Takes the place of the recipe's medium. */
  readonly iso: string | undefined;
  readonly mediumLater: boolean;
  readonly custom: CustomAnswers | undefined;
  /** Release of the recipe, whose installer reads the answers unless the source names another. */
  readonly release: { readonly family: string; readonly version: string };
  /** Architecture of the recipe whose medium has a file's name, for the hint where it is not that of the build. */
  readonly archOfMedium?: (file: string) => Arch | undefined;
  /** Is told what is wrong with the answers. @default errors are thrown */
  readonly onProblems?: ((problems: readonly FileProblem[]) => void) | undefined;
  readonly machine: {
    readonly memory: number;
    readonly secureBoot: boolean;
    readonly diskInterface?: DiskInterface | undefined;
  };
}

/**
 * @param source of the recipe, variables in its own texts replaced
 * @throws RecipeError `installer.iso`, `installer.checksum`, `installer.file-name`, `installer.secure-boot`,
 *   `installer.answers`, `installer.media`, `installer.disk-name`, `recipe.custom`, `answers.invalid`, and those of `seedVolume`; UsageError `typing.syntax`
 */
export function planInstaller(source: InstallerSource, wanted: Wanted): PlannedInstaller {
  const { machine, custom, inputs } = wanted;
  const { recipe, arch } = inputs;
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
  const additions = custom === undefined ? undefined : customText(source, custom, recipe);
  const onProblems = wanted.onProblems ?? ((problems) => refuseErrors(problems, recipe));
  const target = { ...(source.release ?? wanted.release), arch };
  // First by themselves: what is wrong with them has a line in the operator's own file.
  if (custom !== undefined && additions !== undefined) onProblems(customProblems(additions, custom, target));
  const answers = planAnswers(source, { ...inputs, custom: additions });
  const given = new Map(source.answers.flatMap(({ files }) => Object.entries(files)));
  const from = (name: string): string | undefined => {
    const file = given.get(name);
    return typeof file === 'string' ? file : undefined;
  };
  checkDiskName(recipe, machine.diskInterface, [
    source.append,
    keys,
    ...answers.flatMap(({ files }) => files.map(({ content }) => content)),
  ]);
  onProblems(answerProblems({ answers, language: source.language, target, from }));
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
    ...(iso !== undefined && { iso }),
    ...(source.iso_names !== undefined && { isoNames: source.iso_names }),
    ...(source.language !== undefined && { language: source.language }),
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

/** Name of a disk by its interface, as Linux has it. */
const DISK_NAMES = { scsi: 'sda', sata: 'sda', usb: 'sda', nvme: 'nvme0n1' } as const;

/** @throws RecipeError `installer.disk-name` where what the installer is told names a virtio disk, and it finds another */
function checkDiskName(
  recipe: string,
  diskInterface: DiskInterface | undefined,
  texts: readonly (string | undefined)[],
): void {
  if (diskInterface === undefined || diskInterface === 'virtio') return;
  const named = texts.map((text) => /\bvd[a-z]\d*\b/.exec(text ?? '')?.[0]).find((name) => name !== undefined);
  if (named === undefined) return;
  const why = `its installer is told of the disk ${named}, and on ${diskInterface} there is none of that name`;
  throw new RecipeError('installer.disk-name', `Cannot plan ${recipe}: ${why}`, {
    hint: `Leave disk_interface out, or name the disk ${DISK_NAMES[diskInterface]} in the answers.`,
  });
}

/** Whether a medium has to be downloaded. */
export function isAddress(iso: string): boolean {
  return /^https?:\/\//.test(iso);
}

/** The right medium, and where it is to be had, for hints. */
function whereToGet({ iso_names, file_name }: InstallerSource): string {
  if (iso_names !== undefined) return `Its medium is ${iso_names}.`;
  return `Get it from its vendor${file_name === undefined ? '' : ` (its name is like ${file_name})`}.`;
}

const lowered = (sentence: string): string => `${sentence.charAt(0).toLowerCase()}${sentence.slice(1)}`;

function mediumOf(source: InstallerSource, wanted: Wanted): string | undefined {
  const { iso: own, checksum, file_name } = source;
  const { inputs, iso: given, mediumLater } = wanted;
  const { recipe, arch } = inputs;
  const iso = given === undefined || isAddress(given) ? (given ?? own) : resolve(given);
  if (iso === undefined) {
    if (mediumLater) return undefined;
    throw new RecipeError('installer.iso', `Cannot plan ${recipe}: it installs from a medium that is not given`, {
      hint: `${whereToGet(source)} Then: --iso FILE`,
    });
  }
  if (isAddress(iso) && checksum === undefined) {
    throw new RecipeError('installer.checksum', `Cannot plan ${recipe}: nothing says what ${iso} must be`, {
      hint: 'Give the recipe sources.installer.checksum; what is downloaded is always checked.',
    });
  }
  const base = iso.split('/').at(-1) ?? '';
  if (base.includes('*')) {
    if (isAddress(iso) && checksum?.sums !== undefined) return iso;
    throw new RecipeError('installer.file-name', `Cannot plan ${recipe}: ${base} names no one file`, {
      hint: 'A * is for an address whose checksum is a list of digests (sums), which has the names.',
    });
  }
  if (file_name !== undefined && !new RegExp(`^(?:${file_name})$`).test(base)) {
    const other = wanted.archOfMedium?.(base);
    if (other !== undefined) {
      throw new RecipeError('installer.file-name', `Cannot plan ${recipe} for ${arch}: ${base} is for ${other}`, {
        hint: `To build for ${other}, ${other === 'amd64' ? `leave --arch ${arch} out` : `add --arch ${other}`}. For ${arch}, ${lowered(whereToGet(source))}`,
      });
    }
    throw new RecipeError('installer.file-name', `Cannot plan ${recipe}: ${base} is no name of its medium`, {
      hint: `${whereToGet(source)} Names that are taken: ${file_name}. A file that was renamed gets its name back with a symbolic link.`,
    });
  }
  return iso;
}

function withConsole(append: string, arch: Arch): string {
  const { console } = BOARDS[arch];
  return /(^|\s)console=/.test(append) ? append : `${append} console=${console}`.trim();
}
