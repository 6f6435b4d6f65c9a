import { humanDuration, humanSize } from '../src/formats/human.ts';

/** One measured way of packing, reduced to the figures that are compared. */
export interface Row {
  readonly title: string;
  readonly kind: string;
  readonly ms: number;
  /** Of `ms`, what the packing alone took, without the start of the program; where it tells. */
  readonly packMs?: number | undefined;
  /** Its time is beside `packMs` of compose. */
  readonly besidePacking?: boolean;
  readonly size: number;
  readonly peakMemory: number;
  readonly peakTemporary: number;
  /** Every run, in order: the figures above are the least time and the most memory and room of them. */
  readonly runs?: readonly Pick<Row, 'ms' | 'packMs' | 'size' | 'peakMemory' | 'peakTemporary'>[];
  /** Packages a rival is made of, and their versions. */
  readonly versions?: Readonly<Record<string, string>>;
}

/**
 * A Markdown table of `rows` beside `base`: times and sizes as ratios to it, memory and temporary space as they were.
 * A time ratio above 1 means that compose was faster; a size ratio above 1, that compose's output was smaller.
 */
export function markdownTable(base: Row, rows: readonly Row[]): string {
  const header = ['', 'time', 'output size', 'peak memory', 'temporary space'];
  const body = rows.map((row) => [
    // A bar would end the cell.
    row.title.replaceAll('|', '\\|'),
    `${(row.ms / (row.besidePacking ? (base.packMs ?? base.ms) : base.ms)).toFixed(2)}×`,
    `${(row.size / base.size).toFixed(3)}×`,
    humanSize(row.peakMemory),
    humanSize(row.peakTemporary),
  ]);
  const own = ['**compose**', '1', '1', humanSize(base.peakMemory), humanSize(base.peakTemporary)];
  const lines = [header, header.map(() => '---'), own, ...body];
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** The absolute figures, for the JSON record and for a reader of the log; they hold for one machine only. */
export function describeRow(row: Row): string {
  return `${row.kind} ${row.title}: ${humanDuration(row.ms)}, ${humanSize(row.size)}, peak ${humanSize(row.peakMemory)}`;
}
