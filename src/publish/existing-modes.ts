/** What to do about an image that has the name and architecture already. */
export const EXISTING = ['fail', 'replace', 'skip'] as const;
export type Existing = (typeof EXISTING)[number];
