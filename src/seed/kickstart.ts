import { RecipeError } from '../errors.ts';

/** Sections of a kickstart file, each of which ends with `%end` (pykickstart: sections.py, parser.py). */
const SECTION = /^%(packages|pre|pre-install|post|onerror|traceback|addon|anaconda|certificate)\b/;
/** Lines that begin with a percent sign and are no section. */
const DIRECTIVE = /^%(include|ksappend)\b/;

/**
 * Refuses a kickstart that Anaconda would not read to its end.
 * @throws RecipeError `seed.kickstart` with the line
 */
export function checkKickstart(text: string): void {
  const wrong = (line: number, why: string, hint?: string): RecipeError =>
    new RecipeError('seed.kickstart', `Cannot use this kickstart: line ${line}: ${why}`, { hint });
  let open: { name: string; line: number } | undefined;
  let commands = 0;
  for (const [at, line] of text.split(/\r?\n/).entries()) {
    const section = SECTION.exec(line);
    if (/^%end\b/.test(line)) {
      if (open === undefined) throw wrong(at + 1, '%end without a section before it');
      open = undefined;
    } else if (section !== null) {
      if (open !== undefined)
        throw wrong(at + 1, `%${section[1]} begins before %${open.name} of line ${open.line} ends`);
      open = { name: section[1] ?? '', line: at + 1 };
      commands++;
    } else if (open === undefined && line.startsWith('%') && !DIRECTIVE.test(line)) {
      throw wrong(
        at + 1,
        `${line.split(/\s/, 1)[0]} is no section`,
        'Known are %packages, %pre, %post and their like.',
      );
    } else if (open === undefined && line.trim() !== '' && !line.trimStart().startsWith('#')) commands++;
  }
  if (open !== undefined) throw wrong(open.line, `%${open.name} has no %end`);
  if (commands > 0) return;
  throw new RecipeError('seed.kickstart', 'Cannot use this kickstart: it is empty', {
    hint: 'Anaconda would ask for everything; it needs at least the commands of an installation.',
  });
}
