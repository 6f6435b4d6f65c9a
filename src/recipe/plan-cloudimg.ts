/** The vendor's cloud image a build starts from: one at an address, or a file the operator got from where an account is wanted. */
import { resolve } from 'node:path';
import { RecipeError } from '../errors.ts';
import { isAddress } from './plan-installer.ts';
import type { Recipe } from './schema.ts';

type CloudImageSource = NonNullable<Recipe['sources']['cloudimg']>;

const DIGEST = { sha256: /^[0-9a-f]{64}$/i, sha512: /^[0-9a-f]{128}$/i } as const;

export interface PlannedCloudImage {
  readonly kind: 'cloudimg';
  /** Where the image is, and a list of digests that has it; undefined where `file` takes their place. */
  readonly url?: string;
  readonly sums?: string;
  readonly algorithm: 'sha256' | 'sha512';
  /** Path on this host; with neither `url` nor `file` the plan was made without the image (`PlanOptions.mediumLater`). */
  readonly file?: string;
  /** What the digest of `file` must be, where somebody knows it. */
  readonly digest?: string;
  /** For people: what the image is called, and where it is to be had. */
  readonly imageNames?: string;
}

export interface WantedImage {
  /** Name of the recipe. */
  readonly recipe: string;
  /** Path of a file that takes the place of the recipe's image. */
  readonly image: string | undefined;
  readonly mediumLater: boolean;
}

/** @throws RecipeError `cloudimg.image`, `cloudimg.sums`, `cloudimg.file-name`, `cloudimg.digest` */
export function planCloudImage(
  source: CloudImageSource,
  { recipe, image, mediumLater }: WantedImage,
): PlannedCloudImage {
  const { url, sums, algorithm, digest, file_name: pattern, image_names: imageNames } = source;
  const names = imageNames === undefined ? {} : { imageNames };
  if (image === undefined && url !== undefined) {
    if (sums !== undefined) return { kind: 'cloudimg', url, sums, algorithm };
    throw new RecipeError('cloudimg.sums', `Cannot plan ${recipe}: nothing says what ${url} must be`, {
      hint: 'Give the recipe sources.cloudimg.sums; what is downloaded is always checked.',
    });
  }
  const wanted = digest === undefined || digest === '' ? {} : { digest: checkedDigest(digest, algorithm, recipe) };
  if (image === undefined) {
    if (mediumLater) return { kind: 'cloudimg', algorithm, ...wanted, ...names };
    throw new RecipeError('cloudimg.image', `Cannot plan ${recipe}: it starts from an image that is not given`, {
      hint: `${whereToGet(source)} Then: --image FILE`,
    });
  }
  if (isAddress(image)) {
    throw new RecipeError('cloudimg.image', `Cannot plan ${recipe}: the image ${image} is no file of this host`, {
      hint: 'Download it first; an address with its checksums goes into sources.cloudimg of a recipe file.',
    });
  }
  const base = image.split('/').at(-1) ?? '';
  if (pattern !== undefined && !new RegExp(`^(?:${pattern})$`).test(base)) {
    throw new RecipeError('cloudimg.file-name', `Cannot plan ${recipe}: ${base} is no name of its image`, {
      hint: `The vendor's is like ${pattern}. ${imageNames === undefined ? '' : `${whereToGet(source)} `}A file that was renamed gets its name back with a symbolic link.`,
    });
  }
  return { kind: 'cloudimg', algorithm, file: resolve(image), ...wanted, ...names };
}

function whereToGet({ image_names: names, file_name: pattern }: CloudImageSource): string {
  if (names !== undefined) return `Get it: ${names}.`;
  return `Get it from its vendor${pattern === undefined ? '' : ` (its name is like ${pattern})`}.`;
}

function checkedDigest(digest: string, algorithm: CloudImageSource['algorithm'], recipe: string): string {
  if (DIGEST[algorithm].test(digest)) return digest.toLowerCase();
  throw new RecipeError('cloudimg.digest', `Cannot plan ${recipe}: "${digest}" is no ${algorithm} of an image`, {
    hint: `It is what ${algorithm}sum prints first.`,
  });
}

/** One line for people. */
export function cloudImageText({ url, sums, file, imageNames }: PlannedCloudImage): string {
  if (url !== undefined) return `${url}, checked by ${sums}`;
  return file ?? `an image given with --image FILE${imageNames === undefined ? '' : ` (${imageNames})`}`;
}
