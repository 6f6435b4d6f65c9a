import { type PackageFacts, sortPackages } from './package-list.ts';

/**
 * Packages of apk's `installed` database, sorted: paragraphs of `<letter>:<value>` lines, where case tells fields apart
 * (apk-tools, doc/apk-v2(5)). What lacks a name is passed over.
 */
export function parseApkInstalled(text: string): PackageFacts[] {
  const packages: PackageFacts[] = [];
  for (const paragraph of text.split(/\n[ \t\r]*\n/)) {
    const fields = new Map<string, string>();
    for (const line of paragraph.split('\n')) {
      // Fields of the package come before those of its files, where letters mean other things.
      if (/^F:/.test(line)) break;
      if (line[1] === ':') fields.set(line[0] ?? '', line.slice(2).trim());
    }
    const name = fields.get('P');
    if (!name) continue;
    const version = fields.get('V') ?? '';
    const [license, source, supplier, summary] = ['L', 'o', 'm', 'T'].map((letter) => fields.get(letter));
    packages.push({
      name,
      version,
      arch: fields.get('A') ?? '',
      ...(license ? { license } : {}),
      ...(source ? { source, sourceVersion: version } : {}),
      ...(supplier ? { supplier } : {}),
      ...(summary ? { summary } : {}),
    });
  }
  return sortPackages(packages);
}
