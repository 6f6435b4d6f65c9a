import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { RecipeError, registerSecret } from '../errors.ts';
import { parseSize } from '../formats/human.ts';
import type { Arch } from '../machine/arch.ts';
import type { Recipe } from './schema.ts';
import { nearest } from './suggest.ts';
import { archValues, listOf, type Values } from './values.ts';

export { archValues, listOf, type Values } from './values.ts';

const ENVIRONMENT_PREFIX = 'COMPOSE_VAR_';

export interface VariableSources {
  /** `key=value` as given by --set. */
  readonly set?: readonly string[];
  /** YAML or JSON mapping of keys to values. */
  readonly varsFile?: string | undefined;
  readonly env?: NodeJS.ProcessEnv;
}

/**
 * Values of a recipe's variables: --set, then COMPOSE_VAR_KEY, the variables file, what the recipe sets, defaults. A variable without
 * a value anywhere is left out. `${arch}` and `${uname_arch}` in a default are the architecture of the image.
 * @throws RecipeError `variable.unknown` with the nearest key, `variable.type`, `variable.syntax`
 */
export function resolveVariables(recipe: Recipe, sources: VariableSources, arch?: Arch): Values {
  const given: Record<string, string> = {};
  const take = (key: string, value: unknown, where: string): void => {
    if (recipe.variables[key] === undefined) throw unknownVariable(key, where, recipe);
    given[key] = check(recipe, key, asText(value), where);
  };
  // What a recipe sets may be a variable of another of its layouts.
  for (const [key, value] of Object.entries(recipe.set)) {
    if (recipe.variables[key] !== undefined) take(key, value, `set of ${recipe.name}`);
  }
  if (sources.varsFile !== undefined) {
    for (const [key, value] of Object.entries(readVariables(sources.varsFile))) take(key, value, sources.varsFile);
  }
  for (const [name, value] of Object.entries(sources.env ?? {})) {
    if (!name.startsWith(ENVIRONMENT_PREFIX) || value === undefined) continue;
    take(name.slice(ENVIRONMENT_PREFIX.length).toLowerCase(), value, name);
  }
  for (const setting of sources.set ?? []) {
    const equals = setting.indexOf('=');
    if (equals < 1) {
      throw new RecipeError('variable.syntax', `Cannot read --set ${setting}: it has no "key=value"`, {
        hint: 'Write --set key=value; the recipe\'s keys are shown by "compose show".',
      });
    }
    take(setting.slice(0, equals), setting.slice(equals + 1), '--set');
  }
  const values: Record<string, string> = {};
  for (const [key, variable] of Object.entries(recipe.variables)) {
    const byDefault = variable.default === undefined ? undefined : asText(variable.default);
    const value = given[key] ?? (arch === undefined ? byDefault : withArch(byDefault, arch));
    if (value === undefined) continue;
    if (variable.secret) registerSecret(value);
    values[key] = value;
  }
  return values;
}

function withArch(text: string | undefined, arch: Arch): string | undefined {
  const names = Object.entries(archValues(arch));
  return names.reduce((whole, [name, value]) => whole?.replaceAll(`\${${name}}`, value), text);
}

function asText(value: unknown): string {
  return Array.isArray(value) ? value.map(String).join(',') : String(value);
}

function readVariables(path: string): Record<string, unknown> {
  try {
    const value: unknown = parse(readFileSync(path, 'utf8'));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
    throw new TypeError('it is not a mapping of keys to values');
  } catch (cause) {
    throw new RecipeError('variable.file', `Cannot read variables from ${path}: ${(cause as Error).message}`, {
      cause,
    });
  }
}

/**
 * Refuses a value that the recipe sets for a variable that none of its layouts has.
 * @throws RecipeError `variable.unknown`
 */
export function checkSet(recipe: Recipe): void {
  const layouts = Object.values(recipe.layouts);
  const parts = [recipe, ...layouts, ...[recipe, ...layouts].flatMap(({ per_arch }) => Object.values(per_arch ?? {}))];
  const known = new Set(parts.flatMap((part) => Object.keys(part?.variables ?? {})));
  const unknown = Object.keys(recipe.set).find((key) => !known.has(key));
  if (unknown !== undefined) throw unknownVariable(unknown, 'set', recipe);
}

function unknownVariable(key: string, where: string, recipe: Recipe): RecipeError {
  const keys = Object.keys(recipe.variables);
  const meant = nearest(key, keys);
  return new RecipeError('variable.unknown', `Cannot set "${key}" (${where}): ${recipe.name} has no such variable`, {
    hint:
      meant === undefined
        ? `It has: ${keys.join(', ') || 'none'}.`
        : `Did you mean "${meant}"? It has: ${keys.join(', ')}.`,
  });
}

function check(recipe: Recipe, key: string, value: string, where: string): string {
  const { type = 'string', items = '.*', describe = '' } = recipe.variables[key] ?? {};
  const form = new RegExp(`^(?:${items})$`);
  const item = type === 'list' ? listOf(value).find((one) => !form.test(one)) : undefined;
  if (item === undefined && FITS[type](value)) return value;
  const why = item === undefined ? misfit(type, value) : `"${item}" is not what it takes`;
  const hint = item === undefined ? HINTS[type] : `It takes, with commas between them, ${describe}.`;
  throw new RecipeError('variable.type', `Cannot set "${key}" (${where}): ${why}`, { hint });
}

type VariableType = Recipe['variables'][string]['type'];

function misfit(type: VariableType, value: string): string {
  if (type === 'timezone') return `there is no time zone "${value}"`;
  return type === 'address' ? `it is no address, "${value}"` : `it is a ${type}, not "${value}"`;
}

/** Whether a text is a value of a type; an address may be left empty, which is none. */
const FITS: Readonly<Record<VariableType, (value: string) => boolean>> = {
  string: () => true,
  list: () => true,
  number: (value) => value.trim() !== '' && Number.isFinite(Number(value)),
  boolean: (value) => /^(true|false)$/.test(value),
  size: (value) => parseSize(value) !== undefined,
  address: (value) => value === '' || (/^(https?|ftp|file):\/\/\S+$/.test(value) && URL.canParse(value)),
  timezone: isTimeZone,
};

const HINTS: Readonly<Partial<Record<VariableType, string>>> = {
  address: 'Write it whole: http://HOST/PATH',
  timezone: 'It has the form Europe/Berlin, as below /usr/share/zoneinfo; UTC is Etc/UTC.',
};

/** Names alone: to JavaScript an offset is a time zone as well. */
function isTimeZone(value: string): boolean {
  if (!/^[A-Z][\w+-]*(\/[A-Z][\w+-]*)*$/.test(value)) return false;
  try {
    new Intl.DateTimeFormat('en', { timeZone: value });
    return true;
  } catch {
    return false;
  }
}

const NO_LISTS: ReadonlySet<string> = new Set();

/** Names of a recipe's variables of type list. */
export function listNames(recipe: Pick<Recipe, 'variables'>): ReadonlySet<string> {
  const lists = Object.entries(recipe.variables).filter(([, { type }]) => type === 'list');
  return new Set(lists.map(([name]) => name));
}

/**
 * `value` with every `${key}` in its texts replaced. `$${` stands for a literal `${`. An item of an array that is exactly
 * `${key}`, where `lists` has the key, becomes one item for each element. Functions stay what they are.
 * @throws RecipeError `variable.unset`
 */
export function interpolate<T>(value: T, values: Values, recipe: string, lists = NO_LISTS): T {
  if (typeof value === 'string') return substitute(value, values, recipe) as T;
  if (Array.isArray(value)) {
    return value.flatMap((item: unknown) => {
      const key = typeof item === 'string' ? /^\$\{([a-z][a-z0-9_]*)\}$/.exec(item)?.[1] : undefined;
      return key !== undefined && lists.has(key) ? listOf(values[key]) : [interpolate(item, values, recipe, lists)];
    }) as T;
  }
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, interpolate(item, values, recipe, lists)]),
    ) as T;
  }
  return value;
}

function substitute(text: string, values: Values, recipe: string): string {
  return text.replace(/\$(\$)?\{([a-z][a-z0-9_]*)\}/g, (whole, escaped: string | undefined, key: string) => {
    if (escaped !== undefined) return whole.slice(1);
    const value = values[key];
    if (value !== undefined) return value;
    throw new RecipeError('variable.unset', `Cannot use ${recipe}: its variable "${key}" has no value`, {
      hint: `Give it one with --set ${key}=…`,
    });
  });
}
