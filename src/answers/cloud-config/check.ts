/** Checks cloud-init's user data. */
import { type AnswerProblem, type AnswerTarget, Report, shown } from '../problem.ts';
import { ShapeChecker } from '../shape/check.ts';
import { type ParsedText, parseText } from '../shape/document.ts';
import { CLOUD_CONFIG_SHAPES } from './shapes.ts';

/** First lines of user data that is something other than a cloud-config; a MIME archive has none of them. */
const OTHER_KINDS =
  /^(#!|#include|#cloud-boothook|#part-handler|## template: jinja|#cloud-config-archive)|^(content-type|mime-version):/i;

export function checkCloudConfigText(text: string, target: AnswerTarget): readonly AnswerProblem[] {
  const report = new Report('cloud-config');
  if (OTHER_KINDS.test(text)) return report.problems;
  if (!text.startsWith('#cloud-config')) {
    const first = text.slice(0, 200).split('\n', 1)[0] ?? '';
    report.error(
      { line: 1 },
      'header',
      `its first line is ${shown(first)}: cloud-init ignores it`,
      'Begin it with: #cloud-config',
    );
  }
  const document = parseText(text, 'yaml-1.1', report);
  if (document?.root != null) checkCloudConfigNode(document, document.root, '', target, report);
  return report.problems;
}

/** Checks a mapping that is a cloud-config, within another document as well. */
export function checkCloudConfigNode(
  document: ParsedText,
  node: unknown,
  path: string,
  { family, version }: AnswerTarget,
  report: Report,
): void {
  const releaseName = `${family} ${version}`;
  const checker = new ShapeChecker(document, { shapes: CLOUD_CONFIG_SHAPES, report, release: version, releaseName });
  if (document.entries(node) === undefined) {
    report.error(
      document.place(node),
      'type',
      `${path === '' ? 'it' : path} is no mapping`,
      'Write "key: value" lines.',
    );
    return;
  }
  checker.check(node, { is: 'named', name: 'cloud-config' }, path);
  for (const [index, file] of (document.items(document.get(node, 'write_files')) ?? []).entries()) {
    const permissions = document.get(file, 'permissions');
    const value = document.scalar(permissions);
    if (typeof value !== 'string' || /^(0o?)?[0-7]{3,4}$/.test(value)) continue;
    report.error(
      document.place(permissions),
      'value',
      `write_files[${index}].permissions is no mode: ${shown(value)}`,
      "As in: '0644'",
    );
  }
  for (const [index, user] of (document.items(document.get(node, 'users')) ?? []).entries()) {
    if (document.entries(user) === undefined) continue;
    if (document.get(user, 'name') !== undefined || document.get(user, 'snapuser') !== undefined) continue;
    report.error(document.place(user), 'missing-key', `users[${index}] has no "name"`);
  }
}
