/** The steps a recipe may hold, and what the guest makes of them. */
import { z } from 'zod';
import { VARIABLE_NAME } from '../guest/shell.ts';
import type { Step } from '../guest/step.ts';
import { ARCHITECTURES } from '../machine/arch.ts';
import { parseDuration } from './duration.ts';

const text = z.string().min(1);
const mode = z
  .union([z.number().int().min(0).max(0o7777), z.string().regex(/^0?[0-7]{3,4}$/, 'a mode is octal digits: "0755"')])
  .describe('permission bits; as text they are octal');
const owner = z
  .string()
  .regex(/^[A-Za-z0-9_][\w.-]*(:[A-Za-z0-9_][\w.-]*)?$/, 'an owner is user, or user:group')
  .describe('user or user:group, by name or number; root where it is not given');
const guestPath = z.string().regex(/^\//, 'a path in the guest begins with a slash');
const account = z.string().regex(/^[A-Za-z0-9_][\w.-]*\$?$/, 'an account has letters, digits, dots and dashes');
const duration = z
  .string()
  .refine((value) => parseDuration(value) !== undefined, 'a duration is a number with s, m or h: 90s, 10m, 1h30m')
  .describe('a number with s, m or h');

export const source = z.enum(['cloudimg', 'packages', 'installer']);

/** What every step may say beside what it does. */
const common = {
  name: text.optional().describe('shown in the progress and in errors'),
  sources: z.array(source).optional().describe('run the step only for these sources'),
  arch: z.array(z.enum(ARCHITECTURES)).optional().describe('run the step only for these architectures'),
  when: z
    .string()
    .optional()
    .describe('run the step only where this is not empty once its variables are replaced: ${kernel}'),
  early: z.boolean().optional().describe('run it before the packages of the recipe are installed'),
  retries: z.number().int().min(0).max(100).optional().describe('further tries after one that failed'),
  timeout: duration.optional().describe('how long one try may take: 90s, 10m'),
  allowFailure: z.boolean().optional().describe('a failure is told and passed over'),
  // Known so that the reason is told, not "unknown key".
  pauseBefore: z.never('compose waits for what it can see, never for a time: see docs/recipes.md').optional(),
  pauseAfter: z.never('compose waits for what it can see, never for a time: see docs/recipes.md').optional(),
};

const shell = z
  .strictObject({
    script: text.optional(),
    inline: z.array(text).min(1).optional().describe('lines of a script'),
    file: text.optional().describe('a script beside the recipe'),
    interpreter: text.optional().describe('in place of the first line of the script: python3 -u'),
    args: z.array(z.string()).optional(),
    env: z.record(z.string().regex(VARIABLE_NAME, 'no name of an environment variable'), z.string()).optional(),
    user: account.optional().describe('account it runs as; root where it is not given'),
    cwd: guestPath.optional().describe('folder it runs in; / where it is not given'),
    exitCodes: z
      .array(z.number().int().min(0).max(4_294_967_295))
      .min(1)
      .optional()
      .describe('statuses that are success'),
    expectDisconnect: z.boolean().optional().describe('the connection ends with it'),
  })
  .refine(
    ({ script, inline, file }) => [script, inline, file].filter((one) => one !== undefined).length === 1,
    'say one of script, inline and file',
  );

export const step = z
  .union([
    z.strictObject({
      ...common,
      packages: z.union([
        z.array(text),
        z.strictObject({
          install: z.array(text).default([]).describe('names, or name=version'),
          remove: z.array(text).optional(),
          recommends: z.boolean().optional(),
          update: z.boolean().optional().describe('fetch the indexes first; once a build where it is not given'),
          upgrade: z.boolean().optional().describe('bring all that is installed up to date first'),
        }),
      ]),
    }),
    z.strictObject({
      ...common,
      upload: z.strictObject({
        from: text,
        to: guestPath,
        mode: mode.optional(),
        owner: owner.optional(),
        exclude: z.array(text).optional().describe('patterns of what is left out: .git, *.pyc, cache/**'),
      }),
    }),
    z.strictObject({
      ...common,
      download: z.strictObject({
        from: guestPath,
        to: text.default('./').describe('under the folder of the artifacts'),
      }),
    }),
    z.strictObject({ ...common, shell: z.union([text, z.array(text).min(1), shell]) }),
    z.strictObject({
      ...common,
      write: z.strictObject({ path: guestPath, content: z.string(), mode: mode.optional(), owner: owner.optional() }),
    }),
    z.strictObject({ ...common, reboot: z.literal(true) }),
    z.strictObject({
      ...common,
      breakpoint: z.union([z.literal(true), text]).describe('stops until the operator goes on; a text is shown'),
    }),
  ])
  .describe('one of packages, upload, download, shell, write, reboot, breakpoint');

export type RecipeStep = z.output<typeof step>;

/** The step as the guest runs it. A `shell` that is one line naming a file beside the recipe is that file. */
export function toGuestStep(step: RecipeStep): Step {
  const { name, retries, allowFailure, timeout } = step;
  const timeoutMs = timeout === undefined ? undefined : parseDuration(timeout);
  const shared = defined({ name, retries, timeoutMs, allowFailure });
  if ('packages' in step) {
    const list = Array.isArray(step.packages) ? { install: step.packages } : step.packages;
    return { kind: 'packages', ...shared, ...defined(list) } as Step;
  }
  if ('upload' in step) {
    const { mode: bits, ...rest } = step.upload;
    return { kind: 'upload', ...shared, ...defined(rest), ...modeOf(bits) } as Step;
  }
  if ('download' in step) return { kind: 'download', ...shared, ...step.download } as Step;
  if ('write' in step) {
    const { mode: bits, ...rest } = step.write;
    return { kind: 'write', ...shared, ...defined(rest), ...modeOf(bits) } as Step;
  }
  if ('shell' in step) return { kind: 'shell', ...shared, ...shellStep(step.shell) } as Step;
  if ('breakpoint' in step) {
    return { kind: 'breakpoint', ...shared, ...(step.breakpoint === true ? {} : { note: step.breakpoint }) } as Step;
  }
  return { kind: 'reboot', ...shared } as Step;
}

function shellStep(value: Extract<RecipeStep, { shell: unknown }>['shell']): object {
  if (typeof value === 'string') return shellText(value);
  if (Array.isArray(value)) return { script: lines(value) };
  const { inline, ...rest } = value;
  return defined(inline === undefined ? rest : { ...rest, script: lines(inline) });
}

function lines(list: readonly string[]): string {
  return `${list.join('\n')}\n`;
}

function shellText(value: string): { file: string } | { script: string } {
  return /^(\.{0,2}\/)[^\s]+$/.test(value) ? { file: value } : { script: value };
}

function modeOf(value: string | number | undefined): { mode?: number } {
  if (value === undefined) return {};
  return { mode: typeof value === 'number' ? value : Number.parseInt(value, 8) };
}

function defined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as T;
}
