import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HostError } from '../errors.ts';
import { run } from './process.ts';
import { which } from './tools.ts';

/** Used where the host has no Debian archive of its own (an Ubuntu host, say). */
export const DEFAULT_DEBIAN_MIRROR = 'http://ftp.debian.org/debian';

export interface AptSource {
  readonly uri: string;
  readonly suites: readonly string[];
  readonly components: readonly string[];
}

/** Sources of a one-line style file (sources.list(5)); options in brackets and comments are passed over. */
export function parseSourcesList(text: string): AptSource[] {
  const sources: AptSource[] = [];
  for (const line of text.split('\n')) {
    const match = /^\s*deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s*([^#]*)/.exec(line);
    if (match === null) continue;
    const [, uri = '', suite = '', components = ''] = match;
    sources.push({ uri, suites: [suite], components: components.trim().split(/\s+/).filter(Boolean) });
  }
  return sources;
}

/** Sources of a deb822 style file: stanzas with Types, URIs, Suites, Components; disabled ones are passed over. */
export function parseDeb822(text: string): AptSource[] {
  const sources: AptSource[] = [];
  for (const stanza of text.split(/\n\s*\n/)) {
    const fields = new Map<string, string>();
    let last = '';
    for (const line of stanza.split('\n')) {
      if (line.startsWith('#')) continue;
      const field = /^([A-Za-z-]+):\s*(.*)$/.exec(line);
      if (field !== null) {
        last = (field[1] ?? '').toLowerCase();
        fields.set(last, field[2] ?? '');
      } else if (/^\s/.test(line)) {
        fields.set(last, `${fields.get(last) ?? ''} ${line.trim()}`);
      }
    }
    const words = (name: string): string[] => (fields.get(name) ?? '').split(/\s+/).filter(Boolean);
    if (!words('types').includes('deb') || /^(no|false|off|0)$/i.test(fields.get('enabled') ?? '')) continue;
    for (const uri of words('uris')) sources.push({ uri, suites: words('suites'), components: words('components') });
  }
  return sources;
}

/** The Debian archive among `sources`: a path that ends in /debian, fetched over HTTP or HTTPS, as a guest can fetch it too. */
export function debianMirror(sources: readonly AptSource[]): string | undefined {
  const archives = sources.filter(({ uri }) => /^https?:/.test(uri) && /\/debian\/?$/.test(uri));
  return archives[0]?.uri.replace(/\/$/, '');
}

/** The Debian mirror this host's own package manager uses, or the default one. */
export async function hostDebianMirror(etc = '/etc/apt'): Promise<string> {
  const files = [join(etc, 'sources.list')];
  const folder = join(etc, 'sources.list.d');
  const names = await readdir(folder).catch(() => []);
  files.push(...names.sort().map((name) => join(folder, name)));
  const sources: AptSource[] = [];
  for (const file of files) {
    const text = await readFile(file, 'utf8').catch(() => '');
    if (file.endsWith('.sources')) sources.push(...parseDeb822(text));
    else if (file.endsWith('.list')) sources.push(...parseSourcesList(text));
  }
  return debianMirror(sources) ?? DEFAULT_DEBIAN_MIRROR;
}

/**
 * Installs packages with apt-get, as root or through sudo.
 * @throws HostError `install.unsupported`, `install.not-permitted`, `tool.failed`
 */
export async function aptInstall(
  packages: readonly string[],
  options: { readonly signal: AbortSignal; readonly onLine?: (line: string) => void },
): Promise<void> {
  if (which('apt-get') === undefined) {
    throw new HostError('install.unsupported', 'Cannot install packages: this host has no apt-get', {
      hint: `Install by hand what these Debian packages hold: ${packages.join(' ')}`,
    });
  }
  const root = process.getuid?.() === 0;
  if (!root && which('sudo') === undefined) {
    throw new HostError('install.not-permitted', 'Cannot install packages: neither root nor sudo is here', {
      hint: `As root, run: apt-get install ${packages.join(' ')}`,
    });
  }
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const apt = (...args: string[]): Promise<unknown> =>
    root ? run('apt-get', args, { ...options, env }) : run('sudo', ['-E', 'apt-get', ...args], { ...options, env });
  await apt('update', '-q');
  await apt('install', '-y', '-q', '--no-install-recommends', ...packages);
}
