import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';
import { RecipeError } from '../errors.ts';
import { catalogueRecipe } from './catalogue.ts';
import { extend } from './overlay.ts';
import { describeIssues, type Position, recipeInvalid } from './problems.ts';
import { absolutePaths, missingFiles } from './recipe-paths.ts';
import { type Recipe, type RecipeFile, type RecipeInput, recipeFileSchema, recipeSchema } from './schema.ts';

/** Whether a name on the command line is a recipe file rather than a catalogue entry. */
export function isRecipeFile(name: string): boolean {
  return /\.(ya?ml|json)$/.test(name) || name.includes('/');
}

/**
 * The recipe `name` stands for: a catalogue entry, or a YAML file that extends one; a recipe that is code is itself. Scalars override, packages and
 * provision steps are appended, variables, machine, maas,
 * sources, layouts and what differs per architecture are merged key by key.
 * @throws RecipeError `recipe.unknown`, `recipe.not-found`, `recipe.invalid`, `recipe.loop`
 */
export function loadRecipe(name: string | RecipeInput): Recipe {
  if (typeof name !== 'string') return readRecipe(name);
  return isRecipeFile(name) ? loadFile(resolve(name), []) : catalogueRecipe(name);
}

function readRecipe(input: RecipeInput): Recipe {
  const read = recipeSchema.safeParse(input);
  if (read.success) return read.data;
  throw recipeInvalid(describeIssues(read.error, knownKeys, { file: input.name }), input.name);
}

/** The catalogue entry that `name` is, or extends in the end; undefined for a recipe that stands alone. */
export function rootEntry(name: string): string | undefined {
  let at = isRecipeFile(name) ? resolve(name) : name;
  const seen = new Set<string>();
  while (isRecipeFile(at)) {
    if (seen.has(at)) return undefined;
    seen.add(at);
    const { file } = parseFile(at);
    if (file.extends === undefined) return undefined;
    at = isRecipeFile(file.extends) ? resolve(dirname(at), file.extends) : file.extends;
  }
  return at;
}

function loadFile(path: string, trail: readonly string[]): Recipe {
  if (trail.includes(path)) {
    throw new RecipeError('recipe.loop', `Cannot use the recipe ${basename(path)}: it extends itself`, {
      evidence: { chain: [...trail, path] },
      hint: 'Let one of these files extend a catalogue entry instead (compose list).',
    });
  }
  if (!existsSync(path)) {
    throw new RecipeError('recipe.not-found', `Cannot read the recipe ${path}: there is no such file`, {
      hint: 'compose list shows the recipes that come with compose.',
    });
  }
  const { file, position } = parseFile(path);
  const base = file.extends === undefined ? undefined : loadBase(file.extends, path, [...trail, path]);
  const own = absolutePaths(file, dirname(path));
  const merged = base === undefined ? own : extend(base, own);
  const whole = recipeSchema.safeParse(merged);
  if (!whole.success) {
    const problems = describeIssues(whole.error, knownKeys, position);
    if (base === undefined) problems.push('without "extends" a recipe has to say everything; did you forget it?');
    throw recipeInvalid(problems, basename(path));
  }
  return whole.data;
}

function loadBase(name: string, from: string, trail: readonly string[]): Recipe {
  return isRecipeFile(name) ? loadFile(resolve(dirname(from), name), trail) : catalogueRecipe(name);
}

function parseFile(path: string): { file: RecipeFile; position: Position } {
  const lines = new LineCounter();
  const document = parseDocument(readFileSync(path, 'utf8'), { lineCounter: lines });
  const file = basename(path);
  if (document.errors.length > 0) {
    const problems = document.errors.map((error) => {
      const { line, col } = lines.linePos(error.pos[0]);
      return `${file}:${line}:${col}: ${error.message.split('\n', 1)[0]}`;
    });
    throw recipeInvalid(problems, file);
  }
  const position = { file, document, lines };
  const parsed = recipeFileSchema.safeParse(document.toJS() ?? {});
  const problems = parsed.success
    ? missingFiles(parsed.data, dirname(path))
    : describeIssues(parsed.error, knownKeys, position);
  if (!parsed.success || problems.length > 0) throw recipeInvalid(problems, file);
  return { file: parsed.data, position };
}

interface SchemaNode {
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly items?: SchemaNode;
  readonly additionalProperties?: SchemaNode | boolean;
  readonly anyOf?: readonly SchemaNode[];
}

/** Keys a recipe may have at `path`, whichever of its forms it takes. */
function knownKeys(path: readonly PropertyKey[]): string[] {
  const forms = (node: SchemaNode | boolean | undefined): SchemaNode[] =>
    typeof node === 'object' ? [node, ...(node.anyOf ?? []).flatMap(forms)] : [];
  let nodes = forms(z.toJSONSchema(recipeFileSchema, { io: 'input' }) as SchemaNode);
  for (const part of path) {
    nodes = nodes.flatMap((node) =>
      forms(typeof part === 'number' ? node.items : (node.properties?.[String(part)] ?? node.additionalProperties)),
    );
  }
  return [...new Set(nodes.flatMap((node) => Object.keys(node.properties ?? {})))];
}
