/** What sets a plan apart from another, for people. */
import type { Plan, PlannedSource } from './plan.ts';

export interface Difference {
  /** arch, layout, source, medium, variable, machine, package, step, answer, output or maas. */
  readonly what: string;
  /** Which one, where there are several. */
  readonly name?: string;
  readonly from?: string;
  readonly to?: string;
}

/** Differences of `plan` from `base`, in the order a plan is read. */
export function planDifferences(plan: Plan, base: Plan): Difference[] {
  const list = (what: string, pick: (plan: Plan) => readonly string[]): Difference[] =>
    lineDifferences(pick(base), pick(plan)).map(({ from, to }) => ({ what, ...only(from, to) }));
  return [
    ...keyed('arch', { '': base.arch }, { '': plan.arch }),
    ...keyed('layout', { '': base.layout }, { '': plan.layout }),
    ...keyed('source', { '': base.source.kind }, { '': plan.source.kind }),
    ...keyed('source', sourceFacts(base.source), sourceFacts(plan.source)),
    ...keyed('variable', base.variables, plan.variables),
    ...keyed('machine', texts(base.machine), texts(plan.machine)),
    ...list('package', ({ source, steps }) => packagesOf(source, steps)),
    ...stepDifferences(plan.steps, base.steps),
    ...answerDifferences(plan.source, base.source),
    ...list('output', ({ artifacts }) => artifacts.map(({ filetype }) => filetype)),
    ...keyed('maas', texts(base.maas), texts(plan.maas)),
  ];
}

/** Every package that is asked for by name, whoever installs it. */
function packagesOf(source: PlannedSource, steps: Plan['steps']): string[] {
  const own = source.kind === 'packages' ? source.include : [];
  const added = steps.flatMap((step) => (step.kind === 'packages' ? step.install : []));
  return [...new Set([...own, ...added])].sort();
}

/** Steps but those of packages, whole; the name is for people. */
function stepDifferences(steps: Plan['steps'], base: Plan['steps']): Difference[] {
  const named = new Map<string, string>();
  const texts = (list: Plan['steps']): string[] =>
    list
      .filter(({ kind }) => kind !== 'packages')
      .map((step) => {
        const text = JSON.stringify(step);
        named.set(text, step.name ?? step.kind);
        return text;
      });
  return lineDifferences(texts(base), texts(steps)).map(({ from, to }) => ({
    what: 'step',
    name: named.get(from ?? to ?? '') ?? '',
    ...only(from, to),
  }));
}

/** Scalars of a source: addresses, checksums, command line. */
function sourceFacts(source: PlannedSource): Record<string, string | undefined> {
  const { kind: _, ...facts } = source as PlannedSource & Record<string, unknown>;
  const rest = Object.entries(facts).filter(
    ([key]) => !['answers', 'include', 'language', 'isoNames', 'imageNames'].includes(key),
  );
  return texts(Object.fromEntries(rest.map(([key, value]) => [key, key === 'checksum' ? checksumText(value) : value])));
}

/** `sha256 by https://…/SHA256SUMS`, or with the digest itself. */
function checksumText(checksum: unknown): string {
  const { algorithm, value, sums } = checksum as { algorithm: string; value?: string; sums?: string };
  return value === undefined ? `${algorithm} by ${sums}` : `${algorithm} ${value}`;
}

function answerDifferences(source: PlannedSource, base: PlannedSource): Difference[] {
  const before = answersOf(base);
  const after = answersOf(source);
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((name) => {
    const [from, to] = [before.get(name), after.get(name)];
    if (from === undefined || to === undefined) return [{ what: 'answer', name, ...only(from, to) }];
    return lineDifferences(from.split('\n'), to.split('\n')).map((line) => ({ what: 'answer', name, ...line }));
  });
}

function answersOf(source: PlannedSource): Map<string, string> {
  if (source.kind !== 'installer') return new Map();
  return new Map(source.answers.flatMap(({ files }) => files.map(({ path, content }) => [path, content] as const)));
}

function texts(values: object): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(values).map(([key, value]) => [key, typeof value === 'string' ? value : JSON.stringify(value)]),
  );
}

function keyed(
  what: string,
  before: Readonly<Record<string, string | undefined>>,
  after: Readonly<Record<string, string | undefined>>,
): Difference[] {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .filter((key) => before[key] !== after[key])
    .map((key) => ({ what, ...(key !== '' && { name: key }), ...only(before[key], after[key]) }));
}

function only(from: string | undefined, to: string | undefined): { from?: string; to?: string } {
  return { ...(from !== undefined && { from }), ...(to !== undefined && { to }) };
}

/** Lines taken away and lines added, by a longest common subsequence. */
export function lineDifferences(before: readonly string[], after: readonly string[]): { from?: string; to?: string }[] {
  const common: number[][] = Array.from({ length: before.length + 1 }, () => new Array(after.length + 1).fill(0));
  const at = (i: number, j: number): number => common[i]?.[j] ?? 0;
  for (let i = before.length - 1; i >= 0; i--) {
    for (let j = after.length - 1; j >= 0; j--) {
      const row = common[i];
      if (row !== undefined)
        row[j] = before[i] === after[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const found: { from?: string; to?: string }[] = [];
  let [i, j] = [0, 0];
  while (i < before.length || j < after.length) {
    if (i < before.length && j < after.length && before[i] === after[j]) {
      i++;
      j++;
    } else if (j >= after.length || (i < before.length && at(i + 1, j) >= at(i, j + 1))) {
      found.push(only(before[i++], undefined));
    } else {
      found.push(only(undefined, after[j++]));
    }
  }
  return found;
}

/**
 * Lines of text; nothing for plans alike. What is whole in the JSON is told by its name or its length, empty lines of answers not
 * at all.
 */
export function differencesText(differences: readonly Difference[]): string[] {
  const told = differences.filter(({ what, from, to }) => what !== 'answer' || (from ?? to) !== '');
  return told.map(({ what, name, from, to }) => {
    if (what === 'step') return `  step: ${to === undefined ? '−' : '+'} ${name}`;
    const label = name === undefined ? what : `${what} ${name}`;
    if (from !== undefined && to !== undefined) return `  ${label}: ${short(to)} (was ${short(from)})`;
    return to === undefined ? `  ${label}: − ${short(from ?? '')}` : `  ${label}: + ${short(to)}`;
  });
}

function short(text: string): string {
  const lines = text.trimEnd().split('\n').length;
  if (lines > 1) return `${lines} lines`;
  return text === '' ? 'nothing' : text;
}
