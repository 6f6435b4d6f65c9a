import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../src/host/built-module.ts';
import { benchDisk } from '../disk.ts';
import { measure } from '../measure.ts';

/** The root of the small disk of the bench as a tar. */
export interface Input {
  readonly disk: string;
  readonly path: string;
  readonly bytes: Buffer;
}

/** The tree of the disk as compose reads it, in `work`. */
export async function rootTar(work: string, packages: readonly string[]): Promise<Input> {
  const { path: disk } = await benchDisk(packages, 'small');
  const cli = join(packageRoot(), 'dist/src/cli/main.js');
  const path = join(work, 'root.tar');
  const pack = `node "${cli}" pack "${disk}" --no-seal --format tgz --level 1 --name root --out "${work}/packed" --log plain`;
  const made = await measure(`${pack}; gzip -dc "${work}/packed/root.tar.gz" > "${path}"`, { cwd: work });
  if (made.exitCode !== 0) throw new Error(`the tree cannot be read: ${made.stderr}`);
  rmSync(join(work, 'packed'), { recursive: true });
  return { disk, path, bytes: readFileSync(path) };
}

/** `count` pieces of `size` bytes, spread evenly over all of `bytes`. */
export function spread(bytes: Buffer, size: number, count: number): Buffer[] {
  const step = Math.max(size, Math.floor((bytes.length - size) / count));
  const pieces: Buffer[] = [];
  for (let at = 0; at + size <= bytes.length && pieces.length < count; at += step) {
    pieces.push(bytes.subarray(at, at + size));
  }
  return pieces;
}
