import { scrub } from '../../errors.ts';
import type { ComposeEvent } from '../../events.ts';
import { humanDuration, humanSize } from '../../formats/human.ts';
import { milestoneLine, phaseLine, progressText } from './plain.ts';
import { painter, printable, type Renderer, type Screen } from './renderer.ts';

const FRAME_MS = 100;
const SPINNER = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const ERASE_BELOW = '\u001b[0J';

interface Running {
  readonly build: string | undefined;
  readonly phase: string;
  readonly since: number;
  progress?: Extract<ComposeEvent, { type: 'progress' }>;
  /** Bytes and time of the samples the rate is taken over, oldest first. */
  samples: { at: number; done: number }[];
  lastOutput: string;
}

/**
 * For a person at a terminal: finished phases scroll up as lines, running ones live at the bottom with bytes, rate and
 * elapsed time, and under them the last line the guest printed. Of several builds each running phase has one line, and no
 * more than the terminal shows.
 */
export function ttyRenderer(screen: Screen, options: { readonly verbose: boolean; now?: () => number }): Renderer {
  const now = options.now ?? (() => performance.now());
  const paint = painter(screen.color);
  const running = new Map<string, Running>();
  let drawn = 0;
  let frame = 0;
  /** Lines that wait while somebody else has the terminal. */
  let waiting: string[] | undefined;

  const erase = (): void => {
    if (drawn > 0) screen.write(`\u001b[${drawn}A\r${ERASE_BELOW}`);
    drawn = 0;
  };
  const clip = (text: string): string =>
    text.length < screen.columns ? text : `${text.slice(0, screen.columns - 2)}…`;
  const draw = (): void => {
    if (waiting !== undefined) return;
    const lines: string[] = [];
    const width = Math.max(0, ...[...running.values()].map(({ build }) => build?.length ?? 0));
    for (const state of running.values()) {
      const spinner = SPINNER[frame % SPINNER.length] ?? '';
      const about = `${state.phase}  ${describe(state, now())}`;
      const output = state.lastOutput;
      if (state.build !== undefined) {
        lines.push(clip(`${spinner} ${state.build.padEnd(width)}  ${about}${output && `  ${output}`}`));
        continue;
      }
      lines.push(clip(`${spinner} ${about}`));
      if (output) lines.push(paint('dim', clip(`    ${output}`)));
    }
    // What has scrolled off the top cannot be erased.
    const most = Math.max(2, (screen.rows ?? 24) - 1);
    if (lines.length > most) lines.splice(most - 1, Infinity, `  … and ${lines.length - most + 1} more`);
    erase();
    if (lines.length > 0) screen.write(`${lines.join('\n')}\n`);
    drawn = lines.length;
  };
  const print = (text: string): void => {
    if (waiting !== undefined) {
      waiting.push(text);
      return;
    }
    erase();
    screen.write(`${scrub(text)}\n`);
    draw();
  };
  const timer = setInterval(() => {
    frame++;
    if (running.size > 0) draw();
  }, FRAME_MS);
  timer.unref();

  return {
    event(event: ComposeEvent) {
      const { build } = event;
      const keyOf = (phase: string): string => `${build ?? ''}\n${phase}`;
      const name = build === undefined ? '' : `${paint('bold', build)}: `;
      const said = build === undefined ? '' : `${build}: `;
      switch (event.type) {
        case 'phase':
          if (event.state === 'start') {
            running.set(keyOf(event.phase), { build, phase: event.phase, since: now(), samples: [], lastOutput: '' });
            draw();
          } else {
            running.delete(keyOf(event.phase));
            const mark = event.state === 'done' ? paint('green', '✔') : paint('red', '✘');
            print(`${mark} ${name}${printable(phaseLine(event))}`);
          }
          break;
        case 'progress': {
          const state = running.get(keyOf(event.phase));
          if (state === undefined) break;
          state.progress = event;
          state.samples.push({ at: now(), done: event.done });
          while (state.samples.length > 2 && now() - (state.samples[0]?.at ?? 0) > 5000) state.samples.shift();
          break;
        }
        case 'log':
          if (event.level === 'debug' && !options.verbose) break;
          print(
            event.level === 'warn'
              ? paint('yellow', `! ${said}${printable(event.message)}`)
              : `  ${name}${printable(event.message)}`,
          );
          break;
        case 'milestone': {
          const state = running.get(keyOf('boot'));
          if (state !== undefined) state.lastOutput = scrub(printable(milestoneLine(event)));
          if (options.verbose) print(paint('dim', `    ${said}${printable(milestoneLine(event))}`));
          break;
        }
        case 'output': {
          const last = printable(event.text).trimEnd().split('\n').at(-1)?.trim();
          const state = running.get(keyOf(event.phase)) ?? [...running.values()].findLast((one) => one.build === build);
          if (state !== undefined && last) state.lastOutput = scrub(last);
          if (options.verbose && event.stream !== 'serial') {
            for (const text of printable(event.text).trimEnd().split('\n')) print(paint('dim', `    ${said}${text}`));
          }
          break;
        }
        case 'terminal':
          if (event.state === 'taken') {
            erase();
            waiting ??= [];
          } else {
            const lines = waiting ?? [];
            waiting = undefined;
            for (const line of lines) print(line);
          }
          break;
        case 'artifact':
          print(`${paint('cyan', '▣')} ${name}${event.file}  ${event.filetype}  ${humanSize(event.size)}`);
      }
    },
    close() {
      clearInterval(timer);
      running.clear();
      waiting = undefined;
      erase();
    },
  };
}

function describe(state: Running, at: number): string {
  const parts: string[] = [];
  if (state.progress !== undefined) {
    parts.push(progressText(state.progress));
    const first = state.samples[0];
    const last = state.samples.at(-1);
    if (state.progress.unit === 'bytes' && first && last && last.at - first.at > 500) {
      parts.push(`${humanSize((1000 * (last.done - first.done)) / (last.at - first.at))}/s`);
    }
  }
  parts.push(humanDuration(at - state.since));
  return parts.join('  ');
}
