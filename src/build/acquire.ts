import { stat } from 'node:fs/promises';
import type { Context } from '../events.ts';
import { hostDebianMirror } from '../host/apt.ts';
import type { Plan } from '../recipe/plan.ts';
import type { AcquiredBase } from './acquired-base.ts';
import { composeBaseDisk } from './base-disk.ts';
import { cloudImage } from './cloud-image.ts';
import { type InstallOptions, installedDisk } from './installed-disk.ts';

/**
 * Gets a plan's base disk: the vendor's image, one made here from packages, or one an installer made. What happens in an
 * installer is told in `runDir`.
 */
export async function acquire(
  plan: Plan,
  options: Omit<InstallOptions, 'source'>,
  context: Context,
): Promise<AcquiredBase> {
  const { source } = plan;
  if (source.kind === 'installer') {
    const base = await installedDisk(plan, { ...options, source }, context);
    return { ...base, format: 'qcow2' };
  }
  if (source.kind === 'cloudimg') return cloudImage(source, plan.recipe, context);
  const mirror = source.mirror ?? (await hostDebianMirror());
  const { suite, components, include, layout } = source;
  const base = await composeBaseDisk(
    { arch: plan.arch, suite, components, include, mirror, size: plan.machine.disk, layout },
    context,
  );
  const { size } = await stat(base.path);
  const input = { kind: 'packages', suite, mirror, inputs: base.key, size };
  return { path: base.path, format: 'qcow2', fromCache: base.fromCache, input };
}
