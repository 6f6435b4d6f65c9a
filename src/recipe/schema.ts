import { z } from 'zod';
import { ARCHITECTURES } from '../machine/arch.ts';
import { NIC_MODELS } from '../machine/board.ts';
import { DISK_INTERFACES } from '../machine/spec.ts';
import { FILE_TYPES, type FileType } from '../pack/filetypes.ts';
import { answerCode, answerData, installerOf, pattern } from './installer-schema.ts';
import { partOf } from './parts.ts';
import { size } from './size.ts';
import { type source, step } from './step-schema.ts';
import { user } from './users.ts';

/** flat: the root in a partition; lvm: in a logical volume that fills a group on one partition. */
export const DISK_LAYOUTS = ['flat', 'lvm'] as const;
export type DiskLayout = (typeof DISK_LAYOUTS)[number];

const text = z.string().min(1);
const architecture = z.enum(ARCHITECTURES);

const variable = z.strictObject({
  type: z
    .enum(['string', 'number', 'boolean', 'size', 'list', 'address', 'timezone'])
    .default('string')
    .describe('list: commas between items; address: of http, https, ftp or file'),
  describe: text,
  default: z.union([z.string(), z.number(), z.boolean(), z.array(z.string())]).optional(),
  items: pattern.optional().describe('regular expression of what an item of a list may be; "describe" tells people'),
  secret: z.boolean().optional(),
});

const maas = z.strictObject({
  name: text.describe('name in MAAS: a bare word, or os/release'),
  title: text.describe('what the MAAS UI shows'),
  base_image: z.string().describe('os/series that MAAS unpacks the image with'),
  architecture: text.describe('arch/subarch').default('${arch}/generic'),
  user: text.optional().describe('account that cloud-init makes at the first boot'),
  minimum_maas: text.optional().describe('oldest version of MAAS that deploys it'),
  minimum_curtin: text.optional().describe('oldest version of curtin that deploys it'),
  maturity: z.enum(['alpha', 'beta', 'stable', 'eol']).optional().describe('how far the image is trusted elsewhere'),
  preseed: text.optional().describe("text of the region's curtin_userdata file for this image, where MAAS needs one"),
});

const machine = z.strictObject({
  memory: size,
  cpus: z.number().int().min(1),
  disk: size,
  firmware: z.enum(['uefi', 'bios']).describe('bios exists on amd64 only'),
  secure_boot: z.boolean().optional().describe("firmware that enforces Secure Boot with the vendors' keys"),
  tpm: z.boolean().optional().describe('a TPM 2.0, emulated by swtpm'),
  cpu_model: text.optional().describe("QEMU's CPU model; the host's own, or a named one under emulation"),
  machine_type: text.optional().describe("QEMU's machine type; q35 or virt"),
  disk_interface: z.enum(DISK_INTERFACES).optional().describe("of the image's disk; virtio"),
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
});

const cloudimg = z.strictObject({
  url: text.optional().describe('address of a qcow2 image; --image FILE takes its place'),
  sums: text.optional().describe('address of a list of digests; needed for an address'),
  algorithm: z.enum(['sha256', 'sha512']),
  digest: text
    .optional()
    .describe('what the digest of an image given with --image must be; not checked where it is empty'),
  file_name: pattern
    .optional()
    .describe("regular expression of the vendor's file names, which a given image must have"),
  image_names: text
    .optional()
    .describe("for people: the vendor's file name or names, and where to get them; shown where an image is wanted"),
});
const packages = z.strictObject({
  suite: text,
  components: z.array(text).min(1),
  kernel: text,
  include: z.array(text),
  include_for: z.partialRecord(architecture, z.array(text)).optional().describe('more packages, by architecture'),
  layout: z
    .enum(DISK_LAYOUTS)
    .default('flat')
    .describe('flat: the root in a partition; lvm: in a logical volume of one'),
});

const name = z.string().regex(/^[a-z0-9][a-z0-9._-]*$/, 'a name has lower-case letters, digits, dots and dashes');

const fields = z.strictObject({
  title: text,
  family: text,
  version: text,
  arch: z.array(architecture).min(1),
  grade: z.enum(['built', 'driven', 'checked']),
  proven: text.describe('what the grade rests on'),
  evidence: z.array(text).default([]).describe('tests and pages of compose that prove it, by their paths'),
  variables: z.record(z.string().regex(/^[a-z][a-z0-9_]*$/), variable).default({}),
  set: z
    .record(z.string().regex(/^[a-z][a-z0-9_]*$/), z.union([z.string(), z.number(), z.boolean(), z.array(z.string())]))
    .default({})
    .describe('values of variables; --set, the environment and --vars come before'),
  user: text.describe('account the build logs in with'),
  packages: z.array(text).default([]).describe('installed by the guest before the steps'),
  users: z.array(user).default([]).describe('accounts of the image, made after the packages'),
  provision: z.array(step).default([]),
  seal: z
    .array(
      z.strictObject({
        kind: z.enum(['remove', 'clear', 'empty']).describe('clear: what is in a folder; empty: what is in a file'),
        path: z.string().regex(/^\//, 'a path in the image begins with a slash').describe('may be a pattern'),
        reason: text,
        trees: z.literal(true).optional().describe('only where nothing but trees is packed'),
      }),
    )
    .default([])
    .describe('what the image does not carry, beside what every seal takes out'),
  outputs: z.array(z.enum(Object.keys(FILE_TYPES) as [FileType, ...FileType[]])).min(1),
  verify: z
    .strictObject({
      allow: z
        .array(z.strictObject({ rule: text.describe('id of a rule; * for any characters'), reason: text }))
        .optional()
        .describe('rules that may fail, each with its reason, which is recorded'),
      off: z.array(text).optional().describe('ids of rules that are not looked at, and of hygiene that is not sealed'),
    })
    .optional()
    .describe('how the image is judged before it is packed'),
});

const PER_ARCH = 'what differs on an architecture, laid over the rest';
const LAYOUTS = 'variants chosen by --layout, each laid over the rest; the first is the default';

/** @param answer what a file of answers may be */
function schemas<A extends z.ZodType>(answer: A) {
  const installer = installerOf(answer);
  const part = partOf(fields).extend({
    sources: z
      .strictObject({
        cloudimg: partOf(cloudimg).optional(),
        packages: partOf(packages).optional(),
        installer: partOf(installer).optional(),
      })
      .optional(),
    machine: partOf(machine).optional(),
    maas: partOf(maas).optional(),
  });
  const overlay = part.extend({ per_arch: z.partialRecord(architecture, part).optional().describe(PER_ARCH) });
  const layouts = z.record(name, overlay).describe(LAYOUTS);
  const recipe = z.strictObject({
    name,
    extends: text.optional(),
    ...fields.shape,
    sources: z.strictObject({
      cloudimg: cloudimg.optional(),
      packages: packages.optional(),
      installer: installer.optional(),
    }),
    machine,
    maas,
    per_arch: z.partialRecord(architecture, part).default({}),
    layouts: layouts.default({}),
  });
  const file = overlay.extend({
    name: name.optional(),
    extends: text.optional().describe('a catalogue entry, or a recipe file beside this one'),
    layouts: layouts.optional(),
  });
  return { overlay, recipe, file };
}

const code = schemas(answerCode);

/** The whole of a recipe. Operators write part of it and extend a catalogue entry for the rest. */
export const recipeSchema = code.recipe;

/** What a recipe file may hold: any part of a recipe, as data alone. */
export const recipeFileSchema = schemas(answerData).file;

/** What is laid over a recipe: a layout, or what differs on an architecture. */
export type RecipeOverlay = z.output<typeof code.overlay>;

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
