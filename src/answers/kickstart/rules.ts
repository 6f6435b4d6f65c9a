/** What the options of one command of a kickstart must be to one another; the tables cannot say it. */
import { type Report, shown } from '../problem.ts';
import type { Command } from './command.ts';
import type { Release } from './release.ts';
import { atLeastOne, exactlyOne, items, needs, onlyOne, type Rule, type Wrong } from './rule.ts';
import { STORAGE_RULES } from './storage-rules.ts';

const SYSTEM_RULES: Readonly<Record<string, Rule>> = {
  firewall: (command, wrong) => {
    onlyOne(command, ['--disabled', '--enabled', '--use-system-defaults'], wrong);
    for (const port of items(command, '--port')) {
      if (!/^[A-Za-z0-9-]+(:[a-z]+)?$/.test(port)) {
        wrong('option-value', `firewall --port is port:protocol, not ${shown(port)}`, 'As in: --port=8080:tcp');
      }
    }
  },
  harddrive: (command, wrong, release) => {
    if (release?.line === 'el' && release.number < 9) exactlyOne(command, ['--partition', '--biospart'], wrong);
  },
  keyboard: ({ words, options }, wrong) => {
    if (words.length > 0 || options.get('--vckeymap') || options.get('--xlayouts')) return;
    wrong('missing-argument', 'keyboard names no layout', 'As in: keyboard us');
  },
  liveimg: ({ options }, wrong) => {
    const checksum = options.get('--checksum');
    if (checksum !== undefined && !/^[0-9a-fA-F]{64}$/.test(checksum)) {
      wrong('option-value', 'liveimg --checksum is a SHA-256 digest: 64 hexadecimal digits');
    }
  },
  logging: (command, wrong) => needs(command, '--port', ['--host'], wrong),
  network,
  ostreesetup: ({ options }, wrong) => {
    const url = options.get('--url');
    if (url !== undefined && !/^(https?|file):/.test(url)) {
      wrong('option-value', `ostreesetup --url begins with http, https or file, not ${shown(url)}`);
    }
  },
  repo: (command, wrong, release) => {
    const sources = ['--baseurl', '--mirrorlist', '--metalink'];
    onlyOne(command, sources, wrong);
    // Since release 7 a name alone switches on a repository that the installer knows.
    if (release?.line === 'el' && release.number === 6) atLeastOne(command, sources, wrong);
  },
  rhsm: ({ options }, wrong) => {
    if (options.get('--activation-key') === '') wrong('option-value', 'rhsm --activation-key is empty');
  },
  rootpw: ({ words, options }, wrong, release) => {
    // EL 6 wants a word even where it locks the account.
    const old = release?.line === 'el' && release.number === 6;
    if (words.length > 0 || (options.has('--lock') && !old)) return;
    wrong('missing-argument', 'rootpw has no password', 'Give one with --iscrypted; "!" is none.');
  },
  selinux: (command, wrong) => exactlyOne(command, ['--disabled', '--enforcing', '--permissive'], wrong),
  services: (command, wrong) => atLeastOne(command, ['--disabled', '--enabled'], wrong),
  timesource: (command, wrong) => exactlyOne(command, ['--ntp-server', '--ntp-pool', '--ntp-disable'], wrong),
  timezone: (command, wrong) => {
    const { options, words } = command;
    const [zone] = words;
    onlyOne(command, ['--nontp', '--ntpservers'], wrong);
    if (zone !== undefined && !/^[A-Za-z0-9+_-]+(\/[A-Za-z0-9+_-]+){0,2}$/.test(zone)) {
      wrong('option-value', `${shown(zone)} is no time zone`, 'As in: Etc/UTC');
    }
    if (zone === undefined && options.size === 0) wrong('missing-argument', 'timezone names no time zone');
  },
  url: (command, wrong) => exactlyOne(command, ['--url', '--mirrorlist', '--metalink'], wrong),
};

const RULES: Readonly<Record<string, Rule>> = { ...STORAGE_RULES, ...SYSTEM_RULES };

/** Reports what the options of `command` must not be to one another. */
export function checkRules(command: Command, release: Release | undefined, report: Report): void {
  if (!Object.hasOwn(RULES, command.name)) return;
  const at = { line: command.line, column: command.column };
  RULES[command.name]?.(command, (rule, message, hint) => report.error(at, rule, message, hint), release);
}

const MOST_VLAN = 4095;

function network(command: Command, wrong: Wrong): void {
  const { options } = command;
  onlyOne(command, ['--bondslaves', '--teamslaves', '--bridgeslaves'], wrong);
  if (options.get('--bootproto') === 'static' && !options.has('--ipv6')) {
    for (const name of ['--ip', '--netmask']) {
      if (!options.has(name)) wrong('missing-option', `network --bootproto=static needs ${name}`);
    }
  }
  const ip = options.get('--ip');
  if (ip !== undefined && !/^(\d{1,3}(\.\d{1,3}){3}|dhcp|auto)$/.test(ip) && !ip.includes(':')) {
    wrong('option-value', `network --ip is an address, not ${shown(ip)}`);
  }
  needs(command, '--bridgeopts', ['--bridgeslaves'], wrong);
  for (const option of items(command, '--bridgeopts')) {
    if (!/^[^=\s]+=[^=\s]+$/.test(option))
      wrong('option-value', `network --bridgeopts is key=value, not ${shown(option)}`);
  }
  for (const name of ['--ipv4-dns-search', '--ipv6-dns-search', '--ipv4-ignore-auto-dns', '--ipv6-ignore-auto-dns']) {
    needs(command, name, ['--device'], wrong);
  }
  if (options.has('--bindto') && !options.has('--bondslaves')) onlyOne(command, ['--vlanid', '--bindto'], wrong);
  const name = options.get('--interfacename');
  const vlan = name === undefined ? null : /^(?:vlan|(?!vlan\.)[^.]+\.)(\d{1,5})$/.exec(name);
  if (name === undefined || (!name.includes('.') && !name.startsWith('vlan'))) return;
  if (vlan === null || Number(vlan[1]) > MOST_VLAN) {
    wrong(
      'option-value',
      `network --interfacename ends with the number of a VLAN, not ${shown(name)}`,
      'As in: vlan7 or eth0.7',
    );
  }
}
