/** Checks the answers of Ubuntu's server installer, below `autoinstall:` of a cloud-config or by themselves. */
import { checkCloudConfigNode } from '../cloud-config/check.ts';
import { type AnswerProblem, type AnswerTarget, Report } from '../problem.ts';
import { ShapeChecker } from '../shape/check.ts';
import { type ParsedText, parseText } from '../shape/document.ts';
import { AUTOINSTALL_SHAPES } from './shapes.ts';
import { checkStorageActions } from './storage.ts';

/** @param fragment an operator's addition: nothing has to be in it */
export function checkAutoinstallText(text: string, target: AnswerTarget, fragment = false): readonly AnswerProblem[] {
  const report = new Report('autoinstall');
  const document = parseText(text, 'yaml-1.1', report);
  if (document === undefined) return report.problems;
  const { root } = document;
  const entries = document.entries(root);
  if (entries === undefined) {
    if (root != null || !fragment) report.error({ line: 1 }, 'type', 'it is no mapping', 'Begin with: autoinstall:');
    return report.problems;
  }
  const nested = entries.find(({ key }) => key === 'autoinstall');
  if (nested === undefined && text.startsWith('#cloud-config')) {
    const hint = 'Nest the answers below "autoinstall:".';
    report.error({ line: 1 }, 'nesting', 'it is a #cloud-config without the key "autoinstall"', hint);
    return report.problems;
  }
  if (nested !== undefined && text.startsWith('#cloud-config')) {
    checkCloudConfigNode(document, root, '', target, report);
  } else if (nested !== undefined) {
    for (const { key, keyNode } of entries) {
      if (key === 'autoinstall') continue;
      report.error(
        document.place(keyNode),
        'nesting',
        `"${key}" stands beside "autoinstall"`,
        'Nest it below "autoinstall:".',
      );
    }
  }
  checkAnswers(document, nested === undefined ? root : nested.value, target, fragment, report);
  return report.problems;
}

function checkAnswers(
  document: ParsedText,
  node: unknown,
  target: AnswerTarget,
  fragment: boolean,
  report: Report,
): void {
  if (document.entries(node) === undefined) {
    report.error(document.place(node), 'type', 'autoinstall is no mapping');
    return;
  }
  const release = target.version;
  const options = { shapes: AUTOINSTALL_SHAPES, report, release, releaseName: `Ubuntu ${release}` };
  const checker = new ShapeChecker(document, options);
  const whole = AUTOINSTALL_SHAPES.get('autoinstall');
  if (whole?.is !== 'record') return;
  const fields = new Map(whole.fields);
  const version = fields.get('version');
  if (fragment && version !== undefined) fields.set('version', { ...version, required: false });
  checker.check(node, { is: 'record', fields, open: false }, '');
  const get = (...path: readonly string[]): unknown => path.reduce((at: unknown, key) => document.get(at, key), node);
  const number = document.scalar(get('version'));
  if (typeof number === 'number' && number !== 1) {
    report.error(document.place(get('version')), 'version', 'version is not 1', 'The installer takes no other.');
  }
  checkStorage(document, get, checker, report);
  checkIdentity(document, get, fragment, report);
  const userData = get('user-data');
  if (document.entries(userData) !== undefined) checkCloudConfigNode(document, userData, 'user-data', target, report);
  const interactive = document.items(get('interactive-sections')) ?? [];
  if (interactive.length > 0) {
    report.error(
      document.place(get('interactive-sections')),
      'interactive',
      'it asks: interactive-sections is not empty',
    );
  }
  const kernel = document.entries(get('kernel'));
  if (kernel !== undefined && kernel.length !== 1) {
    report.error(document.place(get('kernel')), 'conflict', 'kernel takes one of package, flavor');
  }
}

type Get = (...path: readonly string[]) => unknown;

function checkStorage(document: ParsedText, get: Get, checker: ShapeChecker, report: Report): void {
  const config = get('storage', 'config');
  const layout = get('storage', 'layout');
  if (config !== undefined && layout !== undefined) {
    report.error(
      document.place(config),
      'conflict',
      'storage takes layout or config: with a layout, config is not read',
    );
  }
  if (config !== undefined) checkStorageActions(document, config, checker, report);
  const name = document.scalar(get('storage', 'layout', 'name'));
  const policy = get('storage', 'layout', 'sizing-policy');
  if (policy !== undefined && name !== 'lvm') {
    report.warn(document.place(policy), 'conflict', 'storage.layout.sizing-policy is for the layout lvm');
  }
}

function checkIdentity(document: ParsedText, get: Get, fragment: boolean, report: Report): void {
  const password = get('identity', 'password');
  const text = document.scalar(password);
  if (typeof text === 'string' && !/^(\$(?:[1-7]|2[aby]?|y|gy)\$|[!*])/.test(text)) {
    const hint = 'Make one with: openssl passwd -6';
    report.error(
      document.place(password),
      'password',
      'identity.password is no crypted password: nobody could log in',
      hint,
    );
  }
  if (fragment || get('identity') !== undefined || get('user-data') !== undefined) return;
  const hint = 'Add identity with username, hostname and password, or user-data.';
  report.error({ line: 1 }, 'missing-key', 'there is neither identity nor user-data: the installer refuses it', hint);
}
