import { type ComposeError, causeText, isComposeError, scrub } from '../errors.ts';
import { type Paint, printable } from './render/renderer.ts';

/** A failure as an operator reads it: what, the code to search for, why, the evidence, and what to do next. */
export function errorText(error: unknown, paint: Paint, debug: boolean): string {
  if (!isComposeError(error)) {
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return [
      `${paint('red', 'error:')} ${scrub(error instanceof Error ? error.message : String(error))}`,
      `  ${paint('bold', 'code')}   internal`,
      `  ${paint('bold', 'next')}   This is a defect in compose; please report it with the lines below.`,
      scrub(stack),
    ].join('\n');
  }
  const lines = [`${paint('red', 'error:')} ${printable(error.message)}`, `  ${paint('bold', 'code')}   ${error.code}`];
  if (error.phase) lines.push(`  ${paint('bold', 'phase')}  ${error.phase}`);
  const cause = causeText(error.cause);
  if (cause) lines.push(`  ${paint('bold', 'why')}    ${printable(cause)}`);
  lines.push(...evidenceLines(error, paint));
  if (error.hint) lines.push(`  ${paint('bold', 'next')}   ${printable(error.hint).replaceAll('\n', '\n         ')}`);
  if (debug && error.stack) lines.push(scrub(error.stack));
  return lines.join('\n');
}

function evidenceLines(error: ComposeError, paint: Paint): string[] {
  const lines: string[] = [];
  for (const [key, value] of Object.entries(error.evidence)) {
    if (value === undefined || value === '') continue;
    const parts = Array.isArray(value) ? value : String(value).split('\n');
    if (parts.length === 1) {
      lines.push(`  ${paint('dim', key)}: ${printable(String(parts[0]))}`);
    } else {
      lines.push(`  ${paint('dim', key)}:`, ...parts.map((part: string) => `    ${printable(part)}`));
    }
  }
  return lines;
}

/** Exit status for a failure (design section 4); 1 is a defect of compose itself. */
export function exitStatus(error: unknown): number {
  return isComposeError(error) ? error.exitCode : 1;
}
