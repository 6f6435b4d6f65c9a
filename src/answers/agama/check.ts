/** Checks a profile of Agama: JSON, or Jsonnet as far as nothing has to be evaluated. */
import { type AnswerProblem, type AnswerTarget, Report } from '../problem.ts';
import { ShapeChecker } from '../shape/check.ts';
import { type ParsedText, parseText } from '../shape/document.ts';
import { stripJsonnet } from './jsonnet.ts';
import { AGAMA_SHAPES, AGAMA_STORAGE_SHAPES } from './shapes.ts';

const SHAPES = new Map([...AGAMA_SHAPES, ...AGAMA_STORAGE_SHAPES]);

/** @param fragment an operator's addition: nothing has to be in it */
export function checkAgamaText(text: string, target: AnswerTarget, fragment = false): readonly AnswerProblem[] {
  const report = new Report('agama');
  const document = read(text, report);
  if (document === undefined) return report.problems;
  if (document.entries(document.root) === undefined) {
    report.error({ line: 1 }, 'type', 'it is no object', 'A profile is one object: { "product": { … } }');
    return report.problems;
  }
  const { family, version } = target;
  new ShapeChecker(document, { shapes: SHAPES, report, release: version, releaseName: `${family} ${version}` }).check(
    document.root,
    { is: 'named', name: 'profile' },
    '',
  );
  checkScripts(document, report);
  checkOnce(document, report);
  if (!fragment) checkNeeds(document, report);
  return report.problems;
}

function read(text: string, report: Report): ParsedText | undefined {
  try {
    JSON.parse(text);
    return parseText(text, 'json', report);
  } catch {
    // Not strict JSON: what comes of it is said below, with a line.
  }
  const { plain, code } = stripJsonnet(text);
  if (code) {
    const hint = 'Evaluate it, and check what comes out: jsonnet profile.jsonnet';
    report.warn(
      { line: 1 },
      'jsonnet',
      'it is Jsonnet with code in it, which is not evaluated here: nothing else is checked',
      hint,
    );
    return undefined;
  }
  const document = parseText(plain.replaceAll('\t', ' '), 'json', report);
  if (document !== undefined) {
    report.warn({ line: 1 }, 'not-json', 'it is no strict JSON, but Jsonnet: comments, bare keys, or a comma too many');
  }
  return document;
}

/** Scripts and files have their text either in them or at an address. */
function checkScripts(document: ParsedText, report: Report): void {
  const lists = ['pre', 'postPartitioning', 'post', 'init'].map((name) => ({
    path: `scripts.${name}`,
    items: document.items(document.get(document.get(document.root, 'scripts'), name)),
  }));
  lists.push({ path: 'files', items: document.items(document.get(document.root, 'files')) });
  for (const { path, items } of lists) {
    for (const [index, item] of (items ?? []).entries()) {
      const given = ['content', 'body', 'url'].filter((key) => document.get(item, key) !== undefined);
      if (document.entries(item) === undefined || given.length === 1) continue;
      const why = given.length === 0 ? 'neither content nor url' : `both ${given.join(' and ')}`;
      report.error(document.place(item), 'script', `${path}[${index}] has ${why}`);
    }
  }
}

function checkOnce(document: ParsedText, report: Report): void {
  const pairs = [
    ['storage', 'legacyAutoyastStorage'],
    ['localization', 'l10n'],
  ] as const;
  for (const [one, other] of pairs) {
    const second = document.get(document.root, other);
    if (second === undefined || document.get(document.root, one) === undefined) continue;
    report.error(document.place(second), 'conflict', `a profile takes ${one} or ${other}, not both`);
  }
}

function checkNeeds(document: ParsedText, report: Report): void {
  const { root } = document;
  if (document.get(root, 'product') === undefined) {
    report.error(
      { line: 1 },
      'missing-key',
      'it names no product: the installer waits for one',
      'Add: "product": { "id": "SLES" }',
    );
  }
  const admin = document.get(root, 'root');
  const lets = ['password', 'sshPublicKey', 'sshPublicKeys'].some((key) => document.get(admin, key) !== undefined);
  if (!lets && document.get(root, 'user') === undefined) {
    const hint = 'Add: "root": { "sshPublicKey": "…" }, or a user.';
    report.error({ line: 1 }, 'missing-key', 'nobody could log in: neither root nor a user is set up', hint);
  }
}
