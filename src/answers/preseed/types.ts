/** Types of debconf's questions (debconf-devel(7)); `seen` is a mark on a question, with true or false. */
export const QUESTION_TYPES = [
  'string',
  'boolean',
  'select',
  'multiselect',
  'note',
  'text',
  'password',
  'error',
  'title',
  'seen',
] as const;
export type QuestionType = (typeof QUESTION_TYPES)[number];
