import { RecipeError } from '../../src/errors.ts';

export interface Repository {
  readonly name: string;
  readonly address: string;
}

/**
 * A repository of the installation, `name=address`.
 * @throws RecipeError `suse.repository`
 */
export function repository(given: string): Repository {
  const [, name, address] = /^([\w.-]+)=((?:https?|ftp):\/\/\S+)$/.exec(given) ?? [];
  if (name !== undefined && address !== undefined) return { name, address };
  throw new RecipeError(
    'suse.repository',
    `Cannot add the repository ${JSON.stringify(given)}: it is not name=address`,
    {
      hint: 'For instance: --set extra_repositories=tools=https://download.opensuse.org/repositories/devel:/tools/15.6',
    },
  );
}
