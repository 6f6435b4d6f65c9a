/** JUnit's XML, which build servers show: a case for each stage, and one for each thing that is looked at in the end. */
import { escapeXml as escaped } from '../formats/xml.ts';
import { STAGES } from './failure.ts';
import type { RehearseReport } from './report.ts';

export function rehearseJunit(report: RehearseReport): string {
  const { artifact, stages, checks, failure, firmware, layout, ms, evidence } = report;
  const open = (name: string, kind: 'stage' | 'check', more = ''): string =>
    `    <testcase classname="${escaped(artifact)}" name="${kind}: ${escaped(name)}"${more}`;
  const cases: string[] = [];
  let [failures, skipped] = [0, 0];
  const add = (head: string, state: 'passed' | 'failed' | 'skipped', what: string, told = ''): void => {
    if (state === 'failed') failures++;
    if (state === 'skipped') skipped++;
    if (state === 'passed') cases.push(`${head}/>`);
    else if (state === 'skipped') cases.push(`${head}><skipped message="${escaped(what)}"/></testcase>`);
    else cases.push(`${head}><failure message="${escaped(what)}">${escaped(told)}</failure></testcase>`);
  };
  for (const name of STAGES) {
    const stage = stages.find((one) => one.stage === name);
    const head = open(name, 'stage', stage === undefined ? '' : ` time="${seconds(stage.ms)}"`);
    if (stage === undefined) add(head, 'skipped', 'not reached');
    else if (stage.state === 'passed') add(head, 'passed', '');
    else
      add(head, 'failed', failure?.message ?? 'failed', failure === undefined ? '' : reasons(failure, evidence.folder));
  }
  for (const { name, state, found, expected } of checks) {
    const what = `found ${found}, expected ${expected}`;
    add(open(name, 'check'), state, what);
  }
  const title = [artifact, firmware, ...(layout === undefined ? [] : [layout])].join(' ');
  const counts = `tests="${cases.length}" failures="${failures}" errors="0" skipped="${skipped}"`;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="compose rehearse" tests="${cases.length}" failures="${failures}" skipped="${skipped}">`,
    `  <testsuite name="${escaped(title)}" ${counts} time="${seconds(ms)}">`,
    ...cases,
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n');
}

function reasons({ code, hint, evidence }: NonNullable<RehearseReport['failure']>, folder: string): string {
  const facts = Object.entries(evidence).flatMap(([key, value]): string[] => {
    if (value === undefined || value === '') return [];
    return Array.isArray(value) ? [`${key}:`, ...value.map((line: string) => `  ${line}`)] : [`${key}: ${value}`];
  });
  return [`code: ${code}`, ...facts, ...(hint === undefined ? [] : [`next: ${hint}`]), `evidence: ${folder}`].join(
    '\n',
  );
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(3);
}
