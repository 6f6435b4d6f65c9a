import type { VerifyReport } from '../verify/judge.ts';
import type { Verified } from './records.ts';

/** A report as the artifact's record keeps it. */
export function verifiedOf({ targets, findings }: VerifyReport): Verified {
  const warned = findings.filter(({ severity, allowed }) => severity === 'warning' && allowed === undefined);
  const allowed = new Map(
    findings.flatMap((one) => (one.allowed === undefined ? [] : [[one.rule, one.allowed] as const])),
  );
  return {
    targets,
    warnings: [...new Set(warned.map(({ rule }) => rule))],
    allowed: [...allowed].map(([rule, reason]) => ({ rule, reason })),
  };
}
