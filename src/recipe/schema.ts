import { z } from 'zod';
import { FILE_TYPES, type FileType } from '../pack/filetypes.ts';
import { type source, step } from './step-schema.ts';

const UNITS: Readonly<Record<string, number>> = { '': 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3, T: 1024 ** 4 };

/** Bytes of `512M`, `4G`, `1.5G` or a plain number; undefined where it is neither. */
export function parseSize(text: string | number): number | undefined {
  if (typeof text === 'number') return Number.isSafeInteger(text) && text > 0 ? text : undefined;
  const match = /^(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?$/i.exec(text.trim());
  if (match === null) return undefined;
  const bytes = Math.round(Number(match[1]) * (UNITS[(match[2] ?? '').toUpperCase()] ?? Number.NaN));
  return Number.isSafeInteger(bytes) && bytes > 0 ? bytes : undefined;
}

const size = z
  .union([z.string(), z.number()])
  .refine((value) => parseSize(value) !== undefined, 'a size is a number with K, M, G or T: 512M, 4G')
  .describe('bytes, or a number with K, M, G or T (binary)');
const text = z.string().min(1);
const variable = z.strictObject({
  type: z.enum(['string', 'number', 'boolean', 'size']).default('string'),
  describe: text,
  default: z.union([z.string(), z.number(), z.boolean()]).optional(),
  secret: z.boolean().optional(),
});

const maas = z.strictObject({
  name: text.describe('name in MAAS: a bare word, or os/release'),
  title: text.describe('what the MAAS UI shows'),
  base_image: z.string().describe('os/series that MAAS unpacks the image with'),
  architecture: text.describe('arch/subarch').default('amd64/generic'),
});

/** The whole of a recipe. Operators write part of it and extend a catalogue entry for the rest. */
export const recipeSchema = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9._-]*$/, 'a name has lower-case letters, digits, dots and dashes'),
  extends: text.optional().describe('a catalogue entry, or a recipe file beside this one'),
  title: text,
  family: text,
  version: text,
  arch: z.array(z.enum(['amd64'])).min(1),
  grade: z.enum(['built', 'driven', 'checked']),
  proven: text.describe('what the grade rests on'),
  variables: z.record(z.string().regex(/^[a-z][a-z0-9_]*$/), variable).default({}),
  sources: z.strictObject({
    cloudimg: z.strictObject({ url: text, sums: text, algorithm: z.enum(['sha256', 'sha512']) }).optional(),
    packages: z
      .strictObject({ suite: text, components: z.array(text).min(1), kernel: text, include: z.array(text) })
      .optional(),
  }),
  machine: z.strictObject({
    memory: size,
    cpus: z.number().int().min(1),
    disk: size,
    firmware: z.enum(['uefi', 'bios']),
  }),
  user: text.describe('account the build logs in with'),
  packages: z.array(text).default([]).describe('installed by the guest before the steps'),
  provision: z.array(step).default([]),
  outputs: z.array(z.enum(Object.keys(FILE_TYPES) as [FileType, ...FileType[]])).min(1),
  maas,
});

/** What a recipe file may hold: any part of a recipe. */
export const recipeFileSchema = recipeSchema
  .extend({ maas: maas.partial(), machine: recipeSchema.shape.machine.partial() })
  .partial();

export type RecipeInput = z.input<typeof recipeSchema>;
export type Recipe = z.output<typeof recipeSchema>;
export type RecipeFile = z.output<typeof recipeFileSchema>;
export type { RecipeStep } from './step-schema.ts';
export { toGuestStep } from './step-schema.ts';
export type SourceKind = z.output<typeof source>;

/** Gives a catalogue entry its type; what it holds is checked when it is read. */
export function defineRecipe(recipe: RecipeInput): RecipeInput {
  return recipe;
}
