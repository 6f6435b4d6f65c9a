import { execFileSync } from 'node:child_process';

/** Versions of Debian packages that are installed, by name: what a figure of another host is to be compared with. */
export function versionsOf(packages: readonly string[]): Record<string, string> {
  const versions: Record<string, string> = {};
  for (const name of packages) {
    try {
      const stdio = ['ignore', 'pipe', 'ignore'] as const;
      const format = '${Version}\n';
      const text = execFileSync('dpkg-query', ['-W', '-f', format, name], { encoding: 'utf8', stdio: [...stdio] });
      versions[name] = text.split('\n')[0] ?? '';
    } catch {
      // The rival was built by hand: it has no version here.
    }
  }
  return versions;
}
