import { RecipeError } from '../errors.ts';

/** Types of debconf questions, and `seen`, which marks one as asked (debconf-set-selections(1)). */
const TYPES = ['string', 'boolean', 'select', 'multiselect', 'note', 'text', 'password', 'error', 'title', 'seen'];

/**
 * Refuses a preseed file with lines that debconf-set-selections skips with a warning nobody sees.
 * @throws RecipeError `seed.preseed` with the line
 */
export function checkPreseed(text: string): void {
  const lines = text.split('\n');
  let answers = 0;
  for (let at = 0; at < lines.length; at++) {
    const first = at + 1;
    let line = (lines[at] ?? '').replace(/\r$/, '');
    if (line.trim() === '' || line.trimStart().startsWith('#')) continue;
    for (; line.endsWith('\\') && at + 1 < lines.length; at++) line = `${line.slice(0, -1)}${lines[at + 1] ?? ''}`;
    const [owner = '', question = '', type = ''] = line.trim().split(/\s+/);
    const why =
      question === ''
        ? `${owner} is followed by nothing`
        : !question.includes('/')
          ? `${question} is no question: it has no slash`
          : !TYPES.includes(type)
            ? `${type === '' ? 'nothing' : type} is no type of a question`
            : undefined;
    if (why !== undefined) {
      throw new RecipeError('seed.preseed', `Cannot use this preseed file: line ${first}: ${why}`, {
        hint: 'Each line is: owner, question, type, value, as in "d-i passwd/root-login boolean false".',
      });
    }
    answers++;
  }
  if (answers > 0) return;
  throw new RecipeError('seed.preseed', 'Cannot use this preseed file: it answers no question', {
    hint: 'The installer would ask for everything.',
  });
}
