import type { LineCounter, ParsedNode } from 'yaml';
import { type Document, isMap, isNode, isPair, isScalar } from 'yaml';
import type { z } from 'zod';
import { RecipeError } from '../errors.ts';
import { nearest } from './suggest.ts';

/** A YAML document and where its lines begin, to point at what is wrong. */
export interface Position {
  readonly file: string;
  readonly document?: Document.Parsed<ParsedNode>;
  readonly lines?: LineCounter;
}

/** All that is wrong with a recipe, each with its place, as one error. */
export function recipeInvalid(problems: readonly string[], file: string): RecipeError {
  const [first = ''] = problems;
  const more = problems.length > 1 ? ` and ${problems.length - 1} more` : '';
  return new RecipeError('recipe.invalid', `Cannot use the recipe ${file}: ${first}${more}`, {
    hint: 'docs/reference/recipe.schema.json lists every key; an editor that reads JSON Schema checks as you type.',
    evidence: problems.length > 1 ? { problems } : {},
  });
}

/** zod's issues as lines of `file:line:column: what`, unknown keys with the nearest known one. */
export function describeIssues(
  error: z.ZodError,
  known: (path: readonly PropertyKey[]) => readonly string[],
  at: Position,
): string[] {
  return error.issues.flatMap(nearestForm).flatMap((issue) => {
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => {
        const meant = nearest(key, known(issue.path));
        const suggestion = meant === undefined ? '' : `; did you mean "${meant}"?`;
        return `${place([...issue.path, key], at)}unknown key "${key}"${suggestion}`;
      });
    }
    const path = issue.path.length > 0 ? `${issue.path.map(String).join('.')}: ` : '';
    return [`${place(issue.path, at)}${path}${issue.message}`];
  });
}

type Issue = z.core.$ZodIssue;

/** What is wrong with the form of a union that comes nearest: the one with the fewest keys too many or missing. */
function nearestForm(issue: Issue): Issue[] {
  if (issue.code !== 'invalid_union' || issue.errors.length === 0) return [issue];
  const cost = (issues: readonly Issue[]): number =>
    issues.reduce((sum, one) => {
      if (one.code === 'unrecognized_keys') return sum + one.keys.length * (one.path.length === 0 ? 2 : 1);
      // A value of another kind altogether: text where a mapping stands.
      return sum + (one.path.length === 0 ? 10 : 1);
    }, 0);
  const best = [...issue.errors].sort((a, b) => cost(a) - cost(b))[0] ?? [];
  if (best.some((one) => one.path.length === 0 && one.code !== 'unrecognized_keys')) return [issue];
  // A key that is misspelt is missing too; the misspelling tells more.
  const misspelt = best.some((one) => one.code === 'unrecognized_keys');
  const told = misspelt ? best.filter((one) => !isMissing(one)) : best;
  return told.flatMap((one) => nearestForm({ ...one, path: [...issue.path, ...one.path] } as Issue));
}

function isMissing(issue: Issue): boolean {
  if (issue.code === 'invalid_union') return issue.errors.every((form) => form.some(isMissing));
  return /received undefined$/.test(issue.message);
}

function place(path: readonly PropertyKey[], at: Position): string {
  if (at.document === undefined || at.lines === undefined) return '';
  for (let length = path.length; length >= 0; length--) {
    const offset = offsetOf(at.document, path.slice(0, length));
    if (offset === undefined) continue;
    const { line, col } = at.lines.linePos(offset);
    return `${at.file}:${line}:${col}: `;
  }
  return `${at.file}: `;
}

/** Where the key at `path` stands; of a list's item, where the item does. */
function offsetOf(document: Document.Parsed<ParsedNode>, path: readonly PropertyKey[]): number | undefined {
  const last = path.at(-1);
  const parent = path.length === 0 ? document.contents : document.getIn(path.slice(0, -1), true);
  if (isMap(parent)) {
    const pair = parent.items.find((item) => isPair(item) && isScalar(item.key) && item.key.value === last);
    if (pair !== undefined && isNode(pair.key)) return pair.key.range?.[0];
  }
  const node = document.getIn(path, true);
  return isNode(node) ? node.range?.[0] : undefined;
}
