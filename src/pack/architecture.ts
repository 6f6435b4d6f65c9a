import { isComposeError } from '../errors.ts';
import type { FileTree } from '../filesystem/file-tree.ts';
import { machineOfRoot } from '../filesystem/root-machine.ts';
import { USUAL_ARCHITECTURE } from './records.ts';

/**
 * What MAAS is told of the architecture where nobody said: that of the programs in `tree`. Where they do not tell, or cannot be
 * read, it is the usual one, and a note: the disk may be packed as it is all the same.
 */
export async function architectureOf(tree: FileTree | undefined, notes: Set<string>): Promise<string> {
  let why = 'nothing tells the architecture';
  try {
    const machine = tree && (await machineOfRoot(tree));
    if (machine !== undefined) return `${machine}/generic`;
  } catch (error) {
    if (!isComposeError(error)) throw error;
    why = `the architecture cannot be read: ${error.message}`;
  }
  notes.add(`${why}; the records have ${USUAL_ARCHITECTURE}, unless --architecture says another`);
  return USUAL_ARCHITECTURE;
}
