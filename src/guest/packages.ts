import { quote } from './shell.ts';
import type { PackagesStep } from './step.ts';

const APT = 'apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold';

/**
 * One command for the guest's own package manager. `stale`: the indexes were not fetched yet in this build. A version is
 * pinned as `name=version`, whatever the manager writes for it.
 */
export function packagesCommand(step: PackagesStep, stale: boolean): string {
  const words = (names: readonly string[] = []): string => names.map(quote).join(' ');
  const pinned = (separator: string): string =>
    words(step.install.map((name) => (name.startsWith('-') ? name : name.replace('=', separator))));
  const install = step.install.length > 0;
  const remove = words(step.remove);
  const update = step.update ?? stale;
  const recommends = step.recommends ? '' : ' --no-install-recommends';
  const parts = (tool: string, lines: readonly (string | false | undefined)[]): string =>
    `if command -v ${tool} >/dev/null; then set -e; ${lines.filter(Boolean).join('; ')}; exit 0; fi`;
  const rpm = (tool: string): string =>
    parts(tool, [
      step.update && `${tool} -y makecache`,
      step.upgrade && `${tool} -y upgrade`,
      install && `${tool} -y install ${pinned('-')}`,
      remove && `${tool} -y remove ${remove}`,
    ]);
  return [
    parts('apt-get', [
      'export DEBIAN_FRONTEND=noninteractive',
      update && `${APT} update`,
      step.upgrade && `${APT} dist-upgrade`,
      install && `${APT} install${recommends} -- ${words(step.install)}`,
      remove && `${APT} purge -- ${remove}`,
    ]),
    rpm('dnf'),
    rpm('yum'),
    parts('zypper', [
      step.update && 'zypper -n refresh',
      step.upgrade && 'zypper -n update',
      install && `zypper -n install ${words(step.install)}`,
      remove && `zypper -n remove ${remove}`,
    ]),
    parts('apk', [
      update && 'apk update',
      step.upgrade && 'apk upgrade',
      install && `apk add -- ${words(step.install)}`,
      remove && `apk del -- ${remove}`,
    ]),
    'echo "no package manager that compose knows" >&2; exit 127',
  ].join('\n');
}
