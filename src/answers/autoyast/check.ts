/** Checks a profile of AutoYaST: well-formed, its sections known, the types of its elements right, nothing left to ask. */
import { type AnswerProblem, type AnswerTarget, meant, Report, shown } from '../problem.ts';
import { BOOLEANS, INTEGERS, LIST_SECTIONS, LISTS, LOST_SECTIONS, SECTIONS, TYPES } from './sections.ts';
import { type Element, readXml } from './xml.ts';

const NAMESPACE = 'http://www.suse.com/1.0/yast2ns';
const CONFIG_NAMESPACE = 'http://www.suse.com/1.0/configns';

const WRAPPER = `<profile xmlns="${NAMESPACE}" xmlns:config="${CONFIG_NAMESPACE}">`;

/** @param fragment an operator's addition: a profile that need not have everything */
export function checkAutoyastText(text: string, target: AnswerTarget, fragment = false): readonly AnswerProblem[] {
  const report = new Report('autoyast');
  // Sections alone are an addition as good as a profile that holds them.
  const bare = fragment && !text.includes('<profile');
  const root = readXml(bare ? `${WRAPPER}${text}</profile>` : text);
  if ('broken' in root) {
    report.error(root, 'syntax', root.broken);
    return bare ? report.problems.map(unwrapped) : report.problems;
  }
  const release = Number.parseInt(target.version, 10);
  checkRoot(root, report);
  checkSections(root, release, report);
  for (const child of root.children) checkElement(child, `${child.name}`, root.attributes, report);
  if (!fragment) checkNeeds(root, target.family === 'sles' && release >= 15, report);
  return bare ? report.problems.map(unwrapped) : report.problems;
}

/** Places in the first line are behind the wrapper. */
function unwrapped(problem: AnswerProblem): AnswerProblem {
  const { line, column } = problem;
  return line > 1 || column === undefined ? problem : { ...problem, column: Math.max(1, column - WRAPPER.length) };
}

function checkRoot(root: Element, report: Report): void {
  if (root.name !== 'profile') {
    report.error(root, 'root', `its root is <${root.name}>, and should be <profile>`);
    return;
  }
  const namespace = root.attributes.get('xmlns');
  if (namespace !== NAMESPACE) {
    const what = namespace === undefined ? 'has no namespace' : `has the namespace ${shown(namespace)}`;
    report.error(
      root,
      'namespace',
      `<profile> ${what}`,
      `Write: <profile xmlns="${NAMESPACE}" xmlns:config="${CONFIG_NAMESPACE}">`,
    );
  }
  const config = root.attributes.get('xmlns:config');
  if (config !== undefined && config !== CONFIG_NAMESPACE) {
    report.error(root, 'namespace', `xmlns:config is ${shown(config)}`, `It is ${CONFIG_NAMESPACE}`);
  }
}

function checkSections(root: Element, release: number, report: Report): void {
  const seen = new Map<string, Element>();
  for (const section of root.children) {
    const { name } = section;
    const before = seen.get(name);
    if (before !== undefined) {
      report.error(
        section,
        'duplicate-section',
        `<${name}> is there in line ${before.line} already: one of them is lost`,
      );
    }
    seen.set(name, section);
    const instead = LOST_SECTIONS.get(name);
    if (instead !== undefined) {
      const hint = `Use instead: ${instead}.`;
      if (release >= 15)
        report.error(section, 'removed-section', `<${name}> is no section of release ${release}`, hint);
      else report.warn(section, 'deprecated-section', `<${name}> is deprecated`, hint);
    } else if (!SECTIONS.includes(name)) {
      report.error(section, 'unknown-section', `<${name}> is no section of a profile`, meant(name, SECTIONS));
    }
    if (LIST_SECTIONS.includes(name) && typeOf(section) !== 'list') {
      report.error(section, 'missing-type', `<${name}> is a list`, `Write: <${name} config:type="list">`);
    }
  }
}

function typeOf({ attributes }: Element): string | undefined {
  return attributes.get('config:type') ?? attributes.get('t') ?? attributes.get('type');
}

function checkElement(element: Element, path: string, root: ReadonlyMap<string, string>, report: Report): void {
  if (report.full) return;
  const { name, attributes, children } = element;
  const type = typeOf(element);
  const text = element.text.trim();
  if (attributes.has('config:type') && !root.has('xmlns:config')) {
    const hint = `Add xmlns:config="${CONFIG_NAMESPACE}" to <profile>.`;
    report.error(element, 'namespace', `<${name}> uses the prefix config, which the root does not declare`, hint);
  }
  if (type !== undefined && !TYPES.includes(type)) {
    report.error(element, 'type', `<${name}> has no type ${shown(type)}`, meant(type, TYPES));
  }
  checkValue(element, type, text, path, report);
  checkMissingType(element, type, text, report);
  if (children.length > 0 && text !== '') {
    report.error(element, 'mixed', `<${name}> holds both elements and the text ${shown(text)}`);
  }
  for (const child of children) checkElement(child, `${path}/${child.name}`, root, report);
}

function checkValue(element: Element, type: string | undefined, text: string, path: string, report: Report): void {
  const { name, children } = element;
  const wrong = (what: string): void => report.error(element, 'value', `${path} is ${what}, not ${shown(text)}`);
  if (type === 'boolean' && text !== 'true' && text !== 'false') wrong('true or false');
  if (type === 'integer' && !/^-?\d{1,18}$/.test(text)) wrong('a whole number');
  if (type === 'symbol' && !/^[\w-]+$/.test(text)) wrong('a symbol');
  if ((type === 'list' || type === 'map') && text !== '' && children.length === 0) {
    report.error(element, 'value', `<${name}> is a ${type}, and holds the text ${shown(text)}`);
  }
  const scalar = type !== undefined && ['boolean', 'integer', 'symbol', 'string', 'disksize'].includes(type);
  if (scalar && children.length > 0) {
    report.error(element, 'value', `<${name}> is of type ${type}, and holds elements`);
  }
}

function checkMissingType(element: Element, type: string | undefined, text: string, report: Report): void {
  const { name, children } = element;
  const wanted =
    LISTS.has(name) && children.length > 0
      ? 'list'
      : BOOLEANS.has(name)
        ? 'boolean'
        : INTEGERS.has(name)
          ? 'integer'
          : undefined;
  if (wanted === undefined || type === wanted || (type !== undefined && wanted !== 'list')) return;
  if (wanted !== 'list' && (children.length > 0 || text === '')) return;
  report.error(element, 'missing-type', `<${name}> is a ${wanted}`, `Write: <${name} config:type="${wanted}">`);
}

function child(element: Element | undefined, ...path: readonly string[]): Element | undefined {
  return path.reduce<Element | undefined>((at, name) => at?.children.find((one) => one.name === name), element);
}

/** @param several whether the medium has more than one product */
function checkNeeds(root: Element, several: boolean, report: Report): void {
  const confirm = child(root, 'general', 'mode', 'confirm');
  if (confirm?.text.trim() !== 'false') {
    const hint = 'Set general, mode, confirm to false.';
    report.error(
      confirm ?? { line: root.line, column: root.column },
      'asks',
      'the installer asks before it writes to the disk',
      hint,
    );
  }
  if (several && (child(root, 'software', 'products')?.children.length ?? 0) === 0) {
    const hint = 'Add to software: <products config:type="list"><product>SLES</product></products>';
    report.error(
      child(root, 'software') ?? root,
      'missing-section',
      'no product is named: the installer asks for one',
      hint,
    );
  }
  const users = child(root, 'users')?.children ?? [];
  if (!users.some((user) => child(user, 'username') !== undefined)) {
    const hint = 'Add users with a user root, its user_password "!" to lock it.';
    report.error(child(root, 'users') ?? root, 'missing-section', 'nobody could log in: no user is set up', hint);
  }
}
