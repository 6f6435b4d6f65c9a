import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { type CpioFile, cpioMembers, cpioPadding, cpioTrailer } from '../formats/cpio.ts';
import { packageRoot } from '../host/built-module.ts';
import { writeWhole } from '../host/whole-file.ts';
import type { EphemeralSystem } from './ephemeral-disk.ts';

/** A file of the initrd, small enough to be held. */
export interface JobFile {
  readonly path: string;
  readonly content: Uint8Array | string;
  readonly mode?: number;
}

const SCRIPTS = ['job', 'report', 'disk', 'hooks', 'built-in'] as const;

/** Writes the initrd of one deployment: what starts the ephemeral system, the scripts of the job, and its own files. */
export async function writeEphemeralInitrd(
  system: Pick<EphemeralSystem, 'busybox' | 'modules'>,
  job: readonly JobFile[],
  to: string,
): Promise<void> {
  const scripts = `${packageRoot()}/src/rehearse/guest`;
  const own = (name: string): Promise<Buffer> => readFile(`${scripts}/${name}.sh`);
  const files: JobFile[] = [
    { path: 'busybox', content: await readFile(system.busybox), mode: 0o755 },
    { path: 'init', content: await own('init'), mode: 0o755 },
    { path: 'job/tools/curtin', content: await own('in-target'), mode: 0o755 },
    { path: 'modules/order', content: system.modules.map((path) => `${basename(path)}\n`).join('') },
  ];
  for (const name of SCRIPTS) files.push({ path: `job/${name}.sh`, content: await own(name) });
  for (const path of system.modules) files.push({ path: `modules/${basename(path)}`, content: await readFile(path) });
  files.push(...job.map((file) => ({ ...file, path: `job/${file.path}` })));
  await writeCpio(files, to);
}

/** An archive as the kernel takes it, uncompressed: unpacking costs an emulated guest more than reading. */
async function writeCpio(files: readonly JobFile[], to: string): Promise<void> {
  const contents = new Map<CpioFile, Buffer>();
  for (const { path, content, mode } of files) {
    const bytes = Buffer.from(content as Uint8Array);
    contents.set({ path, size: bytes.length, ...(mode !== undefined && { mode }) }, bytes);
  }
  await writeWhole(to, async (append) => {
    for (const { header, file, size } of cpioMembers([...contents.keys()])) {
      await append(header);
      const bytes = file && contents.get(file);
      if (bytes !== undefined) await append(bytes);
      await append(cpioPadding(size));
    }
    await append(cpioTrailer());
  });
}
