/** A plot of rate against size, as SVG 1.1 that follows the light or dark scheme of its reader. */
import { humanSize } from '../formats/human.ts';
import { type BenchResult, type Point, pointsOf, rateOf } from './report.ts';

const WIDTH = 960;
const LEFT = 70;
const RIGHT = 560;
const TOP = 60;
const BOTTOM = 470;
const LINE = 17;
/** Colours that can be told apart on white and on near-black, also with impaired colour vision. */
const COLOURS: Readonly<Record<string, string>> = {
  level: '#0072b2',
  chunk: '#d55e00',
  workers: '#009e73',
  window: '#b0559a',
  rival: '#808080',
};

/** The plot: across the output in per cent of the input, upwards the input in MB/s on a logarithmic scale. */
export function benchPlot(result: Pick<BenchResult, 'turns' | 'rivals' | 'baseline' | 'sample' | 'machine'>): string {
  const { sample, machine } = result;
  const points = pointsOf(result);
  const xs = points.map(({ best }) => (100 * best.size) / sample.size);
  const ys = points.map(({ best }) => rateOf(sample.size, best));
  const across = linear(xs, LEFT, RIGHT);
  const upwards = logarithmic(ys, BOTTOM, TOP);
  const height = Math.max(BOTTOM + 60, TOP + LINE * (points.length + 3));
  const body = [
    text(LEFT, 26, 'compose bench: rate and size of each setting', 'title'),
    text(LEFT, 44, `${machine.cores} cores, ${machine.cpu}; ${humanSize(sample.size)}: ${sample.from}`, 'note'),
    ...across.ticks.flatMap((tick) => [
      line(across.at(tick), TOP, across.at(tick), BOTTOM, 'grid'),
      text(across.at(tick), BOTTOM + 18, round(tick), 'tick middle'),
    ]),
    ...upwards.ticks.flatMap((tick) => [
      line(LEFT, upwards.at(tick), RIGHT, upwards.at(tick), 'grid'),
      text(LEFT - 8, upwards.at(tick) + 4, round(tick), 'tick end'),
    ]),
    line(LEFT, BOTTOM, RIGHT, BOTTOM, 'axis'),
    line(LEFT, TOP, LEFT, BOTTOM, 'axis'),
    text((LEFT + RIGHT) / 2, BOTTOM + 42, 'output, % of input (left is smaller)', 'label middle'),
    `<text class="label middle" transform="translate(18 ${(TOP + BOTTOM) / 2}) rotate(-90)">input, MB/s (log scale, up is faster)</text>`,
    ...points.map((point, at) => mark(point, at, across.at(xs[at]!), upwards.at(ys[at]!))),
    text(RIGHT + 40, TOP - 4, 'MB/s, % of input', 'note'),
    ...points.map((point, at) => legend(point, at, ys[at]!, xs[at]!)),
  ];
  return `<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="Rate and size of each setting">
<style>
${STYLE}
</style>
<rect class="paper" width="${WIDTH}" height="${height}"/>
${body.join('\n')}
</svg>
`;
}

const STYLE = `text { font: 12px system-ui, sans-serif; fill: #222 }
.paper { fill: #fff } .grid { stroke: #ddd } .axis { stroke: #444 }
.title { font-size: 16px; font-weight: 600 } .note, .tick { fill: #555 }
.middle { text-anchor: middle } .end { text-anchor: end } .number { font-size: 10px }
@media (prefers-color-scheme: dark) {
text { fill: #eee } .paper { fill: #16181c } .grid { stroke: #33373d } .axis { stroke: #aaa } .note, .tick { fill: #b4b9c0 }
}`;

interface Scale {
  readonly at: (value: number) => number;
  readonly ticks: readonly number[];
}

/** A scale over `values` with some room at both ends and round ticks. */
function linear(values: readonly number[], from: number, to: number): Scale {
  const least = Math.min(...values, 100);
  const most = Math.max(...values, 0);
  const spread = Math.max(most - least, 1);
  const low = Math.max(0, least - spread * 0.08);
  const high = most + spread * 0.08;
  const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50].find((one) => (high - low) / one <= 8) ?? 100;
  const ticks: number[] = [];
  for (let index = Math.ceil(low / step); index * step <= high; index++) ticks.push(Number((index * step).toFixed(6)));
  return { at: (value) => from + ((value - low) / (high - low)) * (to - from), ticks };
}

/** Ticks at 1, 2 and 5 times the powers of ten. */
function logarithmic(values: readonly number[], from: number, to: number): Scale {
  const positive = values.filter((value) => value > 0);
  const low = Math.log10(Math.min(...positive, 1e9)) - 0.1;
  const high = Math.max(Math.log10(Math.max(...positive, 1e-9)) + 0.1, low + 0.2);
  const ticks: number[] = [];
  for (let power = Math.floor(low); power <= high; power++) {
    for (const digit of [1, 2, 5]) {
      const value = digit * 10 ** power;
      if (Math.log10(value) >= low && Math.log10(value) <= high) ticks.push(value);
    }
  }
  const at = (value: number): number => from + ((Math.log10(Math.max(value, 1e-9)) - low) / (high - low)) * (to - from);
  return { at, ticks };
}

function mark({ group, marks }: Point, at: number, x: number, y: number): string {
  const colour = COLOURS[group] ?? '#808080';
  const ring = marks.includes('best of its turn') ? 7 : 4.5;
  const fill = group === 'rival' ? 'none' : colour;
  return `<circle cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="${ring}" fill="${fill}" fill-opacity="0.75" stroke="${colour}"/>${text(x + 7, y - 5, String(at + 1), 'number')}`;
}

function legend({ group, title, marks }: Point, at: number, rate: number, percent: number): string {
  const y = TOP + LINE * (at + 1);
  const colour = COLOURS[group] ?? '#808080';
  const fill = group === 'rival' ? 'none' : colour;
  const words = [`${group} ${title}`, ...(marks.length > 0 ? [`(${marks.join(', ')})`] : [])].join(' ');
  const dot = `<circle cx="${RIGHT + 44}" cy="${y - 4}" r="4.5" fill="${fill}" stroke="${colour}"/>`;
  return `${dot}${text(RIGHT + 56, y, `${at + 1}  ${rate.toFixed(0)}, ${percent.toFixed(1)}  ${words}`, 'number')}`;
}

function line(x1: number, y1: number, x2: number, y2: number, kind: string): string {
  const at = [x1, y1, x2, y2].map((value) => value.toFixed(1));
  return `<line class="${kind}" x1="${at[0]}" y1="${at[1]}" x2="${at[2]}" y2="${at[3]}"/>`;
}

function text(x: number, y: number, words: string, kind: string): string {
  return `<text class="${kind}" x="${x.toFixed(1)}" y="${y.toFixed(1)}">${escaped(words)}</text>`;
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** XML 1.0 text: no markup, and none of the characters that XML has no way to write. */
function escaped(words: string): string {
  const clean = words.replace(/[\p{Cc}\p{Cs}\ufffe\uffff]/gu, '?');
  return clean.replace(/[&<>"]/g, (letter) => ENTITIES[letter] ?? letter);
}

function round(value: number): string {
  return String(Number(value.toPrecision(3)));
}
