import { readFile, stat } from 'node:fs/promises';
import { isIP } from 'node:net';
import { PublishError, UsageError } from '../errors.ts';
import type { Context } from '../events.ts';
import { fileProblem } from '../host/file-problem.ts';
import { readProfile } from './maascli-profiles.ts';
import { type ApiKey, parseApiKey } from './oauth.ts';

/** How a caller names a MAAS. A profile of the MAAS command line, or an address and a key. */
export interface MaasLogin {
  /** Profile of the MAAS command line (`maas login NAME …`). */
  readonly profile?: string | undefined;
  /** Address of MAAS, such as `http://maas:5240/MAAS`. @default MAAS_URL */
  readonly url?: string | undefined;
  /** File with the API key alone in it. @default the key in MAAS_API_KEY */
  readonly apiKeyFile?: string | undefined;
  /** File with certificates MAAS may be signed by, PEM, besides those Node trusts. */
  readonly ca?: string | undefined;
  /** @default process.env */
  readonly env?: NodeJS.ProcessEnv;
}

/** A MAAS and what opens it. */
export interface MaasAccess {
  /** Base of API 2.0, with a slash at its end. */
  readonly base: URL;
  readonly key: ApiKey;
  /** PEM texts. */
  readonly certificates: readonly string[];
  /** For the commands that are printed. */
  readonly profile: string | undefined;
}

/** @throws PublishError `publish.api-key`, `publish.url`, `publish.ca`, those of a profile; UsageError `publish.login` */
export async function resolveAccess(login: MaasLogin, context: Context): Promise<MaasAccess> {
  const env = login.env ?? process.env;
  const certificates = login.ca === undefined ? [] : [await readCertificates(login.ca)];
  if (login.profile !== undefined) {
    if (login.url !== undefined || login.apiKeyFile !== undefined) {
      throw new UsageError('publish.login', 'Cannot log in to MAAS: a profile has its own address and key', {
        hint: 'Leave out --profile, or --url and --api-key-file.',
      });
    }
    const profile = await readProfile(login.profile, env.HOME);
    if (profile.certificates !== undefined) certificates.push(profile.certificates);
    return { base: apiBase(profile.url), key: profile.key, certificates, profile: profile.name };
  }
  const url = login.url ?? env.MAAS_URL;
  if (!url) {
    throw new UsageError('publish.login', 'Cannot log in to MAAS: it is not said which', {
      hint: 'Name --profile (of the maas command), or --url with --api-key-file or MAAS_API_KEY.',
    });
  }
  return { base: apiBase(url), key: await readKey(login.apiKeyFile, env, context), certificates, profile: undefined };
}

/**
 * `http://maas:5240`, `…/MAAS`, `…/MAAS/api/2.0/`: all are the base of API 2.0.
 * @throws PublishError `publish.url`
 */
export function apiBase(text: string): URL {
  const wrong = (why: string): PublishError =>
    new PublishError('publish.url', `Cannot use "${text}" as the address of MAAS: ${why}`, {
      hint: 'It is like http://maas.example:5240/MAAS',
    });
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || (isIP(url.hostname) === 0 && url.hostname === '')) {
    throw wrong('it is no http or https address');
  }
  if (url.username !== '' || url.password !== '') throw wrong('the key is not part of it');
  if (url.search !== '' || url.hash !== '') throw wrong('it has a query');
  const path = url.pathname.replace(/\/+$/, '');
  url.pathname = /\/api\/2\.0$/.test(path) ? `${path}/` : `${path === '' ? '/MAAS' : path}/api/2.0/`;
  return url;
}

async function readKey(file: string | undefined, env: NodeJS.ProcessEnv, context: Context): Promise<ApiKey> {
  if (file !== undefined) {
    const text = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
      throw new PublishError('publish.api-key', `Cannot read the API key in ${file}: ${fileProblem(cause)}`, { cause });
    });
    if (((await stat(file)).mode & 0o077) !== 0) {
      context.emit({ type: 'log', level: 'warn', message: `others may read the API key in ${file}: chmod 600 it` });
    }
    return parseApiKey(text, file);
  }
  if (env.MAAS_API_KEY) return parseApiKey(env.MAAS_API_KEY, 'MAAS_API_KEY');
  throw new UsageError('publish.login', 'Cannot log in to MAAS: there is no API key', {
    hint: 'Name --api-key-file, or set MAAS_API_KEY. A key on the command line would be seen by every user of this host.',
  });
}

async function readCertificates(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new PublishError('publish.ca', `Cannot read certificates from ${path}: ${fileProblem(cause)}`, { cause });
  });
  if (text.includes('BEGIN CERTIFICATE')) return text;
  throw new PublishError('publish.ca', `Cannot use ${path}: it has no certificate in PEM`);
}
