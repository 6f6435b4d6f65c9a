import { spawnSync } from 'node:child_process';
import type { Engine } from '../../src/pack/codec.ts';
import { framing } from '../../src/pack/framing.ts';
import { ratio, type Section } from './section.ts';
import { rounds, timed } from './turns.ts';

/** One way to compress. */
export interface Contender {
  readonly title: string;
  /** A whole file of one chunk; absent where the way cannot be had. */
  readonly compress?: (chunk: Buffer) => Uint8Array | Promise<Uint8Array>;
  /** Takes the first chunks only: a slow one would keep all others waiting. */
  readonly most?: number;
  readonly remark?: string;
}

interface Run {
  readonly title: string;
  readonly round: number;
  /** Of each chunk. */
  readonly ms: readonly number[];
  readonly sizes: readonly number[];
}

/** An engine of compose, in the calling thread. */
export function ofEngine(engine: Engine, remark = ''): Contender {
  return {
    title: `${engine.name} -${engine.level}`,
    remark,
    compress: (chunk) => {
      const member = engine.member([chunk], chunk.length);
      if (engine.codec !== 'xz') return member;
      const frame = framing('xz');
      frame.note(member, chunk.length);
      return Buffer.concat([frame.head, member, frame.tail()]);
    },
  };
}

/** Every contender on the same chunks, in turns; the first one is what the others are beside. */
export async function contest(
  name: string,
  caption: string,
  contenders: readonly Contender[],
  chunks: readonly Buffer[],
  program: string,
): Promise<Pick<Section, 'name' | 'caption' | 'header' | 'rows' | 'runs'>> {
  const runs: Run[] = [];
  for (let round = 0; round < rounds(); round++) {
    for (const { title, compress, most = chunks.length } of contenders) {
      if (compress === undefined) continue;
      const ms: number[] = [];
      const sizes: number[] = [];
      for (const [at, chunk] of chunks.slice(0, most).entries()) {
        const run = await timed(() => compress(chunk));
        ms.push(run.ms);
        sizes.push(run.answer.length);
        if (round === 0 && at === 0) check(title, run.answer, chunk, program);
      }
      runs.push({ title, round, ms, sizes });
      console.log(`${name}: ${title}, round ${round + 1}: ${(sum(ms) / 1000).toFixed(2)} s`);
    }
  }
  const best = (title: string, count: number): number =>
    Math.min(...runs.filter((run) => run.title === title).map(({ ms }) => sum(ms.slice(0, count))));
  const size = (title: string, count: number): number =>
    sum(runs.find((run) => run.title === title)?.sizes.slice(0, count) ?? []);
  const base = contenders[0]?.title ?? '';
  const input = chunks[0]?.length ?? 0;
  const rows = contenders.map(({ title, compress, most = chunks.length, remark = '' }) => {
    if (compress === undefined) return [title, '–', '–', remark];
    const made = (size(title, most) / size(base, most)).toFixed(3);
    const told = remark === '' ? [] : [remark];
    if (size(title, most) >= most * input) return [title, '–', made, [...told, 'stores, does not compress'].join('; ')];
    return [title, ratio(best(base, most) / best(title, most)), made, told.join('')];
  });
  return { name, caption, header: ['', 'rate', 'output size', ''], rows, runs };
}

/** What a way makes has to be what the usual program reads. */
function check(title: string, made: Uint8Array, chunk: Buffer, program: string): void {
  const { status, stdout } = spawnSync(program, ['-dc'], { input: made, maxBuffer: Infinity });
  if (status !== 0 || !chunk.equals(stdout)) throw new Error(`${program} -dc does not read what ${title} made`);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
