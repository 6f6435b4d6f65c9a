/** What runs in the new system at the end of an installation, in the vendor's chroot. */
import { RecipeError } from '../../src/errors.ts';
import { quote } from '../../src/guest/shell.ts';
import type { AnswerInputs } from '../../src/recipe/answer-inputs.ts';
import { listOf } from '../../src/recipe/variables.ts';
import { repositoryPackages } from './packages.ts';
import type { Release } from './releases.ts';

/** Texts of the files beside the recipes. */
export interface Scripts {
  readonly post: string;
  /** curtin's hooks. */
  readonly hooks: string;
}

const END = 'END_OF_FILE';

/** Said on the console when the script fails; compose ends the build on it. */
export const SCRIPT_FAILED = 'compose: the script of the installation failed';

/** @throws RecipeError `azurelinux.package`, `azurelinux.repository` */
export function installedScript({ maas }: Release, inputs: AnswerInputs, scripts: Scripts): string {
  const { arch, values, packages, proxy } = inputs;
  const words = {
    PACKAGES: repositoryPackages(arch, packages).join(' '),
    RPM_MIRROR: mirror(values.mirror ?? ''),
    EXTRA_REPOSITORIES: listOf(values.extra_repositories ?? '')
      .map(repository)
      .join(' '),
    TIME_ZONE: values.timezone ?? 'Etc/UTC',
    SYSTEM_LOCALE: values.locale ?? 'C.UTF-8',
    KEYBOARD: values.keyboard ?? 'us',
    DEFAULT_USER: maas.user,
  };
  return [
    '#!/bin/sh',
    'set -eu',
    `trap 'status=$?; [ $status -eq 0 ] || echo "${SCRIPT_FAILED} ($status)"' EXIT`,
    ...Object.entries(words).map(([name, value]) => `${name}=${quote(value)}`),
    ...(proxy === undefined ? [] : [`export http_proxy=${quote(proxy)} https_proxy=${quote(proxy)}`]),
    scripts.post.trimEnd(),
    'mkdir -p /curtin',
    `cat > /curtin/curtin-hooks <<'${END}'`,
    scripts.hooks.trimEnd(),
    END,
    'chmod 0755 /curtin/curtin-hooks',
    '',
  ].join('\n');
}

const ADDRESS = /^https?:\/\/[^\s#'"]+$/;

/** Becomes part of a sed program, between number signs. */
function mirror(address: string): string {
  const base = address.replace(/\/+$/, '');
  if (base === '' || (ADDRESS.test(base) && !/[&\\]/.test(base))) return base;
  throw new RecipeError('azurelinux.repository', `Cannot use the mirror ${JSON.stringify(address)}: it is no address`, {
    hint: 'Give what stands in place of https://packages.microsoft.com.',
  });
}

function repository(given: string): string {
  const [, address = ''] = /^[\w.-]+=(.+)$/.exec(given) ?? [];
  if (ADDRESS.test(address)) return given;
  throw new RecipeError(
    'azurelinux.repository',
    `Cannot add the repository ${JSON.stringify(given)}: it is not name=address`,
    {
      hint: 'For instance: --set extra_repositories=extended=https://packages.microsoft.com/azurelinux/3.0/prod/extended/x86_64',
    },
  );
}
