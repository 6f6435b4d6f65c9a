import { z } from 'zod';
import { ARCHITECTURES } from '../machine/arch.ts';
import { NIC_MODELS } from '../machine/board.ts';
import { FILE_TYPES, type FileType } from '../pack/filetypes.ts';
import { installer } from './installer-schema.ts';
import { size } from './size.ts';
import { type source, step } from './step-schema.ts';

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
  architecture: text.describe('arch/subarch').default('${arch}/generic'),
});

/** The whole of a recipe. Operators write part of it and extend a catalogue entry for the rest. */
export const recipeSchema = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9._-]*$/, 'a name has lower-case letters, digits, dots and dashes'),
  extends: text.optional().describe('a catalogue entry, or a recipe file beside this one'),
  title: text,
  family: text,
  version: text,
  arch: z.array(z.enum(ARCHITECTURES)).min(1),
  grade: z.enum(['built', 'driven', 'checked']),
  proven: text.describe('what the grade rests on'),
  variables: z.record(z.string().regex(/^[a-z][a-z0-9_]*$/), variable).default({}),
  sources: z.strictObject({
    cloudimg: z.strictObject({ url: text, sums: text, algorithm: z.enum(['sha256', 'sha512']) }).optional(),
    packages: z
      .strictObject({
        suite: text,
        components: z.array(text).min(1),
        kernel: text,
        include: z.array(text),
        include_for: z
          .partialRecord(z.enum(ARCHITECTURES), z.array(text))
          .optional()
          .describe('more packages, by architecture'),
      })
      .optional(),
    installer: installer.optional(),
  }),
  machine: z.strictObject({
    memory: size,
    cpus: z.number().int().min(1),
    disk: size,
    firmware: z.enum(['uefi', 'bios']).describe('bios exists on amd64 only'),
    secure_boot: z.boolean().optional().describe("firmware that enforces Secure Boot with the vendors' keys"),
    tpm: z.boolean().optional().describe('a TPM 2.0, emulated by swtpm'),
    cpu_model: text.optional().describe("QEMU's CPU model; the host's own, or a named one under emulation"),
    machine_type: text.optional().describe("QEMU's machine type; q35 or virt"),
    topology: z
      .strictObject({
        sockets: z.number().int().min(1),
        cores: z.number().int().min(1),
        threads: z.number().int().min(1),
      })
      .optional()
      .describe('factors of cpus'),
    nic: z.enum(NIC_MODELS).optional().describe('network card; virtio'),
    video: z.enum(['standard', 'virtio']).optional().describe('a graphics card; nothing is shown on the host'),
    extra_args: z.array(text).optional().describe("added to QEMU's arguments; they cannot replace what compose sets"),
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
