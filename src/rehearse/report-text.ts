import { columns, humanDuration, humanSize } from '../formats/human.ts';
import type { RehearseReport } from './report.ts';

/** The report for a person: what was rehearsed, the timeline, the checks, how it ended, where the evidence is. */
export function rehearseText(report: RehearseReport): string {
  const { artifact, filetype, firmware, secureBoot, layout, disk, curtin, stages, checks, failure, evidence } = report;
  const place = [firmware, ...(secureBoot ? ['Secure Boot'] : []), ...(layout === undefined ? [] : [layout])];
  const steps = [curtin === 'built-in' ? 'curtin played by compose' : `curtin of ${curtin}`];
  if (report.hooks !== undefined) steps.push(report.hooks === 'own' ? "the image's own hooks" : 'built-in hooks');
  const lines = [`${artifact}: ${filetype} onto ${humanSize(disk)}, ${[...place, ...steps].join(', ')}`, ''];
  lines.push(
    ...columns(
      stages.map(({ stage, start, ms, state, detail }) => {
        const mark = state === 'passed' ? '' : 'failed';
        return [`  ${stage}`, humanDuration(start), humanDuration(ms), mark, detail ?? ''];
      }),
      [1, 2],
    ),
  );
  if (checks.length > 0) {
    const rows = checks.map(({ name, state, found, expected }) => [
      `  ${name}`,
      state,
      `${found} (expected ${expected})`,
    ]);
    lines.push('', ...columns(rows));
  }
  for (const remark of report.remarks) lines.push('', `remark: ${remark}`);
  lines.push('', report.passed ? `deploys (${humanDuration(report.ms)})` : '');
  if (failure !== undefined) {
    lines.push(failure.message, `  code   ${failure.code}`, `  stage  ${failure.stage}`);
    for (const [key, value] of Object.entries(failure.evidence)) {
      if (value === undefined || value === '' || (Array.isArray(value) && value.length === 0)) continue;
      if (Array.isArray(value)) lines.push(`  ${key}:`, ...value.map((line: string) => `    ${line}`));
      else lines.push(`  ${key}: ${value}`);
    }
    if (failure.hint !== undefined) lines.push(`  next   ${failure.hint}`);
  }
  lines.push(`evidence: ${evidence.folder}`);
  if (evidence.screenshot !== undefined) lines.push(`screenshot: ${evidence.screenshot}`);
  return lines.join('\n').replace(/\n{3,}/g, '\n\n');
}
