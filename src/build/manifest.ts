import { openDisk } from '../disk/open.ts';
import { findRoot } from '../filesystem/root.ts';
import type { Package } from '../formats/package-list.ts';
import type { PackResult } from '../pack/pack.ts';
import { writeWhole } from '../pack/sink.ts';
import type { Plan } from '../recipe/plan.ts';
import { readPackages } from '../verify/packages.ts';
import type { AcquiredBase } from './acquired-base.ts';
import type { Timing } from './timings.ts';

/** What the manifest tells of the guest that was built. */
export interface GuestRecord {
  readonly argv: readonly string[];
  readonly qemuVersion: string;
  readonly accelerator: { readonly kind: string; readonly cpu: string; readonly reason: string };
  readonly firmware: string | undefined;
  readonly cloudInit: string;
}

/** Packages on a disk, read from the databases of their managers without running anything. */
export async function guestPackages(disk: string): Promise<Package[]> {
  await using source = await openDisk(disk);
  const root = await findRoot(source);
  return (await readPackages(root.tree)).flatMap((set) => set.packages);
}

/** Everything that says how an artifact came to be, written whole beside it. Answers its path. */
export async function writeManifest(
  path: string,
  record: {
    readonly plan: Plan;
    readonly base: AcquiredBase;
    readonly guest: GuestRecord;
    readonly packed: PackResult;
    readonly timings: readonly Timing[];
    readonly ms: number;
    readonly packages: readonly Package[];
  },
): Promise<string> {
  const { plan, base, guest, packed, timings, ms, packages } = record;
  const manifest = {
    manifestVersion: 1,
    recipe: plan.recipe,
    architecture: plan.arch,
    inputs: [base.input],
    variables: plan.variables,
    steps: plan.steps.map((step) => ({ kind: step.kind, ...(step.name === undefined ? {} : { name: step.name }) })),
    tools: { node: process.version, qemu: guest.qemuVersion, engines: packed.engines, pipeline: packed.pipeline },
    guest: { argv: guest.argv, accelerator: guest.accelerator, firmware: guest.firmware, cloudInit: guest.cloudInit },
    artifacts: packed.artifacts.map(({ path: _, ...artifact }) => artifact),
    verified: packed.verified?.map(({ file, verdict, findings, rules }) => ({ file, verdict, findings, rules })),
    sealed: packed.sealed,
    notes: packed.notes,
    timings: [...timings, { phase: 'total', ms: Math.round(ms), state: 'done' }],
    packages,
  };
  return (await writeWhole(path, `${JSON.stringify(manifest, null, 2)}\n`)).path;
}
