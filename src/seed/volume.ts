import { FormatError, RecipeError } from '../errors.ts';
import { FLOPPY_SIZE, writeFat } from '../formats/fat/writer.ts';
import { writeIso9660 } from '../formats/iso9660/writer.ts';
import { checkKickstart } from './kickstart.ts';
import { checkPreseed } from './preseed.ts';
import { checkUserData } from './user-data.ts';
import { checkXml } from './xml.ts';
import { checkMapping, readMapping } from './yaml-mapping.ts';

/** Volume label cloud-init's NoCloud datasource looks for (cloudinit/sources/DataSourceNoCloud.py). */
export const NOCLOUD_LABEL = 'cidata';
/** Label Anaconda (pyanaconda, dracut: parse-kickstart), AutoYaST and Agama look for by themselves. */
export const OEMDRV_LABEL = 'OEMDRV';

/** What a volume is for; the part behind the hyphen is its file system. */
export type SeedKind = keyof typeof KINDS;

interface Kind {
  readonly medium: 'iso' | 'fat' | 'floppy';
  /** Fixed, for what installers look for; otherwise the caller's. */
  readonly label: string | undefined;
  readonly what: string;
  readonly check: (files: readonly SeedMember[]) => void;
}

/** A file on a volume. */
export interface SeedMember {
  /** Path from its root. */
  readonly path: string;
  readonly content: Uint8Array;
}

const KINDS = {
  nocloud: { medium: 'iso', label: NOCLOUD_LABEL, what: 'NoCloud seed', check: checkNoCloud },
  'nocloud-fat': { medium: 'fat', label: NOCLOUD_LABEL, what: 'NoCloud seed', check: checkNoCloud },
  autoinstall: { medium: 'iso', label: NOCLOUD_LABEL, what: 'autoinstall seed', check: checkAutoinstall },
  'autoinstall-fat': { medium: 'fat', label: NOCLOUD_LABEL, what: 'autoinstall seed', check: checkAutoinstall },
  oemdrv: { medium: 'iso', label: OEMDRV_LABEL, what: 'OEMDRV volume', check: checkOemdrv },
  'oemdrv-fat': { medium: 'fat', label: OEMDRV_LABEL, what: 'OEMDRV volume', check: checkOemdrv },
  floppy: { medium: 'floppy', label: undefined, what: 'floppy', check: checkAnswers },
  iso: { medium: 'iso', label: undefined, what: 'ISO', check: checkAnswers },
  fat: { medium: 'fat', label: undefined, what: 'FAT volume', check: checkAnswers },
} as const satisfies Record<string, Kind>;

export const SEED_KINDS = Object.keys(KINDS) as readonly SeedKind[];
const FLOPPY_LABEL = 'ANSWERS';

export interface SeedVolume {
  readonly kind: SeedKind;
  readonly label: string;
  readonly what: string;
  readonly image: Uint8Array;
}

/**
 * A volume of answers, whole. Names on an OEMDRV or NoCloud volume are in its root.
 * @param options.label of kinds that have none of their own
 * @param options.time of the files, seconds since 1970. @default 0
 * @throws RecipeError `seed.no-files`, `seed.label`, `seed.too-large`, and for answers that cannot work
 *   `seed.user-data`, `seed.meta-data`, `seed.network-config`, `seed.autoinstall`, `seed.oemdrv`, `seed.kickstart`,
 *   `seed.preseed`, `seed.xml`; `seed.volume` for names and labels the medium cannot have
 */
export function seedVolume(
  kind: SeedKind,
  files: readonly SeedMember[],
  options: { readonly label?: string | undefined; readonly time?: number | undefined } = {},
): SeedVolume {
  const { medium, what, check }: Kind = KINDS[kind];
  const label = labelOf(kind, options.label);
  if (files.length === 0) {
    throw new RecipeError('seed.no-files', `Cannot make the ${what}: no files are given`, {
      hint: 'Name them with --file NAME=PATH.',
    });
  }
  check(files);
  return { kind, label, what, image: write(medium, files, { label, time: options.time ?? 0, what }) };
}

/** What a medium cannot hold is a mistake in what was asked for, not damage. */
function write(
  medium: Kind['medium'],
  files: readonly SeedMember[],
  { label, time, what }: { readonly label: string; readonly time: number; readonly what: string },
): Uint8Array {
  try {
    if (medium === 'iso') return writeIso9660(files, { volumeId: label, time });
    return writeFat(files, { label, time, ...(medium === 'floppy' ? { size: FLOPPY_SIZE } : {}) });
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    if (medium === 'floppy' && error.code === 'fat.too-large') throw tooLarge(files, error);
    throw new RecipeError('seed.volume', `Cannot make the ${what}: ${error.message}`, {
      hint: error.hint,
      evidence: error.evidence,
      cause: error,
    });
  }
}

function labelOf(kind: SeedKind, given: string | undefined): string {
  const { label, what }: Kind = KINDS[kind];
  if (label !== undefined && given !== undefined && given !== label) {
    throw new RecipeError('seed.label', `Cannot label the ${what} ${JSON.stringify(given)}: it is found by ${label}`, {
      hint: `Leave the label out, or make a volume of another kind: --kind iso --label ${given}`,
    });
  }
  const chosen = label ?? given ?? (kind === 'floppy' ? FLOPPY_LABEL : undefined);
  if (chosen !== undefined) return chosen;
  throw new RecipeError('seed.label', `Cannot make the ${what}: it has no label`, {
    hint: 'Give one with --label: what reads the volume finds it by that.',
  });
}

function tooLarge(files: readonly SeedMember[], cause: FormatError): RecipeError {
  const bytes = files.reduce((sum, { content }) => sum + content.length, 0);
  return new RecipeError(
    'seed.too-large',
    `Cannot put ${files.length} files of ${bytes} bytes on a floppy: it holds 1.44 MB (${FLOPPY_SIZE} bytes, directories included)`,
    { hint: 'Put large files, drivers for instance, on a volume of their own: --kind iso.', cause },
  );
}

/** The text of the file of that name in the root, in any case of letters. */
function textOf(files: readonly SeedMember[], name: string): string | undefined {
  const found = files.find(({ path }) => path.replace(/^\/+/, '').toLowerCase() === name);
  return found === undefined ? undefined : new TextDecoder().decode(found.content);
}

function checkNoCloud(files: readonly SeedMember[]): void {
  const userData = textOf(files, 'user-data');
  const metaData = textOf(files, 'meta-data');
  const networkConfig = textOf(files, 'network-config');
  if (userData === undefined) {
    throw new RecipeError('seed.user-data', 'Cannot make the NoCloud seed: it has no user-data', {
      hint: 'Give it with --user-data PATH.',
    });
  }
  checkUserData(userData);
  if (metaData === undefined || metaData.trim() === '') {
    throw new RecipeError('seed.meta-data', 'Cannot make a NoCloud seed: meta-data is empty', {
      hint: 'It needs at least "instance-id: <anything>"; cloud-init takes a seed without it for no seed.',
    });
  }
  checkMapping(metaData, 'meta-data');
  if (networkConfig !== undefined) checkMapping(networkConfig, 'network-config');
}

/** Subiquity takes its answers from the key `autoinstall` of cloud-init's user data. */
function checkAutoinstall(files: readonly SeedMember[]): void {
  checkNoCloud(files);
  const text = textOf(files, 'user-data') ?? '';
  const wrong = (why: string, hint: string): RecipeError =>
    new RecipeError('seed.autoinstall', `Cannot use this user-data for an automatic installation: ${why}`, { hint });
  const example = 'Begin it with "#cloud-config", and nest the answers below "autoinstall:".';
  if (!text.startsWith('#cloud-config')) throw wrong('it is no #cloud-config', example);
  const { autoinstall } = readMapping(text, 'user-data');
  if (autoinstall === undefined) throw wrong('it has no key "autoinstall"', example);
  if (typeof autoinstall !== 'object' || autoinstall === null || Array.isArray(autoinstall)) {
    throw wrong('"autoinstall" is no mapping', example);
  }
  if ((autoinstall as Record<string, unknown>).version !== 1) {
    throw wrong('"autoinstall.version" is not 1', 'The installer takes no other version.');
  }
}

const OEMDRV_ANSWERS = ['ks.cfg', 'autoinst.xml', 'autoinst.json', 'autoinst.jsonnet'];

function checkOemdrv(files: readonly SeedMember[]): void {
  if (!OEMDRV_ANSWERS.some((name) => files.some(({ path }) => path.replace(/^\/+/, '') === name))) {
    throw new RecipeError(
      'seed.oemdrv',
      `Cannot make the OEMDRV volume: none of ${OEMDRV_ANSWERS.join(', ')} is in its root`,
      {
        hint: 'An installer finds no answers on it. For a driver disk alone: --kind iso --label OEMDRV',
        evidence: { files: files.map(({ path }) => path) },
      },
    );
  }
  const kickstart = textOf(files, 'ks.cfg');
  if (kickstart !== undefined) checkKickstart(kickstart);
  checkAnswers(files);
}

/**
 * Checks the files that have a name one installer alone looks for. A ks.cfg is not: ESXi's sections have no end.
 * @throws RecipeError `seed.preseed`, `seed.xml`
 */
export function checkAnswers(files: readonly SeedMember[]): void {
  for (const { path, content } of files) {
    const name = path.replace(/^\/+/, '').toLowerCase();
    if (name === 'preseed.cfg') checkPreseed(new TextDecoder().decode(content));
    if (name === 'autounattend.xml') checkXml(content, path, 'unattend');
    if (name === 'autoinst.xml') checkXml(content, path, 'profile');
  }
}
