import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { fakeMaas } from '../../fixtures/fake-maas.ts';
import { plannedFaults } from '../../fixtures/fake-maas-faults.ts';
import { digestOf, gzipLike, QUICK, type UploadPlace, uploadPlace } from '../../fixtures/upload-place.ts';
import { quietContext } from '../../src/events.ts';
import { deleteImage, listImages } from '../../src/publish/images.ts';
import { upload } from '../../src/publish/upload.ts';

let place: UploadPlace;
beforeAll(async () => {
  place = await uploadPlace();
});
afterAll(() => place[Symbol.asyncDispose]());
beforeEach(() => {
  for (const name of ['http_proxy', 'https_proxy', 'HTTP_PROXY', 'HTTPS_PROXY']) vi.stubEnv(name, '');
});

/** Fields of the one image of a fake. */
const held = (maas: { state: () => unknown[] }): unknown => maas.state()[0];

describe('an image that is there', () => {
  const other = async (): Promise<string> =>
    place.add('other.tar.gz', gzipLike(3000, 9), { base_image: 'ubuntu/jammy' });

  test('with the same bytes and fields is left as it is', async () => {
    await using maas = await fakeMaas();
    for (const existing of ['fail', 'replace', 'skip'] as const) {
      const report = await upload(place.options(maas.url, { existing }), quietContext());
      expect(report.images[0]?.state).toBe(existing === 'fail' ? 'uploaded' : 'same');
    }
    expect(maas.requests.filter(({ method }) => method === 'POST')).toHaveLength(1);
  });

  test('with other bytes stays, unless it is to be replaced', async () => {
    await using maas = await fakeMaas();
    await upload(place.options(maas.url), quietContext());
    const artifacts = [await other()];
    const failure = upload(place.options(maas.url, { artifacts }), quietContext());
    await expect(failure).rejects.toMatchObject({
      code: 'publish.exists',
      hint: expect.stringContaining('--existing replace'),
    });
    const kept = await upload(place.options(maas.url, { artifacts, existing: 'skip' }), quietContext());
    expect(kept.images[0]?.state).toBe('kept');
    expect(held(maas)).toMatchObject({ sets: [{ sha256: place.sha256 }] });
    await upload(place.options(maas.url, { artifacts, existing: 'replace' }), quietContext());
    expect(maas.state()).toMatchObject([
      { name: 'web-amd64', baseImage: 'ubuntu/jammy', sets: [{ sha256: digestOf(gzipLike(3000, 9)), whole: true }] },
    ]);
  });

  test('but never ended is no image: it is replaced when that is asked for, and named otherwise', async () => {
    await using maas = await fakeMaas();
    const fields = { name: 'web-amd64', architecture: 'amd64/generic', sha256: '0'.repeat(64), size: '10' };
    maas.store.create(new Map(Object.entries(fields)));
    await expect(upload(place.options(maas.url, { existing: 'skip' }), quietContext())).rejects.toMatchObject({
      code: 'publish.exists',
      message: expect.stringContaining('never ended'),
    });
    await upload(place.options(maas.url, { existing: 'replace' }), quietContext());
    expect(maas.state()).toMatchObject([{ sets: [{ sha256: place.sha256, whole: true }] }]);
  });

  test('for another architecture would break both where MAAS boots by name alone', async () => {
    await using old = await fakeMaas({ version: '3.6.2' });
    await using mended = await fakeMaas({ version: '3.6.3' });
    const arm = place.options(old.url, { overrides: { architecture: 'arm64/generic' } });
    for (const maas of [old, mended]) await upload(place.options(maas.url), quietContext());
    await expect(upload(arm, quietContext())).rejects.toMatchObject({ code: 'publish.other-architecture' });
    await upload({ ...arm, maas: place.options(mended.url).maas }, quietContext());
    expect([old.state().length, mended.state().length]).toEqual([1, 2]);
  });
});

test('images are listed with their versions, and deleted by name', async () => {
  await using maas = await fakeMaas();
  await upload(place.options(maas.url), quietContext());
  await upload(place.options(maas.url, { overrides: { name: 'second', title: 'Second' } }), quietContext());
  const access = { maas: place.options(maas.url).maas, limits: QUICK };
  const images = await listImages(access, quietContext());
  expect(images.map(({ name, title, versions }) => [name, title, versions[0]?.sha256, versions[0]?.complete])).toEqual([
    ['web-amd64', 'Web node', place.sha256, true],
    ['second', 'Second', place.sha256, true],
  ]);
  await deleteImage({ ...access, name: 'custom/second' }, quietContext());
  await expect(deleteImage({ ...access, name: 'second' }, quietContext())).rejects.toMatchObject({
    code: 'publish.no-image',
  });
  await expect(deleteImage({ ...access, name: 'ubuntu/noble' }, quietContext())).rejects.toMatchObject({
    code: 'publish.no-image',
  });
  await upload(place.options(maas.url, { overrides: { architecture: 'arm64/generic', name: 'both' } }), quietContext());
  maas.store.create(
    new Map([
      ['name', 'both'],
      ['architecture', 'amd64/generic'],
      ['sha256', 'f'.repeat(64)],
      ['size', '1'],
    ]),
  );
  await expect(deleteImage({ ...access, name: 'both' }, quietContext())).rejects.toMatchObject({
    code: 'publish.several-images',
  });
  await deleteImage({ ...access, name: 'both', architecture: 'arm64/generic' }, quietContext());
  expect((maas.state() as { name: string }[]).map(({ name }) => name)).toEqual(['web-amd64', 'both']);
});

test('the newest version of an image is the one of the highest number, not of the last text', async () => {
  await using maas = await fakeMaas();
  const fields = { name: 'many', architecture: 'amd64/generic', keep_old: 'true', size: '1' };
  for (let at = 0; at <= 10; at++) {
    maas.store.create(new Map([...Object.entries(fields), ['sha256', String(at).padStart(64, '0')]]));
  }
  const [image] = await listImages({ maas: place.options(maas.url).maas }, quietContext());
  expect(image?.versions.slice(0, 3).map(({ version }) => version)).toEqual([
    '20260101.10',
    '20260101.9',
    '20260101.8',
  ]);
  expect(image?.versions.at(-1)?.version).toBe('20260101');
});

test('deleting survives a lost answer', async () => {
  const faults = plannedFaults([[/DELETE/, 'drop-after']]);
  await using maas = await fakeMaas({ faults });
  await upload(place.options(maas.url), quietContext());
  await deleteImage({ maas: place.options(maas.url).maas, limits: QUICK, name: 'web-amd64' }, quietContext());
  expect(maas.state()).toEqual([]);
});
