/** The machine an installer runs in, and the media its answers are on. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Context } from '../events.ts';
import { liftFromIso } from '../machine/installer-media.ts';
import type { MachineDisk, MachineSpec } from '../machine/spec.ts';
import { imageDisk } from '../recipe/image-machine.ts';
import type { Plan } from '../recipe/plan.ts';
import { ANSWERS_URL, type PlannedInstaller, VOLUME } from '../recipe/plan-installer.ts';
import { appendToInitrd } from '../seed/initrd.ts';
import { seedVolume } from '../seed/volume.ts';

export interface InstallerMachine {
  readonly spec: MachineSpec;
  readonly keys: string | undefined;
  /** Made for it; not needed any more once it has ended. */
  readonly files: readonly string[];
}

interface Places {
  /** The ISO. */
  readonly medium: string;
  /** Name of its volume. */
  readonly volume: string;
  /** The empty disk. */
  readonly disk: string;
  readonly runDir: string;
  /** Where the guest finds the answers that are served. */
  readonly answersUrl: string | undefined;
}

/** Lifts kernel and initrd, writes the answers into `runDir`, and says of what the machine is made. */
export async function installerMachine(
  plan: Plan,
  source: PlannedInstaller,
  places: Places,
  context: Context,
): Promise<InstallerMachine> {
  const { medium, volume, disk, runDir, answersUrl } = places;
  const filled = (text: string): string => text.replaceAll(ANSWERS_URL, answersUrl ?? ANSWERS_URL);
  const answers = source.answers.map(({ on, label, files }) => ({
    on,
    label,
    files: files.map(({ path, content }) => ({ path, content: Buffer.from(filled(content)) })),
  }));
  const { mediaInterface } = source;
  const drive = { media: 'cdrom', ...(mediaInterface !== undefined && { interface: mediaInterface }) } as const;
  const made: string[] = [];
  const volumes: MachineDisk[] = [];
  for (const [index, { on, label, files }] of answers.entries()) {
    if (on === 'initrd' || on === 'http') continue;
    const medium = on === 'floppy' ? 'floppy' : on === 'fat' || on.endsWith('-fat') ? 'disk' : 'cdrom';
    const path = join(runDir, `answers${index}.img`);
    // Passwords may be in them.
    await writeFile(path, seedVolume(on, files, { label }).image, { mode: 0o600 });
    made.push(path);
    volumes.push({ path, format: 'raw', readOnly: true, ...(medium === 'cdrom' ? drive : { media: medium }) });
  }
  let kernel: MachineSpec['kernel'];
  if (source.boot === 'kernel') {
    const { kernel: image, initrd } = await liftFromIso(medium, { ...source, arch: plan.arch }, runDir, context);
    made.push(image.path, initrd.path);
    const inside = answers.filter(({ on }) => on === 'initrd').flatMap(({ files }) => files);
    const whole = inside.length === 0 ? initrd.path : join(runDir, 'initrd-with-answers');
    if (inside.length > 0) {
      await appendToInitrd(initrd.path, inside, whole, context);
      made.push(whole);
    }
    kernel = { image: image.path, initrd: whole, append: filled(named(source.append, volume)) };
  }
  const { disk: _, memory: __, diskInterface, ...machine } = plan.machine;
  const spec: MachineSpec = {
    name: `${plan.recipe}-installer`,
    arch: plan.arch,
    ...machine,
    memory: source.memory,
    ssh: false,
    network: source.network ? 'user' : 'none',
    disks: [imageDisk(disk, diskInterface), { path: medium, format: 'raw', readOnly: true, ...drive }, ...volumes],
    ...(kernel !== undefined && { kernel }),
  };
  return { spec, keys: source.keys === undefined ? undefined : filled(source.keys), files: made };
}

/** A blank in a label is written so in a kernel's command line (dracut, udev). */
function named(append: string, volume: string): string {
  return append.replaceAll(VOLUME, volume.replaceAll(' ', '\\x20'));
}
