import { type PackageFacts, sortPackages } from './package-list.ts';

/** States in which the files of a package are on the disk (dpkg(1), "Package states"). */
const UNPACKED = new Set(['installed', 'triggers-pending', 'triggers-awaited', 'half-configured', 'unpacked']);

/**
 * Packages of a dpkg status file (deb-control(5) stanzas), sorted. `stateless` is the state of a stanza without a Status:
 * those of `status.d` have none and are installed. What lacks a name is passed over.
 */
export function parseDpkgStatus(text: string, stateless = 'not-installed'): PackageFacts[] {
  const packages: PackageFacts[] = [];
  for (const stanza of text.split(/\n[ \t\r]*\n/)) {
    const fields = parseStanza(stanza);
    const name = fields.get('package');
    const state = fields.get('status')?.split(/\s+/).at(-1) ?? stateless;
    if (name === undefined || name === '' || !UNPACKED.has(state)) continue;
    const version = fields.get('version') ?? '';
    const supplier = fields.get('maintainer');
    const summary = fields.get('description');
    packages.push({
      name,
      version,
      arch: fields.get('architecture') ?? '',
      ...sourceOf(fields.get('source') ?? name, version),
      ...(supplier ? { supplier } : {}),
      ...(summary ? { summary } : {}),
    });
  }
  return sortPackages(packages);
}

/** First lines of the fields; names are case-insensitive. */
function parseStanza(stanza: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const line of stanza.split('\n')) {
    const colon = line.indexOf(':');
    if (colon <= 0 || /^[\s#]/.test(line)) continue;
    fields.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  return fields;
}

/** "name" or "name (version)"; the version of the binary package is that of the source where none is told. */
function sourceOf(field: string, version: string): { source: string; sourceVersion: string } {
  const match = /^(\S+)\s+\(([^)]*)\)$/.exec(field);
  return { source: match?.[1] ?? field, sourceVersion: match?.[2] ?? version };
}
