/** Files and folders put into a guest as one tar stream: no SFTP server is needed, only tar. */
import { createReadStream } from 'node:fs';
import { lstat, readdir, readlink, stat } from 'node:fs/promises';
import { resolve as absolute, join } from 'node:path';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import tar from 'tar-stream';
import { ProvisionError } from '../errors.ts';
import { type ExecOptions, type GuestSession, quote } from './session.ts';

/** A file put into the guest: bytes, or a file of this host. */
export interface GuestFile {
  /** Absolute path in the guest. */
  readonly path: string;
  readonly content: Uint8Array | { readonly hostPath: string } | { readonly linkTo: string } | 'folder';
  readonly mode?: number;
}

/** Puts files into the guest as one tar stream, owned by root, directories made on the way. */
export async function upload(
  session: GuestSession,
  files: readonly GuestFile[],
  options: ExecOptions = {},
): Promise<void> {
  const pack = tar.pack();
  const filled = fill(pack, files);
  filled.catch((error: Error) => pack.destroy(error));
  // Folders that are there keep their owner and mode, and links to folders stay links; busybox has no such options.
  const gnu = '--no-overwrite-dir --keep-directory-symlink';
  const command = `o=; tar --version 2>/dev/null | grep -q GNU && o='${gnu}'; exec tar -xpf - -C / --no-same-owner $o`;
  await session.run(command, { ...options, stdin: Readable.from(pack) });
  await filled;
}

/** Puts a file or a whole folder of this host at `to`. */
export async function uploadPath(
  session: GuestSession,
  source: string,
  to: string,
  options: ExecOptions & { readonly mode?: number | undefined } = {},
): Promise<void> {
  const from = absolute(source);
  const info = await stat(from).catch((cause: Error) => {
    throw new ProvisionError('upload.source', `Cannot upload ${from}: ${cause.message}`, {
      hint: 'The path is one of this host, and relative to the recipe that names it.',
      cause,
    });
  });
  const { mode } = options;
  if (!info.isDirectory()) {
    return upload(session, [{ path: to, content: { hostPath: from }, mode: mode ?? info.mode & 0o777 }], options);
  }
  const files: GuestFile[] = [];
  for (const entry of await readdir(from, { recursive: true, withFileTypes: true })) {
    const hostPath = join(entry.parentPath, entry.name);
    const path = join(to, hostPath.slice(from.length));
    const own = (await lstat(hostPath)).mode & 0o7777;
    if (entry.isSymbolicLink()) files.push({ path, content: { linkTo: await readlink(hostPath) } });
    else if (entry.isDirectory()) files.push({ path, content: 'folder', mode: own });
    else if (entry.isFile()) files.push({ path, content: { hostPath }, mode: mode ?? own });
    else {
      throw new ProvisionError('upload.special', `Cannot upload ${hostPath}: it is no file, folder or symbolic link`);
    }
  }
  await session.run(`mkdir -p ${quote(to)}`, options);
  await upload(session, files, options);
}

async function fill(pack: tar.Pack, files: readonly GuestFile[]): Promise<void> {
  for (const { path, content, mode = 0o644 } of files) {
    const name = path.replace(/^\/+/, '');
    if (content instanceof Uint8Array) {
      pack.entry({ name, mode, uid: 0, gid: 0 }, Buffer.from(content));
      continue;
    }
    if (content === 'folder') {
      pack.entry({ name, mode, uid: 0, gid: 0, type: 'directory' });
      continue;
    }
    if ('linkTo' in content) {
      pack.entry({ name, mode: 0o777, uid: 0, gid: 0, type: 'symlink', linkname: content.linkTo });
      continue;
    }
    const { size } = await stat(content.hostPath);
    const entry = pack.entry({ name, mode, uid: 0, gid: 0, size });
    await pipeline(createReadStream(content.hostPath), entry as unknown as Writable);
  }
  pack.finalize();
}
