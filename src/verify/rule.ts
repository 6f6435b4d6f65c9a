import type { Machine } from '../formats/executable.ts';
import { type Facts, isLinux } from './facts.ts';
import type { Family } from './family.ts';

/** An error fails a build: the image would not be taken, not deploy, not boot, or ship a secret. A warning does not. */
export type Severity = 'error' | 'warning';

/** One thing that MAAS, curtin or good sense asks of an image. */
export interface Rule {
  /** Stable: never renamed, never given another meaning. */
  readonly id: string;
  readonly severity: Severity;
  /** What holds of a good image, a sentence without its period. */
  readonly title: string;
  /** What happens otherwise. */
  readonly why: string;
  /** Where MAAS, curtin or another program does it, by its file. */
  readonly source: string;
  readonly mend: string;
  readonly for: RuleScope;
  readonly check: (facts: Facts) => readonly Problem[];
}

/** What a rule is about; a field that is not given leaves nothing out. */
export interface RuleScope {
  /** `tree`: a root tree as a tar; `disk`: a dd image; `system`: the Linux in either; `any`: every file. */
  readonly of: 'tree' | 'disk' | 'system' | 'any';
  readonly machines?: readonly Machine[];
  readonly families?: readonly Family[];
  /** Only of images whose curtin steps are curtin's own (`built-in`), or the image's (`hook`). */
  readonly steps?: 'built-in' | 'hook';
  /** Releases of MAAS it holds for. */
  readonly versions?: readonly string[];
}

/** One place where a rule does not hold. */
export interface Problem {
  readonly message: string;
  /** In the image, with a leading slash. */
  readonly path?: string;
  readonly line?: number;
}

export const HOLDS: readonly Problem[] = [];

/** `HOLDS` when `met`, else the one problem. */
export function unless(met: boolean, message: string, path?: string): readonly Problem[] {
  return met ? HOLDS : [path === undefined ? { message } : { message, path }];
}

/** Whether `facts` are of what a rule is about. */
export function isFor(scope: RuleScope, facts: Facts): boolean {
  const { artifact, tree, disk, tar } = facts;
  if (scope.of === 'tree' && (tar === undefined || tree === undefined)) return false;
  if (scope.of === 'disk' && disk === undefined) return false;
  if (scope.of === 'system' && tree === undefined) return false;
  if ((scope.of === 'tree' || scope.of === 'system') && !isLinux(facts)) return false;
  if (scope.families !== undefined && (tree === undefined || !scope.families.includes(tree.family))) return false;
  if (scope.machines !== undefined && artifact.machine !== undefined && !scope.machines.includes(artifact.machine))
    return false;
  if (scope.versions !== undefined && !scope.versions.some((one) => artifact.wants.versions.includes(one)))
    return false;
  if (scope.steps === undefined) return true;
  const hook = tree?.node('curtin/curtin-hooks') !== undefined;
  return scope.steps === (hook ? 'hook' : 'built-in');
}
