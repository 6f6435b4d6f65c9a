/** The choice of `compose bench --save`: one small file in the configuration folder. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Context } from '../events.ts';
import { configFolder } from '../host/folders.ts';
import { isChunk, isWindow, isWorkers, type PackTuning } from '../pack/pack-options.ts';
import { writeWhole } from '../pack/sink.ts';

/** What was chosen, where it is not the default. */
export interface Choice {
  /** Of gzip by the engine the host takes by itself; the bytes of an artifact depend on it. */
  readonly level?: number | undefined;
  /** Bytes of output in a member of gzip; the bytes of an artifact depend on it. */
  readonly chunk?: number | undefined;
  readonly workers?: number | undefined;
  readonly window?: number | undefined;
}

/** Loads its library only for a file that is there: most hosts have none. */
async function parseChoice(text: string) {
  const { z } = await import('zod');
  const schema = z.strictObject({
    version: z.literal(1),
    level: z.number().int().min(0).max(12).optional(),
    chunk: z.number().refine(isChunk, 'is not 256 KiB to 16 MiB in steps of 64 KiB').optional(),
    workers: z.number().refine(isWorkers, 'is not 1 to 1024').optional(),
    window: z.number().refine(isWindow, 'is not 2 to 16').optional(),
  });
  return schema.safeParse(JSON.parse(text));
}

export function tuningFile(env: NodeJS.ProcessEnv = process.env): string {
  return join(configFolder(env), 'tuning.json');
}

/** Saves `choice`, whole or not at all. @returns the path @throws PackError `pack.output`, `pack.write` */
export async function saveChoice(choice: Choice, path: string = tuningFile()): Promise<string> {
  return (await writeWhole(path, `${JSON.stringify({ version: 1, ...choice }, null, 2)}\n`)).path;
}

/** The longest file that is read: a choice takes some hundred bytes. */
const LONGEST = 64 * 1024;

/**
 * What was saved. A file that cannot be read, is damaged, or says what cannot be is warned of and ignored.
 * @returns undefined where there is none
 */
export async function savedChoice(context: Context, path: string = tuningFile()): Promise<Choice | undefined> {
  let why: string;
  try {
    const about = await stat(path);
    if (!about.isFile() || about.size > LONGEST) throw new RangeError('it is no file of a choice');
    const read = await parseChoice(await readFile(path, 'utf8'));
    if (read.success) {
      const { version: _, ...choice } = read.data;
      return choice;
    }
    why = read.error.issues.map(({ path: at, message }) => `${at.join('.') || 'the file'}: ${message}`).join('; ');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    why = (error as Error).message;
  }
  const message = `${path} is ignored: ${why}. Run compose bench --save again, or remove it.`;
  context.emit({ type: 'log', level: 'warn', message });
  return undefined;
}

/** The saved choice as defaults of a pack, told in a line, because chunk and level change the bytes. */
export async function savedDefaults(context: Context, path: string = tuningFile()): Promise<PackTuning> {
  const choice = await savedChoice(context, path);
  if (choice === undefined || Object.keys(choice).length === 0) return {};
  const { level, ...rest } = choice;
  const said = Object.entries(choice).map(([name, value]) => `${name} ${value}`);
  context.emit({ type: 'log', level: 'info', message: `defaults of ${path}: ${said.join(', ')}` });
  return { ...(rest as PackTuning), ...(level === undefined ? {} : { levels: { gzip: level } }) };
}
