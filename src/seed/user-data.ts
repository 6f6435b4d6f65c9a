import { LineCounter, parseDocument } from 'yaml';
import { RecipeError } from '../errors.ts';

/** First lines cloud-init knows (cloudinit/handlers: INCLUSION_TYPES_MAP), beside MIME archives. */
const HEADERS = [
  '#cloud-config',
  '#!',
  '#include',
  '#cloud-boothook',
  '#part-handler',
  '## template: jinja',
  '#cloud-config-archive',
];

/**
 * Refuses user data that cloud-init would ignore or could not parse: a missing header is the commonest reason why a
 * seed "does nothing".
 * @throws RecipeError `seed.user-data` with the line
 */
export function checkUserData(text: string): void {
  const known = HEADERS.some((header) => text.startsWith(header)) || /^(content-type|mime-version):/i.test(text);
  if (!known) {
    throw new RecipeError('seed.user-data', 'Cannot use this user-data: its first line is not one cloud-init knows', {
      hint: 'Begin it with "#cloud-config" for YAML or with "#!/bin/sh" for a script.',
      evidence: { firstLine: text.split('\n', 1)[0] ?? '' },
    });
  }
  if (!/^#cloud-config\s*$/m.test(text.split('\n', 1)[0] ?? '')) return;
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const problem = document.errors[0];
  if (problem !== undefined) {
    const { line, col } = lines.linePos(problem.pos[0]);
    throw new RecipeError('seed.user-data', `Cannot use this user-data: line ${line}, column ${col} is not YAML`, {
      hint: problem.message,
    });
  }
  const value: unknown = document.toJS();
  if (value !== null && (typeof value !== 'object' || Array.isArray(value))) {
    throw new RecipeError('seed.user-data', 'Cannot use this user-data: #cloud-config must be a mapping', {
      hint: 'Write "key: value" lines below the header.',
    });
  }
}
