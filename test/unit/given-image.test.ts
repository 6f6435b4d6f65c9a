import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { cloudImage } from '../../src/build/cloud-image.ts';
import type { ComposeError } from '../../src/errors.ts';
import { quietContext } from '../../src/events.ts';
import { planDifferences } from '../../src/recipe/differences.ts';
import { loadRecipe } from '../../src/recipe/load.ts';
import { type PlanOptions, plan } from '../../src/recipe/plan.ts';
import { showText } from '../../src/recipe/show-text.ts';
import { planText } from '../../src/recipe/text.ts';

const NAME = 'SLES12-SP5-JeOS.x86_64-12.5-OpenStack-Cloud-GM.qcow2';
const caught = (options: PlanOptions): ComposeError => {
  try {
    plan(options);
  } catch (error) {
    return error as ComposeError;
  }
  throw new Error('it was planned');
};

describe('a plan from an image that the vendor gives to customers only', () => {
  test('without the image says what it is and how to give it', () => {
    const error = caught({ recipe: 'sles-12' });
    expect(error.code).toBe('cloudimg.image');
    expect(error.message).toBe('Cannot plan sles-12: it starts from an image that is not given');
    expect(error.hint).toBe(`Get it: ${NAME}, from the SUSE Customer Center. Then: --image FILE`);
  });

  test('names the file, and the digest where it is known', () => {
    const image_sha256 = 'AB'.repeat(32);
    const made = plan({ recipe: 'sles-12', image: `/images/${NAME}`, set: [`image_sha256=${image_sha256}`] });
    expect(made.source).toMatchObject({ file: `/images/${NAME}`, digest: 'ab'.repeat(32), algorithm: 'sha256' });
    expect(planText(made)).toContain(`/images/${NAME}`);
    const later = plan({ recipe: 'sles-12', mediumLater: true });
    expect(planText(later)).toContain(`an image given with --image FILE (${NAME}`);
    expect(planDifferences(made, later)).toContainEqual({ what: 'source', name: 'file', to: `/images/${NAME}` });
  });

  test('is shown as one that is to be given', () => {
    const shown = showText(loadRecipe('sles-12'), {});
    expect(shown).toContain("the vendor's cloud image, a file that is given\n");
    expect(shown).toContain(`image: ${NAME}, from the SUSE Customer Center (to be given with --image FILE)\n`);
  });

  test.each([
    ['an image of another name', { recipe: 'sles-12', image: '/images/other.qcow2' }, 'cloudimg.file-name'],
    ['an address', { recipe: 'sles-12', image: `https://v.example/${NAME}` }, 'cloudimg.image'],
    ['a digest that is none', { recipe: 'sles-12', image: NAME, set: ['image_sha256=abc'] }, 'cloudimg.digest'],
    ['an image for what an installer makes', { recipe: 'azurelinux-3', image: NAME }, 'recipe.image'],
    ['an image beside another source', { recipe: 'debian-12', image: NAME, source: 'packages' }, 'recipe.image'],
  ] as const)('refuses %s', (_, options, code) => {
    expect(caught(options).code).toBe(code);
  });
});

test("takes the place of a recipe's own image", () => {
  const { source } = plan({ recipe: 'debian-12', image: '/images/mine.qcow2' });
  expect(source).toEqual({ kind: 'cloudimg', algorithm: 'sha512', file: '/images/mine.qcow2' });
});

describe('an image that is given', () => {
  let folder = '';
  let image = '';
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'compose-image-'));
    image = join(folder, 'image.qcow2');
    await writeFile(image, Buffer.from('514649fb00000003', 'hex'));
  });
  afterEach(() => rm(folder, { recursive: true }));
  // printf '\x51\x46\x49\xfb\x00\x00\x00\x03' | sha256sum
  const SHA256 = '3afc8409bb5bef7e6e18de350e88046f5bd9190b012e133c756f8af783b62d6a';
  const taken = (file: string, digest?: string) =>
    cloudImage(
      { kind: 'cloudimg', algorithm: 'sha256', file, ...(digest !== undefined && { digest }) },
      'sles-12',
      quietContext(),
    );

  test('is used where it is, with its digest for the manifest', async () => {
    const base = await taken(image, SHA256);
    expect(base).toEqual({
      path: image,
      format: 'qcow2',
      fromCache: false,
      input: { kind: 'cloudimg', image: 'image.qcow2', sha256: SHA256, size: 8 },
    });
  });

  test('is refused where it is another one, no qcow2, or not there', async () => {
    await expect(taken(image, '0'.repeat(64))).rejects.toMatchObject({ code: 'download.checksum' });
    await writeFile(image, 'KDMV');
    await expect(taken(image)).rejects.toMatchObject({ code: 'cloudimg.format' });
    await expect(taken(join(folder, 'gone.qcow2'))).rejects.toMatchObject({ code: 'cloudimg.unreadable' });
    await expect(taken(folder)).rejects.toMatchObject({ code: 'cloudimg.unreadable' });
    const later = cloudImage({ kind: 'cloudimg', algorithm: 'sha256' }, 'sles-12', quietContext());
    await expect(later).rejects.toMatchObject({ code: 'cloudimg.image' });
  });
});
