import { RecipeError } from '../errors.ts';
import { checkMapping } from './yaml-mapping.ts';

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
  // cloud-init goes by the beginning of the line alone; what follows is a comment to YAML.
  if (text.startsWith('#cloud-config') && !text.startsWith('#cloud-config-archive')) checkMapping(text, 'user-data');
}
