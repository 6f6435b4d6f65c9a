import { LineCounter, parseDocument } from 'yaml';
import { RecipeError } from '../errors.ts';

/**
 * Checks that a document of a seed is one YAML mapping, or nothing but comments.
 * @param name what the document is called in messages: `user-data`
 * @throws RecipeError `seed.<name>` with the line
 */
export function checkMapping(text: string, name: string): void {
  readMapping(text, name);
}

/** What such a document holds; empty when it is nothing but comments. @throws RecipeError `seed.<name>` with the line */
export function readMapping(text: string, name: string): Record<string, unknown> {
  const code = `seed.${name}`;
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const problem = document.errors[0];
  if (problem !== undefined) {
    const { line, col } = lines.linePos(problem.pos[0]);
    throw new RecipeError(code, `Cannot use this ${name}: line ${line}, column ${col} is not YAML`, {
      hint: problem.message,
    });
  }
  let value: unknown;
  try {
    value = document.toJS();
  } catch (cause) {
    // Aliases are only followed here: one of nothing, or so many that they would fill the memory.
    throw new RecipeError(code, `Cannot use this ${name}: ${(cause as Error).message}`, { cause });
  }
  if (value !== null && (typeof value !== 'object' || Array.isArray(value))) {
    throw new RecipeError(code, `Cannot use this ${name}: it must be a mapping`, {
      hint: 'Write "key: value" lines.',
    });
  }
  return (value ?? {}) as Record<string, unknown>;
}
