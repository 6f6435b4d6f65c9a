const WORDS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'there is no such file',
  EISDIR: 'it is a folder',
  EACCES: 'this user may not read it',
  EPERM: 'this user may not read it',
};

/** Why a file cannot be read, without the system call and the path, which the sentence around it has already. */
export function fileProblem(cause: unknown): string {
  const { code, message } = cause as NodeJS.ErrnoException;
  return WORDS[code ?? ''] ?? message;
}
