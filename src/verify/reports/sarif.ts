/** SARIF 2.1.0 (OASIS), which code hosts and editors show. */
import type { Finding, VerifyReport } from '../judge.ts';
import { RULES } from '../rules/index.ts';

const SCHEMA = 'https://json.schemastore.org/sarif-2.1.0.json';

/** One run for all reports; a result for each finding, suppressed where it is allowed. */
export function sarif(reports: readonly VerifyReport[], version: string): string {
  const rules = RULES.map(({ id, severity, title, why, mend, source }) => ({
    id,
    shortDescription: { text: title },
    fullDescription: { text: why },
    help: { text: `${mend}\nSource: ${source}` },
    defaultConfiguration: { level: severity },
  }));
  const log = {
    $schema: SCHEMA,
    version: '2.1.0',
    runs: [
      {
        tool: { driver: { name: 'compose verify', version, rules } },
        artifacts: reports.map(({ file, size, sha256 }) => ({
          location: { uri: encodeURI(file) },
          ...(size === undefined ? {} : { length: size }),
          ...(sha256 === undefined ? {} : { hashes: { 'sha-256': sha256 } }),
        })),
        results: reports.flatMap((report, index) =>
          report.findings.map((finding) => resultOf(finding, report.file, index)),
        ),
        columnKind: 'utf16CodeUnits',
      },
    ],
  };
  return `${JSON.stringify(log, null, 2)}\n`;
}

function resultOf({ rule, severity, message, path, line, allowed }: Finding, file: string, index: number): object {
  const inside = path === undefined ? '' : `${path}${line === undefined ? '' : `:${line}`}: `;
  return {
    ruleId: rule,
    ruleIndex: RULES.findIndex(({ id }) => id === rule),
    level: severity,
    message: { text: `${inside}${message}` },
    locations: [
      {
        physicalLocation: { artifactLocation: { uri: encodeURI(file), index } },
        ...(path === undefined ? {} : { logicalLocations: [{ fullyQualifiedName: path, kind: 'resource' }] }),
      },
    ],
    ...(allowed === undefined ? {} : { suppressions: [{ kind: 'external', justification: allowed }] }),
  };
}
