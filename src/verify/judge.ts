import type { ArtifactFacts, Facts } from './facts.ts';
import { isFor, type Problem, type Severity } from './rule.ts';
import { RULES } from './rules/index.ts';
import type { Allow } from './settings.ts';

/** One place where a rule does not hold. */
export interface Finding extends Problem {
  readonly rule: string;
  readonly severity: Severity;
  readonly title: string;
  readonly why: string;
  readonly mend: string;
  /** The reason given for letting it pass. */
  readonly allowed?: string;
}

export type RuleState = 'passed' | 'failed' | 'warned' | 'allowed' | 'not-applicable' | 'off';

/** What was found out about one artifact. Sizes are bytes. */
export interface VerifyReport {
  readonly reportVersion: 1;
  readonly file: string;
  readonly filetype: string | undefined;
  readonly size: number | undefined;
  readonly sha256: string | undefined;
  /** The system in it, as os-release names it. */
  readonly system: string | undefined;
  /** What MAAS is told of it. */
  readonly maas: ArtifactFacts['maas'];
  /** Releases of MAAS it was judged for. */
  readonly targets: readonly string[];
  /** How a disk would start. */
  readonly boots: readonly ('uefi' | 'bios')[] | undefined;
  /** `fail` where an error was found that is not allowed. */
  readonly verdict: 'pass' | 'fail';
  readonly findings: readonly Finding[];
  readonly rules: readonly { readonly id: string; readonly state: RuleState }[];
  /** What could not be looked at, and why. */
  readonly notes: readonly string[];
}

export interface Judging {
  readonly allow: readonly Allow[];
  /** Ids of rules that are off. */
  readonly off: readonly string[];
}

/** Holds every rule against the facts. */
export function judge(facts: Facts, { allow, off }: Judging): VerifyReport {
  const findings: Finding[] = [];
  const rules = RULES.map((rule): { id: string; state: RuleState } => {
    const { id, severity, title, why, mend } = rule;
    if (off.includes(id)) return { id, state: 'off' };
    if (!isFor(rule.for, facts)) return { id, state: 'not-applicable' };
    const problems = rule.check(facts);
    if (problems.length === 0) return { id, state: 'passed' };
    const allowed = allow.find((one) => one.matches(id))?.reason;
    const more = allowed === undefined ? {} : { allowed };
    findings.push(...problems.map((problem) => ({ rule: id, severity, title, why, mend, ...problem, ...more })));
    if (allowed !== undefined) return { id, state: 'allowed' };
    return { id, state: severity === 'error' ? 'failed' : 'warned' };
  });
  const { artifact, tree } = facts;
  const { file, filetype, declared, size, sha256, maas, wants } = artifact;
  const failed = findings.some((one) => one.severity === 'error' && one.allowed === undefined);
  return {
    reportVersion: 1,
    file,
    filetype: filetype ?? declared,
    size,
    sha256,
    system: tree === undefined ? undefined : (tree.release.PRETTY_NAME ?? tree.release.ID),
    maas,
    targets: wants.versions,
    boots: bootModes(facts),
    verdict: failed ? 'fail' : 'pass',
    findings: findings.toSorted((a, b) => order(a) - order(b)),
    rules,
    notes: notesOf(facts),
  };
}

/** Errors first, what is allowed last. */
function order({ severity, allowed }: Finding): number {
  return (allowed === undefined ? 0 : 2) + (severity === 'error' ? 0 : 1);
}

function bootModes({ disk }: Facts): VerifyReport['boots'] {
  if (disk === undefined) return undefined;
  const uefi = disk.esp?.has('efi/boot/bootx64.efi') || disk.esp?.has('efi/boot/bootaa64.efi');
  return [...(uefi ? ['uefi' as const] : []), ...(disk.bootCode ? ['bios' as const] : [])];
}

function notesOf({ tree, disk }: Facts): string[] {
  const notes: string[] = [];
  for (const [path, { unread }] of tree?.initrds ?? []) {
    if (unread !== undefined) notes.push(`/${path} was not looked into: ${unread}`);
  }
  const free = disk?.leftovers?.unread;
  if (free !== undefined) notes.push(`free space was not looked into: ${free}`);
  return notes;
}
