/** JUnit's XML, which build servers show: a suite for each artifact, a case for each rule. */
import { escapeXml as escaped } from '../../formats/xml.ts';
import type { Finding, VerifyReport } from '../judge.ts';

/** Warnings are told in the output of their case, and do not fail it. */
export function junit(reports: readonly VerifyReport[]): string {
  const suites = reports.map(suite);
  const sum = (of: 'tests' | 'failures' | 'skipped'): number => suites.reduce((total, one) => total + one[of], 0);
  const totals = `tests="${sum('tests')}" failures="${sum('failures')}" skipped="${sum('skipped')}"`;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="compose verify" ${totals}>`,
    ...suites.map(({ xml }) => xml),
    '</testsuites>',
    '',
  ].join('\n');
}

function suite({ file, rules, findings }: VerifyReport): {
  readonly xml: string;
  readonly tests: number;
  readonly failures: number;
  readonly skipped: number;
} {
  const cases = rules
    .filter(({ state }) => state !== 'not-applicable')
    .map(({ id, state }) => {
      const own = findings.filter(({ rule }) => rule === id);
      const open = `    <testcase classname="${escaped(file)}" name="${escaped(id)}"`;
      const [first] = own;
      if (state === 'off') return `${open}><skipped message="the rule is off"/></testcase>`;
      if (state === 'allowed')
        return `${open}><skipped message="${escaped(`allowed: ${first?.allowed ?? ''}`)}"/></testcase>`;
      if (state === 'failed' && first !== undefined)
        return `${open}><failure message="${escaped(first.title)}">${escaped(told(own))}</failure></testcase>`;
      if (state === 'warned') return `${open}><system-out>${escaped(told(own))}</system-out></testcase>`;
      return `${open}/>`;
    });
  const count = (...states: readonly string[]): number => rules.filter(({ state }) => states.includes(state)).length;
  const [tests, failures, skipped] = [cases.length, count('failed'), count('off', 'allowed')];
  const head = `  <testsuite name="${escaped(file)}" tests="${tests}" failures="${failures}" errors="0" skipped="${skipped}">`;
  return { xml: [head, ...cases, '  </testsuite>'].join('\n'), tests, failures, skipped };
}

function told(findings: readonly Finding[]): string {
  const lines = findings.map(({ path, line, message }) =>
    path === undefined ? message : `${path}${line === undefined ? '' : `:${line}`}: ${message}`,
  );
  const [first] = findings;
  return [...lines, `why: ${first?.why ?? ''}`, `mend: ${first?.mend ?? ''}`].join('\n');
}
