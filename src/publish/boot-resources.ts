import type { Limits } from './limits.ts';
import { patiently } from './limits.ts';
import type { MaasClient } from './maas-client.ts';
import { type Answer, MaasError } from './maas-errors.ts';
import { type MaasVersion, parseVersion } from './maas-version.ts';
import { multipartForm } from './multipart.ts';

/** One upload of an image; MAAS calls it a set and gives it exactly one file. */
export interface ImageVersion {
  /** `YYYYMMDD`, then `.1` and so on for further ones of the day. */
  readonly version: string;
  readonly filetype: string;
  readonly sha256: string;
  readonly size: number;
  /** MAAS 3.5 and later: every region controller has it. Before: all bytes are there. */
  readonly complete: boolean;
  /** 3.5 and later: percent of the bytes of all regions. Before: of no use. */
  readonly progress: number | undefined;
  /** Where the next bytes go, while it is not complete. */
  readonly uploadUri: string | undefined;
}

/** A boot resource: a name on an architecture. */
export interface Image {
  readonly id: number;
  readonly type: string;
  readonly name: string;
  readonly architecture: string;
  readonly title: string;
  /** Undefined where this MAAS does not tell (3.4 and earlier). */
  readonly baseImage: string | undefined;
  /** The newest first. Empty in a list; MAAS tells of them for one image at a time. */
  readonly versions: readonly ImageVersion[];
}

/** Time MAAS may take to hash a whole image before it answers the last PUT; its web server waits as long, ms. */
const HASHING_MS = 900_000;

/** The boot resources of one MAAS. What only reads is repeated until it works; the rest is tried once. */
export class BootResources {
  readonly #client: MaasClient;
  readonly #limits: Limits;

  constructor(client: MaasClient, limits: Limits) {
    this.#client = client;
    this.#limits = limits;
  }

  /** @throws MaasError, also for what is no MAAS */
  async version(signal: AbortSignal): Promise<MaasVersion> {
    const what = 'read the version of MAAS';
    const answer = await this.#read('version/', what, signal, false);
    const { version } = record(parse(answer, what));
    if (typeof version !== 'string') throw notMaas(what, answer);
    return parseVersion(version);
  }

  /** The user of the key. */
  async user(signal: AbortSignal): Promise<{ readonly name: string; readonly administrator: boolean }> {
    const what = 'log in to MAAS';
    const user = record(parse(await this.#read('users/?op=whoami', what, signal), what));
    return { name: text(user.username), administrator: user.is_superuser !== false };
  }

  /** Number of region controllers; undefined where MAAS does not tell. */
  async regions(signal: AbortSignal): Promise<number | undefined> {
    const what = 'count the region controllers';
    try {
      const list = parse(await this.#read('regioncontrollers/', what, signal), what);
      return Array.isArray(list) ? list.length : undefined;
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof MaasError) return undefined;
      throw error;
    }
  }

  async list(signal: AbortSignal): Promise<Image[]> {
    const what = 'list the images of MAAS';
    const answer = await this.#read('boot-resources/', what, signal);
    const list = parse(answer, what);
    if (!Array.isArray(list)) throw notMaas(what, answer);
    return list.map(parseImage);
  }

  /** Undefined where MAAS has no image of that number. */
  async read(id: number, signal: AbortSignal): Promise<Image | undefined> {
    const what = `read image ${id} of MAAS`;
    try {
      return parseImage(parse(await this.#read(`boot-resources/${id}/`, what, signal), what));
    } catch (error) {
      if (error instanceof MaasError && error.status === 404) return undefined;
      throw error;
    }
  }

  /** Makes an image, or a new version of one of the same name and architecture. Not repeated: its failure may hide a success. */
  async create(fields: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Image> {
    const { contentType, body } = multipartForm(fields);
    const what = `create image ${fields.name} in MAAS`;
    const answer = await this.#client.call('POST', 'boot-resources/', what, { signal, body, contentType, expect: 201 });
    return parseImage(parse(answer, what));
  }

  /** Appends bytes. MAAS takes no position, so a PUT whose answer is lost must not be repeated blindly. */
  async append(uploadUri: string, bytes: Uint8Array, last: boolean, signal: AbortSignal): Promise<void> {
    await this.#client.call('PUT', uploadUri, `send ${bytes.length} bytes to MAAS`, {
      signal,
      body: bytes,
      contentType: 'application/octet-stream',
      ...(last ? { answerMs: HASHING_MS } : {}),
    });
  }

  /** Deletes an image with all its versions. One that is not there is as good as deleted. */
  async remove(id: number, signal: AbortSignal): Promise<void> {
    await patiently(
      async () => {
        try {
          await this.#client.call('DELETE', `boot-resources/${id}/`, `delete image ${id} of MAAS`, {
            signal,
            expect: 204,
          });
        } catch (error) {
          if (!(error instanceof MaasError)) throw error;
          if (error.status === 404) return;
          // MAAS fails with status 500 on an image that is not there.
          if (error.status === 500 && (await this.read(id, signal)) === undefined) return;
          throw error;
        }
      },
      this.#limits,
      signal,
    );
  }

  #read(target: string, what: string, signal: AbortSignal, signed = true): Promise<Answer> {
    return patiently(() => this.#client.call('GET', target, what, { signal, signed }), this.#limits, signal);
  }
}

function parse(answer: Answer, what: string): unknown {
  try {
    return JSON.parse(answer.text) as unknown;
  } catch {
    throw notMaas(what, answer);
  }
}

function notMaas(what: string, answer: Answer): MaasError {
  return new MaasError('publish.not-maas', `Cannot ${what}: the answer is not one of MAAS`, {
    outcome: 'refused',
    status: answer.status,
    hint: 'Check the address: it is like http://maas.example:5240/MAAS',
    evidence: { answer: answer.text.slice(0, 200) },
  });
}

type Fields = Readonly<Record<string, unknown>>;

function record(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** Leniently: fields came and went between versions of MAAS. */
function parseImage(value: unknown): Image {
  const fields = record(value);
  const versions = Object.entries(record(fields.sets)).flatMap(([version, set]) =>
    Object.values(record(record(set).files)).map((file) => parseFile(version, record(file))),
  );
  return {
    id: Number(fields.id),
    type: text(fields.type),
    name: text(fields.name),
    architecture: text(fields.architecture),
    title: text(fields.title),
    baseImage: typeof fields.base_image === 'string' ? fields.base_image : undefined,
    versions: versions.sort((a, b) => compareVersions(b.version, a.version)),
  };
}

/** By day, then by number: as text `.10` would come before `.9`, and JSON keeps no order of its own. */
function compareVersions(a: string, b: string): number {
  const [dayA = 0, countA = 0] = a.split('.').map(Number);
  const [dayB = 0, countB = 0] = b.split('.').map(Number);
  return dayA - dayB || countA - countB;
}

function parseFile(version: string, file: Fields): ImageVersion {
  return {
    version,
    filetype: text(file.filetype),
    sha256: text(file.sha256),
    size: Number(file.size),
    complete: file.complete === true,
    progress: typeof file.progress === 'number' ? file.progress : undefined,
    uploadUri: typeof file.upload_uri === 'string' ? file.upload_uri : undefined,
  };
}
