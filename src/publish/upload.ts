import { type Context, inPhase } from '../events.ts';
import { humanSize } from '../formats/human.ts';
import { type MaasLogin, resolveAccess } from './access.ts';
import { BootResources } from './boot-resources.ts';
import { type Hashed, hashCandidate, type Overrides, readCandidates } from './candidate.ts';
import { checkAgainst, decide } from './existing.ts';
import type { Existing } from './existing-modes.ts';
import type { ImageFields } from './image-rules.ts';
import { LIMITS, type Limits } from './limits.ts';
import { MaasClient } from './maas-client.ts';
import { MaasError } from './maas-errors.ts';
import { atLeast, type MaasVersion } from './maas-version.ts';
import { sendImage } from './send.ts';
import type { Remote } from './send-bytes.ts';
import { waitComplete } from './wait-complete.ts';

export interface UploadOptions {
  /** Artifacts, or folders with artifacts and their records. */
  readonly artifacts: readonly string[];
  readonly maas: MaasLogin;
  /** What MAAS is told in place of what the record says. */
  readonly overrides?: Overrides;
  /** @default fail */
  readonly existing?: Existing;
  /** Wait until every region controller has it. @default true */
  readonly wait?: boolean;
  readonly limits?: Partial<Limits>;
}

export interface UploadedImage extends ImageFields {
  readonly id: number;
  readonly file: string;
  /** Bytes. */
  readonly size: number;
  readonly sha256: string;
  /** `same`: MAAS had it already. `kept`: MAAS has another one under this name, which was to stay. */
  readonly state: 'uploaded' | 'same' | 'kept';
  /** Time and rate of the sending alone, where it was sent. */
  readonly ms?: number;
  readonly bytesPerSecond?: number;
}

export interface UploadReport {
  readonly maas: { readonly url: string; readonly version: string };
  readonly images: readonly UploadedImage[];
}

/** What can be uploaded, and by whom: all that is checked before the first byte is sent. */
interface Session {
  readonly remote: Remote;
  readonly version: MaasVersion;
  readonly user: string;
}

/**
 * Uploads artifacts to a MAAS (3.3 to 3.8). What MAAS would refuse, or take and not deploy, is refused before a byte is sent.
 * However an upload ends, MAAS has the whole image with the same digest, or nothing of it.
 * @throws PublishError `publish.…`, UsageError; the reason of the signal
 */
export async function upload(options: UploadOptions, context: Context): Promise<UploadReport> {
  const candidates = await readCandidates(options.artifacts, options.overrides ?? {});
  const access = await resolveAccess(options.maas, context);
  const limits = { ...LIMITS, ...options.limits };
  await using client = await MaasClient.open(access);
  const images = new BootResources(client, limits);
  const session = await inPhase(
    context,
    'connect',
    () => connect(images, limits, context),
    ({ version, user }) => `MAAS ${version.text}${user === '' ? '' : ` as ${user}`}`,
  );
  const listed = await images.list(context.signal);
  for (const candidate of candidates) checkAgainst(listed, session.version, candidate, context);

  const done: UploadedImage[] = [];
  for (const candidate of candidates) {
    const image = await inPhase(context, 'digest', () => hashCandidate(candidate, context));
    done.push(await uploadOne(image, session, options, context));
  }
  return { maas: { url: access.base.href, version: session.version.text }, images: done };
}

async function connect(images: BootResources, limits: Limits, { signal }: Context): Promise<Session> {
  const version = await images.version(signal);
  const user = await images.user(signal);
  // In 3.8 a right of its own, not the role, lets a user change images.
  if (!user.administrator && !atLeast(version, 3, 8)) {
    throw new MaasError('publish.forbidden', `Cannot upload: ${user.name} is no administrator of MAAS`, {
      outcome: 'refused',
      hint: 'Log in with the API key of an administrator.',
    });
  }
  const tellsPosition = atLeast(version, 3, 5) && (await images.regions(signal)) === 1;
  return { remote: { images, limits, tellsPosition }, version, user: user.name };
}

async function uploadOne(
  image: Hashed,
  { remote, version }: Session,
  options: UploadOptions,
  context: Context,
): Promise<UploadedImage> {
  const { name, title, architecture, baseImage, filetype, file, size, sha256 } = image;
  const told = { name, title, architecture, baseImage, filetype, file, size, sha256 };
  // Anew, because another image of this run may have changed it.
  const listed = await remote.images.list(context.signal);
  const decision = await decide(image, listed, options.existing ?? 'fail', version, remote, context);
  if (decision.action === 'same' || decision.action === 'keep') {
    return { id: decision.id, ...told, state: decision.action === 'same' ? 'same' : 'kept' };
  }
  if (decision.action === 'replace') {
    for (const id of decision.ids) await remote.images.remove(id, context.signal);
  }
  const start = performance.now();
  let ms = 0;
  const id = await inPhase(
    context,
    'upload',
    async () => {
      const made = await sendImage(image, remote, context);
      ms = performance.now() - start;
      return made;
    },
    () => `${name}, ${humanSize(size)}, ${humanSize((1000 * size) / ms)}/s`,
  );
  if (options.wait !== false) await inPhase(context, 'regions', () => waitComplete(id, image, remote, context));
  return { id, ...told, state: 'uploaded', ms, bytesPerSecond: (1000 * size) / ms };
}
