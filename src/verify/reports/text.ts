import { columns, humanSize } from '../../formats/human.ts';
import type { Finding, VerifyReport } from '../judge.ts';

/** The report for a person: the verdict first, then each finding with its place, its reason and its remedy. */
export function verifyText(report: VerifyReport): string {
  const { file, filetype, size, system, verdict, findings, boots, targets, maas, notes } = report;
  const open = findings.filter(({ allowed }) => allowed === undefined);
  const errors = open.filter(({ severity }) => severity === 'error').length;
  const warnings = open.length - errors;
  const counts = [
    counted(errors, 'error'),
    counted(warnings, 'warning'),
    findings.length > open.length ? `${findings.length - open.length} allowed` : '',
  ].filter((text) => text !== '');
  const passed = report.rules.filter(({ state }) => state === 'passed').length;
  const lines = [
    `${verdict === 'pass' ? 'PASS' : 'FAIL'}  ${file}  ${[...counts, `${passed} rules hold`].join(', ')}`,
    ...columns([
      ['  content', [filetype, size === undefined ? undefined : humanSize(size), system].filter(Boolean).join(', ')],
      [
        '  for',
        `MAAS ${span(targets)}${maas.name === undefined ? '' : `, as ${maas.name}, ${maas.architecture ?? 'any architecture'}`}`,
      ],
      ...(boots === undefined
        ? []
        : [['  starts by', boots.map((one) => one.toUpperCase()).join(' and ') || 'nothing']]),
    ]),
  ];
  for (const [rule, group] of byRule(findings)) lines.push('', ...findingLines(rule, group));
  if (notes.length > 0) lines.push('', ...notes.map((note) => `note: ${note}`));
  return lines.join('\n');
}

function byRule(findings: readonly Finding[]): Map<string, Finding[]> {
  const groups = new Map<string, Finding[]>();
  for (const finding of findings) {
    const group = groups.get(finding.rule);
    if (group === undefined) groups.set(finding.rule, [finding]);
    else group.push(finding);
  }
  return groups;
}

function findingLines(rule: string, group: readonly Finding[]): string[] {
  const [first] = group;
  if (first === undefined) return [];
  const word = first.allowed === undefined ? first.severity : 'allowed';
  const lines = [`${word.padEnd(7)}  ${rule}: ${first.title}`];
  for (const { path, line, message } of group) {
    const place = path === undefined ? '' : `${path}${line === undefined ? '' : `:${line}`}: `;
    lines.push(`         - ${place}${message}`);
  }
  if (first.allowed !== undefined) return [...lines, `         because ${first.allowed}`];
  return [...lines, `         why   ${first.why}`, `         mend  ${first.mend}`];
}

function span(versions: readonly string[]): string {
  return versions.length > 1 ? `${versions[0]} to ${versions.at(-1)}` : (versions[0] ?? '');
}

function counted(count: number, what: string): string {
  return count === 0 ? '' : `${count} ${what}${count === 1 ? '' : 's'}`;
}
