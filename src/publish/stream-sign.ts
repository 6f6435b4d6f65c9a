import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isComposeError, PublishError } from '../errors.ts';
import type { Context } from '../events.ts';
import { fileProblem } from '../host/file-problem.ts';
import { temporaryFolder } from '../host/folders.ts';
import { run } from '../host/process.ts';

/** Signs texts with one OpenPGP key, in a keyring of its own that is gone when it is disposed. */
export interface Signer extends AsyncDisposable {
  /** The public key as a binary keyring, which MAAS and gpgv take. */
  readonly keyring: Buffer;
  /** `text` with its signature around it. */
  sign(text: string): Promise<string>;
}

/**
 * @param file secret key, armoured or binary, without a passphrase (`gpg --export-secret-keys`)
 * @throws PublishError `stream.key`; HostError `tool.missing`
 */
export async function openSigner(file: string, context: Context): Promise<Signer> {
  await readFile(file).catch((cause: NodeJS.ErrnoException) => {
    throw new PublishError('stream.key', `Cannot sign with ${file}: ${fileProblem(cause)}`, { cause });
  });
  const folder = await temporaryFolder('compose-gpg-');
  const home = join(folder.path, 'home');
  const gpg = (args: readonly string[], input?: string): Promise<{ stdout: string }> =>
    run(
      'gpg',
      ['--homedir', home, '--batch', '--no-tty', '--quiet', '--pinentry-mode', 'loopback', '--passphrase', '', ...args],
      {
        signal: context.signal,
        ...(input === undefined ? {} : { input }),
      },
    );
  const dispose = async (): Promise<void> => {
    // The agent gpg starts would stay until it misses its folder.
    await run('gpgconf', ['--homedir', home, '--kill', 'all'], { signal: AbortSignal.timeout(10_000) }).catch(() => {});
    await folder[Symbol.asyncDispose]();
  };
  try {
    await mkdir(home, { mode: 0o700 });
    await gpg(['--import', file]);
    const { stdout } = await gpg(['--with-colons', '--list-secret-keys']);
    const key = /^fpr:(?:[^:]*:){8}([0-9A-F]+):/m.exec(stdout)?.[1];
    if (key === undefined) throw new PublishError('stream.key', `Cannot sign with ${file}: it has no secret key`);
    const keyring = join(folder.path, 'keyring.gpg');
    await gpg(['--output', keyring, '--export', key]);
    const sign = async (text: string): Promise<string> => {
      const args = ['--local-user', key, '--digest-algo', 'SHA512', '--armor', '--clear-sign', '--output', '-'];
      return (await gpg(args, text)).stdout;
    };
    // A key that is locked or has expired is imported like any other.
    await sign('');
    return {
      keyring: await readFile(keyring),
      sign,
      [Symbol.asyncDispose]: dispose,
    };
  } catch (cause) {
    await dispose();
    if (isComposeError(cause) && cause.code !== 'tool.failed') throw cause;
    context.signal.throwIfAborted();
    throw new PublishError('stream.key', `Cannot sign with ${file}: gpg does not take it`, {
      hint: 'It must be a secret key without a passphrase: gpg --export-secret-keys ID > FILE',
      cause,
    });
  }
}
