import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { fakeMaas } from '../../fixtures/fake-maas.ts';
import { type Faults, plannedFaults, randomFaults } from '../../fixtures/fake-maas-faults.ts';
import { digestOf, QUICK, type UploadPlace, uploadPlace } from '../../fixtures/upload-place.ts';
import { isComposeError } from '../../src/errors.ts';
import { quietContext } from '../../src/events.ts';
import { upload } from '../../src/publish/upload.ts';

let place: UploadPlace;
beforeAll(async () => {
  place = await uploadPlace();
});
afterAll(() => place[Symbol.asyncDispose]());
beforeEach(() => {
  for (const name of ['http_proxy', 'https_proxy', 'HTTP_PROXY', 'HTTPS_PROXY']) vi.stubEnv(name, '');
});

interface State {
  readonly name: string;
  readonly sets: readonly { sha256: string; whole: boolean; bytes: string }[];
}

/** The images of a fake, none of which may be there in part or with other bytes. */
function wholeImages(state: readonly unknown[]): string[] {
  return (state as State[]).map(({ name, sets }) => {
    expect(sets).toHaveLength(1);
    expect(sets[0]?.whole).toBe(true);
    expect(digestOf(Buffer.from(sets[0]?.bytes ?? '', 'base64'))).toBe(place.sha256);
    return name;
  });
}

const VERSIONS = ['3.3.9', '3.4.5', '3.5.4', '3.6.3', '3.7.1', '3.8.0'];
const SEEDS = Array.from({ length: 25 }, (_, seed) => seed + 1);

test.each(VERSIONS)('MAAS %s has the whole image or nothing, whatever breaks', async (version) => {
  const ends = { whole: 0, nothing: 0, faults: 0 };
  for (const seed of SEEDS) {
    const faults = randomFaults(seed, 2 + (seed % 5), seed % 12);
    await using maas = await fakeMaas({ version, faults, regions: 1 + (seed % 3) });
    const failure = await upload(place.options(maas.url), quietContext()).then(
      () => undefined,
      (error: unknown) => error,
    );
    ends.faults += faults.made.length;
    if (failure === undefined) {
      expect(wholeImages(maas.state()), `seed ${seed}`).toEqual(['web-amd64']);
      ends.whole++;
    } else {
      expect(isComposeError(failure) && failure.code, `seed ${seed}: ${failure}`).toMatch(/^publish\./);
      expect((failure as { hint?: string }).hint).toBeTruthy();
      expect(maas.state(), `seed ${seed}: ${faults.made.join(', ')}: ${failure}`).toEqual([]);
      ends.nothing++;
    }
  }
  expect(ends.faults).toBeGreaterThan(60);
  expect(ends.whole).toBeGreaterThan(15);
});

/** Sends with what is planned, and answers what came of it. */
async function attempt(version: string, faults: Faults, regions = 1) {
  const maas = await fakeMaas({ version, faults, regions });
  const lines: string[] = [];
  const context = {
    ...quietContext(),
    emit: (event: { type: string; message?: string }) => lines.push(event.message ?? ''),
  };
  const result = await upload(place.options(maas.url), context as never).then(
    (report) => report.images[0]?.state,
    (error: { code: string }) => error.code,
  );
  const count = (method: string, path: RegExp): number =>
    maas.requests.filter((one) => one.method === method && path.test(one.path)).length;
  await maas[Symbol.asyncDispose]();
  return { maas, result, lines: lines.filter((line) => line !== ''), count, images: wholeImages(maas.state()) };
}

const CREATE = /POST .*boot-resources\/$/;
const PUT = /^PUT /;

test.each([
  ['drop-before', 5],
  ['drop-within', 5],
  ['busy', 6],
  ['error', 6],
  ['drop-after', 5],
  ['cut-answer', 5],
  ['bad-gateway', 5],
] as const)(
  'a chunk that meets %s is not sent twice once MAAS has it: one region of 3.5 tells what it holds',
  async (fault, puts) => {
    const { result, count, images, lines } = await attempt('3.5.4', plannedFaults([[PUT, fault]]));
    expect({ result, images }).toEqual({ result: 'uploaded', images: ['web-amd64'] });
    expect(count('POST', /boot-resources\/$/)).toBe(1);
    expect(count('PUT', /upload/)).toBe(puts);
    expect(lines.join()).toMatch(/going on at (0|1000)/);
  },
);

test.each([
  ['3.3.9', 1],
  ['3.4.5', 1],
  ['3.6.3', 2],
])(
  'MAAS %s with %d regions does not tell what it holds: the image is deleted and sent anew',
  async (version, regions) => {
    const { result, count, images, lines } = await attempt(version, plannedFaults([[PUT, 'drop-after']]), regions);
    expect({ result, images }).toEqual({ result: 'uploaded', images: ['web-amd64'] });
    expect(count('POST', /boot-resources\/$/)).toBe(2);
    expect(count('DELETE', /./)).toBe(1);
    expect(lines.join()).toContain('beginning anew');
  },
);

test('a region that wrote what it did not count is found by the digest, and the image sent anew', async () => {
  const { result, count, images } = await attempt('3.5.4', plannedFaults([[PUT, 'half']]));
  expect({ result, images }).toEqual({ result: 'uploaded', images: ['web-amd64'] });
  expect(count('DELETE', /./)).toBe(1);
});

test('bytes that change on the way are found by the digest', async () => {
  const { result, images } = await attempt('3.5.4', plannedFaults([[PUT, 'flip']]));
  expect({ result, images }).toEqual({ result: 'uploaded', images: ['web-amd64'] });
});

test('bytes that change each time end with an error and nothing left', async () => {
  const { result, images, count } = await attempt('3.5.4', (method) => (method === 'PUT' ? 'flip' : undefined));
  expect({ result, images }).toEqual({ result: 'publish.damaged', images: [] });
  expect(count('POST', /boot-resources\/$/)).toBe(4);
});

test('the lost answer to the last chunk costs nothing where MAAS says that the image is whole', async () => {
  let puts = 0;
  const last: Faults = (method) => (method === 'PUT' && ++puts === 5 ? 'drop-after' : undefined);
  const { result, count, images } = await attempt('3.3.9', last);
  expect({ result, images }).toEqual({ result: 'uploaded', images: ['web-amd64'] });
  expect(count('PUT', /./)).toBe(5);
});

test.each(['drop-after', 'cut-answer', 'bad-gateway'] as const)(
  'an image made by a request whose answer is lost (%s) is found and deleted before the next',
  async (fault) => {
    const { result, count, images } = await attempt('3.5.4', plannedFaults([[CREATE, fault]]));
    expect({ result, images }).toEqual({ result: 'uploaded', images: ['web-amd64'] });
    expect(count('DELETE', /./)).toBe(1);
  },
);

test('bytes MAAS 3.8 has left over from elsewhere damage the first try, not the second', async () => {
  await using maas = await fakeMaas({ version: '3.8.0' });
  const stale = maas.store.create(
    new Map([
      ['name', 'other'],
      ['architecture', 'amd64/generic'],
      ['sha256', place.sha256],
      ['size', '4500'],
    ]),
  );
  const file = stale.sets[0]?.file;
  if (file === undefined) throw new Error('no file');
  maas.store.append(file, Buffer.alloc(4000));
  const report = await upload(place.options(maas.url), quietContext());
  expect(report.images[0]?.state).toBe('uploaded');
  expect(maas.requests.filter(({ method }) => method === 'DELETE')).toHaveLength(1);
});

test('what cannot be deleted is named, with the command that deletes it', async () => {
  const faults: Faults = (method) => (method === 'DELETE' ? 'drop-before' : method === 'PUT' ? 'flip' : undefined);
  await using maas = await fakeMaas({ faults });
  const failure = upload(place.options(maas.url), quietContext());
  await expect(failure).rejects.toMatchObject({
    code: 'publish.leftover',
    exitCode: 9,
    hint: expect.stringContaining('compose upload --delete web-amd64 --architecture amd64/generic'),
  });
});

test.each([1, 2, 3, 4, 5, 6, 7, 8])('interrupted at request %d, an upload leaves nothing', async (at) => {
  const controller = new AbortController();
  let seen = 0;
  const faults: Faults = (method) => {
    if (method === 'DELETE') return undefined;
    if (++seen === at + 4) controller.abort(new Error('stop'));
    return undefined;
  };
  await using maas = await fakeMaas({ faults });
  const failure = upload(
    place.options(maas.url, { limits: { ...QUICK, chunkSize: 800 } }),
    quietContext(controller.signal),
  );
  await expect(failure).rejects.toThrow('stop');
  expect(maas.state()).toEqual([]);
});
