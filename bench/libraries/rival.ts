/**
 * Packages that are measured and no dependencies: each is installed into a temporary folder, first as compose's own are,
 * with install scripts off; where it does not load then, with them.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

export interface Wanted {
  readonly name: string;
  readonly version: string;
  /** What is imported. @default name */
  readonly entry?: string;
  /** Tells it from another entry of the same package. */
  readonly label?: string;
}

export interface Rival {
  readonly title: string;
  /** Its exports; those of a CommonJS module are under `default` too. */
  // biome-ignore lint/suspicious/noExplicitAny: a package that is no dependency has no types here.
  readonly module?: any;
  /** What is to be known of it beside its figures, or why there are none. */
  readonly remark: string;
}

/** The package loaded, or why it cannot be: both are rows of a table. */
export async function getRival({ name, version, entry = name, label = '' }: Wanted, work: string): Promise<Rival> {
  const title = `${name} ${version}${label}`;
  const folder = mkdtempSync(join(work, 'npm-'));
  writeFileSync(join(folder, 'package.json'), '{"private":true}');
  writeFileSync(join(folder, 'load.mjs'), `export * as module from '${entry}';\n`);
  const npm = (...args: string[]): boolean =>
    spawnSync('npm', [...args, '--no-audit', '--no-fund', '--loglevel=error'], { cwd: folder, stdio: 'ignore' })
      .status === 0;
  if (!npm('install', '--ignore-scripts', `${name}@${version}`)) return { title, remark: 'cannot be installed' };
  const remarks = asksFor(join(folder, 'node_modules', name));
  const refused = loadError(folder);
  if (refused !== undefined) {
    npm('rebuild', '--ignore-scripts=false');
    if (loadError(folder) !== undefined) return { title, remark: [...remarks, refused].join('; ') };
    remarks.push(`compiles at install: ${refused}`);
  }
  const { module } = (await import(pathToFileURL(join(folder, 'load.mjs')).href)) as { module: unknown };
  return { title, module, remark: remarks.join('; ') };
}

/** The Node it asks for, where that is another one. */
function asksFor(folder: string): string[] {
  const { engines } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { engines?: { node?: string } };
  const asked = engines?.node;
  const least = Number(/^\D*(\d+)/.exec(asked ?? '0')?.[1]);
  return least > Number(process.versions.node.split('.')[0]) ? [`asks for Node ${asked}`] : [];
}

/** What its import says in a process of its own: one that failed here would fail again after a rebuild. */
function loadError(folder: string): string | undefined {
  const { status, stderr } = spawnSync(process.execPath, ['load.mjs'], { cwd: folder, encoding: 'utf8' });
  if (status === 0) return undefined;
  for (const [pattern, say] of REASONS) {
    const match = pattern.exec(stderr);
    if (match !== null) return say(match[1] ?? '');
  }
  return (/^\w*Error.*$/m.exec(stderr)?.[0] ?? 'it does not load').replaceAll(folder, '').slice(0, 100);
}

const REASONS: readonly (readonly [RegExp, (found: string) => string])[] = [
  [/version `(\S+)' not found/, (library) => `its binary needs ${library}, which the host has not`],
  [
    /Cannot find native binding|Could not locate the bindings|Cannot find module '.*\.node'/,
    () => 'no binary comes with it',
  ],
];
