import { FormatError } from '../errors.ts';

/** What `work` returns; a FormatError from it, which knows bytes only, is told which file the bytes came from. */
export function naming<T>(file: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof FormatError) || error.evidence.file !== undefined) throw error;
    throw new FormatError(error.code, `${error.message} (${file})`, {
      hint: error.hint,
      evidence: { ...error.evidence, file },
      cause: error.cause,
    });
  }
}
