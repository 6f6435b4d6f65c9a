/** What one table of `npm run bench -- libraries` is made of. */
export interface Section {
  readonly name: string;
  readonly caption: string;
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** What was compared, and its version. */
  readonly versions: Readonly<Record<string, string>>;
  /** Every run, as it was. */
  readonly runs: readonly object[];
}

/** The table between two comments by which `putTables` finds it again. */
export function sectionText({ name, caption, header, rows }: Section): string {
  const [begin, end] = marks(name);
  const [first, ...others] = header;
  const rule = `|---|${others.map((title) => (title === '' ? '---|' : '---:|')).join('')}`;
  // A bar would end the cell.
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [begin, caption, '', line([first ?? '', ...others]), rule, ...rows.map(line), end].join('\n');
}

/** `page` with the tables of `sections` in the place of those of the same names. @throws Error where it has no such place */
export function putTables(page: string, sections: readonly Section[]): string {
  let text = page;
  for (const section of sections) {
    const [begin, end] = marks(section.name);
    const [from, to] = [text.indexOf(begin), text.indexOf(end)];
    if (from < 0 || to < from) throw new Error(`the page has no place for the table ${section.name}`);
    text = text.slice(0, from) + sectionText(section) + text.slice(to + end.length);
  }
  return text;
}

function marks(name: string): [string, string] {
  return [`<!-- bench-libraries:begin ${name} -->`, `<!-- bench-libraries:end ${name} -->`];
}

/** A ratio with as many digits as are worth something. */
export function ratio(value: number): string {
  if (!Number.isFinite(value)) return '–';
  return value >= 10 ? value.toFixed(0) : value.toFixed(2);
}

/** A share, however small. */
export function percent(value: number): string {
  return `${Number((value * 100).toPrecision(value < 0.1 ? 1 : 2))} %`;
}
