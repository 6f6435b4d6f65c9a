/** The answers of Ubuntu's server installer (subiquity). Names of keys: its autoinstall reference. */
import { stringify } from 'yaml';
import { RecipeError } from '../src/errors.ts';
import type { AnswerFunction, AnswerInputs } from '../src/recipe/answer-inputs.ts';
import { listOf } from '../src/recipe/values.ts';
import { readMapping } from '../src/seed/yaml-mapping.ts';
import { mergeAnswers } from './merge-answers.ts';

/** What is known of the installer of a release. */
export interface Installer {
  /** Whether it has sources to choose among (/casper/install-sources.yaml); without, it installs the server. */
  readonly sources: boolean;
}

/** Left by the installer for the machine it ran on; cloud-init must find the machine it is deployed to. */
const LEFT_BY_THE_INSTALLER = [
  '/etc/cloud/cloud.cfg.d/99-installer.cfg',
  '/etc/cloud/cloud.cfg.d/90-installer-network.cfg',
  '/etc/cloud/cloud.cfg.d/subiquity-disable-cloudinit-networking.cfg',
  '/etc/cloud/cloud.cfg.d/curtin-preserve-sources.cfg',
  '/etc/cloud/cloud-init.disabled',
  '/etc/cloud/ds-identify.cfg',
  '/etc/netplan/00-installer-config.yaml',
  '/etc/netplan/50-cloud-init.yaml',
  '/etc/apt/apt.conf.d/90curtin-aptproxy',
];

/** What compose looks for on the console; the installer itself would wait for somebody at a shell. */
const FAILED = 'Sorry, there was a problem completing the installation';

/** The user data of a server installation, with the operator's own merged in. */
export function autoinstall({ sources }: Installer): AnswerFunction {
  return (inputs) => {
    const own = { autoinstall: answers(inputs, sources) };
    const merged = inputs.custom === undefined ? own : mergeAnswers(own, customAnswers(inputs.custom));
    return `#cloud-config\n${stringify(merged, YAML)}`;
  };
}

/** JSON's quotes around every text: no release of YAML reads "no" as false then. */
const YAML = { defaultStringType: 'QUOTE_DOUBLE', defaultKeyType: 'PLAIN', lineWidth: 0 } as const;

function answers(inputs: AnswerInputs, sources: boolean): Record<string, unknown> {
  const { values, packages, proxy, layout } = inputs;
  const { locale, keyboard, mirror } = values;
  const [kernel, ...beside] = kernels(inputs);
  const repositories = listOf(values.extra_repositories).map(
    (line, at) => [`compose-${at}`, { source: line }] as const,
  );
  return {
    version: 1,
    'refresh-installer': { update: false },
    locale,
    keyboard: { layout: keyboard },
    ...(sources && { source: { id: 'ubuntu-server', search_drivers: false } }),
    ...(proxy !== undefined && { proxy }),
    apt: {
      geoip: false,
      preserve_sources_list: false,
      ...(mirror !== undefined && mirror !== '' && { primary: [{ arches: ['default'], uri: mirror }] }),
      ...(repositories.length > 0 && { sources: Object.fromEntries(repositories) }),
    },
    storage: {
      layout: {
        name: layout === 'lvm' ? 'lvm' : 'direct',
        ...(layout === 'lvm' && sources && { 'sizing-policy': 'all' }),
      },
      swap: { size: 0 },
    },
    ...(kernel !== undefined && { kernel: { package: kernel } }),
    packages: [...packages, ...beside],
    ssh: { 'install-server': true, 'allow-pw': false },
    // An account would need a password; this asks for none but cloud-init's, and is removed below.
    'user-data': { users: ['default'] },
    'late-commands': [
      ['ln', '-sf', `/usr/share/zoneinfo/${values.timezone}`, '/target/etc/localtime'],
      ['sh', '-c', 'echo "$1" > /target/etc/timezone', 'sh', values.timezone],
      ['rm', '-f', ...LEFT_BY_THE_INSTALLER.map((path) => `/target${path}`)],
    ],
    'error-commands': [
      ['sh', '-c', 'tail -n 40 /var/log/installer/curtin-install.log > /dev/console 2>&1'],
      ['sh', '-c', `echo "${FAILED}" > /dev/console`],
    ],
    shutdown: 'poweroff',
  };
}

/** @throws RecipeError `ubuntu.kernel` */
function kernels({ recipe, values }: AnswerInputs): string[] {
  const names = listOf(values.kernel);
  const file = names.find((name) => name.startsWith('/'));
  if (file === undefined) return names;
  throw new RecipeError('ubuntu.kernel', `Cannot have ${recipe} installed with the kernel ${file}: it is a file`, {
    hint: 'The installer takes a package of its repositories. A step of a recipe installs a file afterwards; in the layout cloudimg this variable does.',
  });
}

/** The operator's text: user data, or what belongs below "autoinstall:" alone. */
function customAnswers(text: string): Record<string, unknown> {
  const value = readMapping(text, 'custom-autoinstall');
  return 'autoinstall' in value ? value : { autoinstall: value };
}
