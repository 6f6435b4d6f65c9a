/** The source `installer`: a vendor's installation medium, and the answers it is given. */
import { z } from 'zod';
import { LAYOUTS } from '../machine/keys-layouts.ts';
import { ANSWER_LANGUAGES, type AnswerFunction } from './answer-inputs.ts';
import { parseDuration } from './duration.ts';
import { size } from './size.ts';

const text = z.string().min(1);

export const pattern = text.refine((value) => {
  try {
    return new RegExp(value) !== undefined;
  } catch {
    return false;
  }
}, 'it is no regular expression');

/** Ways answers reach an installer; the kinds of volumes are those of `compose seed`. */
export const ANSWER_WAYS = [
  'initrd',
  'nocloud',
  'nocloud-fat',
  'autoinstall',
  'autoinstall-fat',
  'oemdrv',
  'oemdrv-fat',
  'floppy',
  'iso',
  'fat',
  'http',
] as const;

/** An answer file in a recipe file. */
export const answerData = z.union([text.describe('a file beside the recipe'), z.strictObject({ text: z.string() })]);

/** An answer file in a recipe that is code: it may be generated as well. */
export const answerCode = z.union([
  answerData,
  z.custom<AnswerFunction>((value) => typeof value === 'function', 'a function of AnswerInputs'),
]);

const answersOf = <A extends z.ZodType>(answer: A) =>
  z.strictObject({
    on: z
      .enum(ANSWER_WAYS)
      .describe('initrd: inside the initrd; http: by this host, at ${answers_url}; all others: a volume of that kind'),
    label: text.optional().describe('of a volume that is not found by a label of its own'),
    files: z
      .record(text, answer)
      .refine((files) => Object.keys(files).length > 0, 'say at least one file')
      .describe('name where the installer looks, and what it holds; variables in it are replaced'),
  });

/** @param answer what a file of answers may be */
export const installerOf = <A extends z.ZodType>(answer: A) =>
  z.strictObject({
    iso: text.optional().describe('address or file of the medium; --iso FILE takes its place'),
    checksum: z
      .strictObject({
        algorithm: z.enum(['sha256', 'sha512']),
        value: text.optional(),
        sums: text.optional().describe('address of a list of digests'),
      })
      .refine(({ value, sums }) => (value === undefined) !== (sums === undefined), 'say one of value and sums')
      .optional()
      .describe('needed for an address'),
    iso_names: text
      .optional()
      .describe("for people: the vendor's file name or names, and where to get them; shown where a medium is wanted"),
    language: z.enum(ANSWER_LANGUAGES).optional().describe('of the answers; what --custom-LANGUAGE must be written in'),
    release: z
      .strictObject({ family: text, version: text })
      .optional()
      .describe("the installer's, whose rules the answers are checked by; those of the recipe where it is not given"),
    installs_packages: z
      .boolean()
      .default(false)
      .describe('generated answers install the packages of the recipe; the guest does not again'),
    file_name: pattern.optional().describe("regular expression of the vendor's file names, which a file must have"),
    volume: pattern.optional().describe('regular expression of the volume name, looked at before anything boots'),
    boot: z
      .enum(['kernel', 'media'])
      .default('kernel')
      .describe("kernel: the medium's kernel with our command line; media: the medium's own boot loader"),
    media_interface: z
      .enum(['sata', 'scsi', 'usb'])
      .optional()
      .describe('of the CD drives; sata on amd64, scsi on arm64 where it is not given'),
    kernel: text.optional().describe('path on the medium; found by itself on the media of known vendors'),
    initrd: text.optional().describe('path on the medium'),
    append: z
      .string()
      .default('')
      .describe('kernel command line; console= is added, ${volume} is the name of the volume'),
    keys: z
      .union([text, z.array(text)])
      .optional()
      .describe("typed once it runs, in the grammar of Packer's boot_command"),
    layout: z.enum(LAYOUTS).default('us').describe('keyboard layout of what reads the keys'),
    answers: z.array(answersOf(answer)).default([]),
    timeout: z
      .string()
      .refine((value) => parseDuration(value) !== undefined, 'a duration is a number with s, m or h: 90s, 10m, 1h30m')
      .default('1h')
      .describe('how long an installation may take under KVM; emulation stretches it'),
    memory: size.optional().describe('while installing; that of the machine where it is not given'),
    network: z.boolean().default(true).describe('whether the installer has a network'),
  });

export type InstallerSource = z.output<ReturnType<typeof installerOf<typeof answerCode>>>;
