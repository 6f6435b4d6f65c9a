/** cloud-init: what tells MAAS that a machine is deployed. */
import { parse } from 'yaml';
import { HOLDS, type Problem, type Rule, unless } from '../rule.ts';
import type { TreeFacts } from '../tree-facts.ts';
import { hasUbuntuBase } from './naming.ts';
import { hasRoot, whyNotCallable } from './system.ts';

const DATASOURCE = 'cloud-init cloudinit/sources/DataSourceMAAS.py';
const GATE = 'maas src/maasserver/preseed.py, DEPS_PER_OS';
/** The first that takes a network of version 2 as MAAS sends it. */
const NETWORK_V2 = [17, 1] as const;
const PACKAGES =
  /^(?:usr\/(?:local\/)?lib(?:64)?\/(?:python(?:\d(?:\.\d+)?)?|pypy3)\/(?:site|dist)-packages|opt\/[^/]+\/lib\/python[^/]*\/site-packages)\//;

export const cloudInitRules: readonly Rule[] = [
  {
    id: 'cloud-init.present',
    severity: 'error',
    title: 'cloud-init is there and can be called',
    why: 'MAAS runs "cloud-init --version" in every custom image and fails the deployment, and without it the machine never says that it is deployed.',
    source: GATE,
    mend: 'Install cloud-init, and the interpreter in its first line.',
    for: { of: 'system' },
    check: (facts) => asList(whyNotCallable(facts, 'cloud-init')),
  },
  {
    id: 'cloud-init.version',
    severity: 'error',
    title: 'cloud-init is 17.1 or later',
    why: 'Earlier ones do not take the network as MAAS sends it: curtin writes /etc/network/interfaces instead.',
    source: 'curtin curtin/commands/apply_net.py, the feature NETWORK_CONFIG_V2',
    mend: 'Install a newer cloud-init.',
    for: { of: 'system' },
    check: ({ tree }) => {
      if (tree === undefined || tree.command('cloud-init') === undefined) return HOLDS;
      const version = cloudInitVersion(tree);
      if (version === undefined) return [{ message: 'neither a package nor cloudinit/version.py tells its version' }];
      const [major = 0, minor = 0] = version.split('.').map(Number);
      const enough = major > NETWORK_V2[0] || (major === NETWORK_V2[0] && minor >= NETWORK_V2[1]);
      return unless(enough, `it is ${version}`);
    },
  },
  {
    id: 'cloud-init.datasource',
    severity: 'error',
    title: "cloud-init has MAAS's datasource",
    why: 'It cannot ask MAAS for anything without it.',
    source: DATASOURCE,
    mend: "Install the distribution's whole cloud-init; some split the datasources off.",
    for: { of: 'system' },
    check: ({ tree }) => {
      if (tree === undefined || tree.command('cloud-init') === undefined) return HOLDS;
      return unless(hasModule(tree, /^cloudinit\/sources\/DataSourceMAAS\.pyc?$/), 'there is no DataSourceMAAS.py');
    },
  },
  {
    id: 'cloud-init.oauthlib',
    severity: 'error',
    title: "Python's oauthlib is there",
    why: "MAAS's metadata is fetched with OAuth: the datasource fails without it, and the machine stays in Deploying.",
    source: `${DATASOURCE}; cloud-init cloudinit/url_helper.py`,
    mend: 'Install python3-oauthlib.',
    for: { of: 'system' },
    check: ({ tree }) => {
      if (tree === undefined || tree.command('cloud-init') === undefined) return HOLDS;
      return unless(hasModule(tree, /^oauthlib\/__init__\.pyc?$/), 'no package directory of Python has oauthlib');
    },
  },
  {
    id: 'cloud-init.datasource-list',
    severity: 'error',
    title: "No setting keeps MAAS's datasource out",
    why: 'Files are read in the order of their names: one that comes after the 95-cloudconfig-… curtin writes, or a list without MAAS, has the last word.',
    source: 'curtin curtin/commands/curthooks.py, handle_cloudconfig',
    mend: 'Have MAAS in datasource_list, or leave the list out, in /etc/cloud/cloud.cfg.d.',
    for: { of: 'system' },
    check: ({ tree }) => (tree === undefined ? HOLDS : datasourceProblems(tree)),
  },
  {
    id: 'cloud-init.enabled',
    severity: 'error',
    title: 'cloud-init starts',
    why: 'A deployed machine that never asks for its user data stays in Deploying until it times out.',
    source: 'cloud-init tools/ds-identify, systemd/cloud-init-generator; maas src/metadataserver',
    mend: 'Unmask its units, and let ds-identify search or name MAAS.',
    for: { of: 'system' },
    check: ({ tree }) => (tree === undefined ? HOLDS : disabledBy(tree)),
  },
  {
    id: 'cloud-init.network',
    severity: 'error',
    title: 'No setting turns off the network of cloud-init',
    why: "curtin hands the machine's network to cloud-init: with config disabled it has none after the restart.",
    source: 'curtin curtin/commands/apply_net.py',
    mend: 'Remove "network: {config: disabled}" from /etc/cloud/cloud.cfg.d.',
    for: { of: 'system' },
    check: ({ tree }) =>
      settings(tree)
        .filter(({ value }) => recordOf(value.network).config === 'disabled')
        .map(({ path }) => ({ message: 'it disables the network', path: `/${path}` })),
  },
  {
    id: 'cloud-init.settings',
    severity: 'error',
    title: 'The settings of cloud-init can be read',
    why: 'cloud-init passes over a file that is no YAML, with all that is in it.',
    source: 'cloud-init cloudinit/util.py, read_conf',
    mend: 'Mend the file; a value that begins with a special character wants quotes.',
    for: { of: 'system' },
    check: ({ tree }) =>
      settings(tree)
        .filter(({ problem }) => problem !== undefined)
        .map(({ path, problem }) => ({ message: problem ?? '', path: `/${path}` })),
  },
  {
    id: 'netplan.present',
    severity: 'error',
    title: 'netplan is there where MAAS asks for it',
    why: 'MAAS runs "netplan info" in a custom image whose base is Ubuntu, and fails the deployment.',
    source: GATE,
    mend: 'Install netplan.io, or name another base_image than Ubuntu.',
    for: { of: 'system' },
    check: (facts) => (hasUbuntuBase(facts) ? asList(whyNotCallable(facts, 'netplan')) : HOLDS),
  },
];

const asList = (problem: Problem | undefined): readonly Problem[] => (problem === undefined ? HOLDS : [problem]);

/** From the package that brought it, or from its own file. */
function cloudInitVersion(tree: TreeFacts): string | undefined {
  const [found] = tree.packages.get('cloud-init') ?? tree.packages.get('cloud-init-base') ?? [];
  const packaged = /^(?:\d+:)?(\d+(?:\.\d+)+)/.exec(found?.version ?? '')?.[1];
  if (packaged !== undefined) return packaged;
  for (const path of tree.entries.keys()) {
    if (!/\/cloudinit\/version\.py$/.test(path)) continue;
    const own = /__VERSION__\s*=\s*["'](\d+(?:\.\d+)+)/.exec(tree.text(path) ?? '')?.[1];
    if (own !== undefined) return own;
  }
  return undefined;
}

function hasModule(tree: TreeFacts, module: RegExp): boolean {
  for (const path of tree.entries.keys()) {
    const root = PACKAGES.exec(path)?.[0];
    if (root !== undefined && module.test(path.slice(root.length))) return true;
  }
  return false;
}

interface Setting {
  readonly path: string;
  readonly value: Readonly<Record<string, unknown>>;
  readonly problem: string | undefined;
}

const read = new WeakMap<TreeFacts, readonly Setting[]>();

/** The files cloud-init reads, in its order. */
function settings(tree: TreeFacts | undefined): readonly Setting[] {
  if (tree === undefined || !hasRoot(tree)) return [];
  const known = read.get(tree);
  if (known !== undefined) return known;
  const drops = tree
    .inside('etc/cloud/cloud.cfg.d')
    .map((entry) => Buffer.from(entry.path).toString())
    .filter((path) => path.endsWith('.cfg'))
    .sort();
  const list = ['etc/cloud/cloud.cfg', ...drops].flatMap((path): Setting[] => {
    const text = tree.text(path);
    return text === undefined ? [] : [settingOf(path, text)];
  });
  read.set(tree, list);
  return list;
}

function settingOf(path: string, text: string): Setting {
  // The vendor's own file is a template of Jinja in some packages.
  if (text.startsWith('## template:')) return { path, value: {}, problem: undefined };
  try {
    return { path, value: recordOf(parse(text, { maxAliasCount: 100 })), problem: undefined };
  } catch (error) {
    const [first] = (error instanceof Error ? error.message : String(error)).split('\n');
    return { path, value: {}, problem: first };
  }
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}

function datasourceProblems(tree: TreeFacts): readonly Problem[] {
  const last = settings(tree).findLast(({ value }) => Array.isArray(value.datasource_list));
  if (last === undefined) return HOLDS;
  const list = (last.value.datasource_list as unknown[]).map(String);
  return unless(list.includes('MAAS'), `datasource_list is [${list.join(', ')}]`, `/${last.path}`);
}

function disabledBy(tree: TreeFacts): readonly Problem[] {
  const problems: Problem[] = [];
  for (const unit of ['cloud-init.service', 'cloud-init-local.service', 'cloud-final.service', 'cloud-init.target']) {
    const path = `etc/systemd/system/${unit}`;
    const { target } = tree.own(path) ?? {};
    if (target !== undefined && Buffer.from(target).toString() === '/dev/null')
      problems.push({ message: `it masks ${unit}`, path: `/${path}` });
  }
  const identify = tree.text('etc/cloud/ds-identify.cfg') ?? '';
  const policy = /^\s*policy:\s*(\S+)/m.exec(identify)?.[1];
  const datasource = /^\s*datasource:\s*(\S+)/m.exec(identify)?.[1];
  if (policy?.startsWith('disabled'))
    problems.push({ message: `its policy is ${policy}`, path: '/etc/cloud/ds-identify.cfg' });
  else if (datasource !== undefined && datasource !== 'MAAS')
    problems.push({ message: `it names the datasource ${datasource}`, path: '/etc/cloud/ds-identify.cfg' });
  return problems;
}
