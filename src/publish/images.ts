import { PublishError } from '../errors.ts';
import type { Context } from '../events.ts';
import { type MaasLogin, resolveAccess } from './access.ts';
import { BootResources, type Image } from './boot-resources.ts';
import { bareName } from './image-rules.ts';
import { LIMITS, type Limits } from './limits.ts';
import { MaasClient } from './maas-client.ts';

export interface ImagesOptions {
  readonly maas: MaasLogin;
  readonly limits?: Partial<Limits>;
}

export interface DeleteOptions extends ImagesOptions {
  readonly name: string;
  /** `<arch>/<subarch>`, where the name is there on several. */
  readonly architecture?: string | undefined;
}

/** The images uploaded to a MAAS, with their versions; those it has from streams are not among them. */
export async function listImages(options: ImagesOptions, context: Context): Promise<Image[]> {
  return withImages(options, context, async (images) => {
    const uploaded = (await images.list(context.signal)).filter(({ type }) => type === 'Uploaded');
    const found: Image[] = [];
    for (const { id } of uploaded) {
      const image = await images.read(id, context.signal);
      if (image !== undefined) found.push(image);
    }
    return found;
  });
}

/**
 * Deletes an uploaded image with all its versions, and answers what it was.
 * @throws PublishError `publish.no-image`, `publish.several-images`, MaasError
 */
export async function deleteImage(options: DeleteOptions, context: Context): Promise<Image> {
  const { architecture } = options;
  const name = bareName(options.name);
  return withImages(options, context, async (images) => {
    const all = (await images.list(context.signal)).filter(({ type }) => type === 'Uploaded');
    // MAAS 3.8 keeps the prefix of images that were uploaded with one.
    const named = all.filter((one) => bareName(one.name) === name);
    const found = named.filter((one) => architecture === undefined || one.architecture === architecture);
    const [image] = found;
    if (image === undefined) {
      throw new PublishError('publish.no-image', `Cannot delete "${name}": MAAS has no uploaded image of that name`, {
        hint:
          named.length > 0 ? `It has it for ${architectures(named)}.` : 'compose upload --list shows what there is.',
      });
    }
    if (found.length > 1) {
      throw new PublishError(
        'publish.several-images',
        `Cannot delete "${name}": MAAS has ${found.length} of that name`,
        {
          hint: `Name one with --architecture: ${architectures(found)}.`,
        },
      );
    }
    await images.remove(image.id, context.signal);
    return image;
  });
}

function architectures(images: readonly Image[]): string {
  return images.map(({ architecture }) => architecture).join(', ');
}

async function withImages<T>(
  options: ImagesOptions,
  context: Context,
  work: (images: BootResources) => Promise<T>,
): Promise<T> {
  await using client = await MaasClient.open(await resolveAccess(options.maas, context));
  return await work(new BootResources(client, { ...LIMITS, ...options.limits }));
}
