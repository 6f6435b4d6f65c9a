import { PublishError } from '../errors.ts';
import type { Context } from '../events.ts';
import type { Image, ImageVersion } from './boot-resources.ts';
import type { Hashed } from './candidate.ts';
import type { Existing } from './existing-modes.ts';
import { type ImageFields, systemOf } from './image-rules.ts';
import { atLeast, bootsByNameAlone, type MaasVersion } from './maas-version.ts';
import { isSame } from './send.ts';
import { type Remote, versionOf } from './send-bytes.ts';

/** What is to be done about one image. */
export type Decision =
  | { readonly action: 'send' }
  /** The image is there, with these bytes and fields. */
  | { readonly action: 'same'; readonly id: number }
  /** Another one is there and stays. */
  | { readonly action: 'keep'; readonly id: number }
  /** Another one, or what is left of one, is deleted first: an upload to it would keep its base_image. */
  | { readonly action: 'replace'; readonly ids: readonly number[] };

/**
 * Refuses what this MAAS would refuse, or what would break an image it has; says what it cannot deploy yet.
 * @throws PublishError `publish.reserved`, `publish.other-architecture`
 */
export function checkAgainst(
  images: readonly Image[],
  version: MaasVersion,
  image: ImageFields,
  context: Context,
): void {
  const synced = images.filter(({ type }) => type === 'Synced').map(({ name }) => name);
  const { name } = image;
  if (synced.some((one) => one === name || one.split('/').includes(name))) {
    throw new PublishError('publish.reserved', `Cannot upload "${name}": MAAS keeps that name for its streams`, {
      hint: `Choose another one: --name ${name.replace('/', '/my-')}`,
    });
  }
  const elsewhere = images.find((one) => one.type === 'Uploaded' && one.name === name && !isSame(one, image));
  if (elsewhere !== undefined && bootsByNameAlone(version)) {
    throw new PublishError(
      'publish.other-architecture',
      `Cannot upload "${name}" for ${image.architecture}: MAAS ${version.text} has it for ${elsewhere.architecture} and could deploy neither`,
      { hint: `Put the architecture into the name: --name ${name}-${image.architecture.split('/')[0]}` },
    );
  }
  if (!atLeast(version, 3, 3))
    warn(context, `MAAS ${version.text} is older than those compose is made for (3.3 to 3.8)`);
  if (image.baseImage.startsWith('ol/') && !atLeast(version, 3, 5)) {
    throw new PublishError(
      'publish.base-image',
      `Cannot upload "${name}": MAAS ${version.text} knows no Oracle Linux`,
      {
        hint: 'Its nearest relative does as well: --base-image rhel/9',
      },
    );
  }
  const arch = image.architecture.split('/')[0];
  const imported = images.some((one) => one.name === image.baseImage && one.architecture.split('/')[0] === arch);
  if (systemOf(name) === 'custom' && image.baseImage.startsWith('ubuntu/') && !imported) {
    warn(context, `${image.baseImage} is not imported for ${arch}: MAAS deploys ${name} once it is`);
  }
}

function warn(context: Context, message: string): void {
  context.emit({ type: 'log', level: 'warn', message });
}

/**
 * What to do about `image`, given the images MAAS lists.
 * @throws PublishError `publish.exists`, `publish.shared-bytes`
 */
export async function decide(
  image: Hashed,
  listed: readonly Image[],
  existing: Existing,
  version: MaasVersion,
  remote: Remote,
  { signal }: Context,
): Promise<Decision> {
  const details: Image[] = [];
  for (const one of listed) {
    if (one.type !== 'Uploaded' || (!isSame(one, image) && !sharesBytes(version))) continue;
    const detail = await remote.images.read(one.id, signal);
    if (detail !== undefined) details.push(detail);
  }
  const there = details.filter((one) => isSame(one, image));
  const alike = there.find((one) => hasFields(one, image));
  if (alike !== undefined) return { action: 'same', id: alike.id };
  const twin = details.find((one) => !isSame(one, image) && versionOf(one, image.sha256)?.complete);
  if (twin !== undefined) {
    throw new PublishError(
      'publish.shared-bytes',
      `Cannot upload ${image.file}: MAAS ${version.text} has the same bytes as "${twin.name}" and could lose those`,
      { hint: `Delete that one first: compose upload --delete ${twin.name} --architecture ${twin.architecture}` },
    );
  }
  const [first] = there;
  if (first === undefined) return { action: 'send' };
  if (existing === 'replace') return { action: 'replace', ids: there.map(({ id }) => id) };
  const whole = there.find((one) => newest(one)?.complete);
  if (existing === 'skip' && whole !== undefined) return { action: 'keep', id: whole.id };
  const what = whole === undefined ? 'an upload of that name that never ended' : 'another image of that name';
  throw new PublishError('publish.exists', `Cannot upload ${image.file} as "${image.name}": MAAS has ${what}`, {
    hint: 'Delete it and upload this one with --existing replace, or choose another --name.',
    evidence: { image: first.id, sha256: newest(first)?.sha256 },
  });
}

/** MAAS 3.8 keeps one file for equal bytes, and bytes sent again for it damage and remove it (maasservicelayer, image files). */
function sharesBytes({ major, minor }: MaasVersion): boolean {
  return major === 3 && minor === 8;
}

function hasFields(one: Image, image: Hashed): boolean {
  const version = newest(one);
  const base = one.baseImage === undefined || image.baseImage === '' || one.baseImage === image.baseImage;
  return version?.complete === true && version.sha256 === image.sha256 && one.title === image.title && base;
}

function newest(image: Image): ImageVersion | undefined {
  return image.versions[0];
}
