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
  return error.issues.flatMap((issue) => {
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
