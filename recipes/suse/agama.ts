/** The profile Agama is given: pure, from typed values. */
import { RecipeError } from '../../src/errors.ts';
import type { AnswerInputs } from '../../src/recipe/answer-inputs.ts';
import { listOf } from '../../src/recipe/variables.ts';
import { LOCKED } from './autoyast.ts';
import { packageNames } from './packages.ts';
import { drives } from './partitions.ts';
import type { AgamaRelease } from './release.ts';
import { repository } from './repository.ts';
import { installedScript, type Scripts } from './scripts.ts';

type Json = string | number | boolean | null | undefined | readonly Json[] | { readonly [key: string]: Json };
type JsonObject = { readonly [key: string]: Json };

/** Alias of the repository that has cloud-init where the medium lacks it; the last step of the build takes it out. */
export const CLOUD_INIT_REPOSITORY = 'compose-cloud-init';

/** @throws RecipeError `agama.custom`, `suse.package`, `suse.repository` */
export function agama(release: AgamaRelease, inputs: AnswerInputs, scripts: Scripts): string {
  const { arch, custom, packages, values, layout } = inputs;
  const repositories = [
    ...(release.cloudInit === undefined
      ? []
      : [{ name: CLOUD_INIT_REPOSITORY, address: values.cloud_init_repository || release.cloudInit }]),
    ...listOf(values.extra_repositories ?? '').map(repository),
  ];
  const profile: JsonObject = {
    product: { id: release.product },
    // Nobody is there to answer: a question takes its default.
    questions: { policy: 'auto' },
    root: { password: LOCKED, hashedPassword: true },
    localization: {
      language: values.locale ?? 'en_US.UTF-8',
      keyboard: values.keyboard ?? 'us',
      timezone: values.timezone ?? 'Etc/UTC',
    },
    software: {
      onlyRequired: true,
      patterns: release.patterns,
      packages: packageNames({ arch, kernel: values.kernel || undefined, more: packages }, release),
      ...(repositories.length > 0 && {
        extraRepositories: repositories.map(({ name, address }) => ({
          alias: name,
          url: address,
          allowUnsigned: true,
        })),
      }),
    },
    legacyAutoyastStorage: drives(layout) as unknown as Json,
    scripts: { post: [{ name: 'compose', chroot: true, content: installedScript(inputs, scripts) }] },
  };
  return `${JSON.stringify(custom === undefined ? profile : merged(profile, readCustom(custom)), null, 2)}\n`;
}

function readCustom(text: string): JsonObject {
  try {
    const value: unknown = JSON.parse(text);
    if (isObject(value as Json)) return value as JsonObject;
    throw new TypeError('it is no object');
  } catch (cause) {
    throw new RecipeError('agama.custom', `Cannot use the custom profile: ${(cause as Error).message}`, {
      hint: 'It is laid over ours, so it has to be JSON: evaluate Jsonnet first.',
      cause,
    });
  }
}

const isObject = (value: Json): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Objects key by key, lists of software and scripts one behind the other, all else in place of ours. */
function merged(ours: JsonObject, theirs: JsonObject, path = ''): JsonObject {
  const { storage } = theirs;
  const base = path === '' && storage !== undefined ? without(ours, 'legacyAutoyastStorage') : ours;
  const entries = Object.entries(theirs).map(([key, value]): [string, Json] => {
    const own = base[key];
    const adds = path === 'software' || path === 'scripts';
    if (isObject(own) && isObject(value)) return [key, merged(own, value, key)];
    if (adds && Array.isArray(own) && Array.isArray(value)) return [key, [...own, ...value]];
    return [key, value];
  });
  return { ...base, ...Object.fromEntries(entries) };
}

function without(object: JsonObject, key: string): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([name]) => name !== key));
}
