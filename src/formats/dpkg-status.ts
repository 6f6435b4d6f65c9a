/** A package an image has. */
export interface Package {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
}

/** Installed packages of a dpkg status file (deb-control stanzas), sorted by name. */
export function parseDpkgStatus(text: string): Package[] {
  const packages: Package[] = [];
  for (const stanza of text.split(/\n\n+/)) {
    const field = (name: string): string | undefined => new RegExp(`^${name}: *(.*)$`, 'm').exec(stanza)?.[1]?.trim();
    const name = field('Package');
    if (name === undefined || !/ installed$/.test(field('Status') ?? '')) continue;
    packages.push({ name, version: field('Version') ?? '', architecture: field('Architecture') ?? '' });
  }
  return packages.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}
