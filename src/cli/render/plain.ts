import { scrub } from '../../errors.ts';
import type { ComposeEvent } from '../../events.ts';
import { humanDuration, humanSize } from '../../formats/human.ts';
import { printable, type Renderer, type Screen } from './renderer.ts';

/** A running phase is mentioned again at most this often, so that a CI log stays short and still shows life. */
const PROGRESS_INTERVAL_MS = 15_000;

/**
 * Lines for logs and pipes: each begins with the seconds since the start, and with the build where there are several. Serial
 * output is not repeated here.
 */
export function plainRenderer(screen: Screen, options: { readonly verbose: boolean; now?: () => number }): Renderer {
  const now = options.now ?? (() => performance.now());
  const start = now();
  const lastProgress = new Map<string, number>();
  const tails = new Map<string, string>();
  return {
    event(event: ComposeEvent) {
      const build = event.build === undefined ? '' : `${event.build}: `;
      const line = (text: string): void => {
        const seconds = ((now() - start) / 1000).toFixed(1).padStart(7);
        screen.write(`[${seconds}s] ${scrub(printable(`${build}${text}`))}\n`);
      };
      switch (event.type) {
        case 'phase':
          lastProgress.set(`${build}${event.phase}`, now());
          line(phaseLine(event));
          break;
        case 'progress': {
          if (now() - (lastProgress.get(`${build}${event.phase}`) ?? 0) < PROGRESS_INTERVAL_MS) break;
          lastProgress.set(`${build}${event.phase}`, now());
          line(`${event.phase}: ${progressText(event)}`);
          break;
        }
        case 'log':
          if (event.level === 'debug' && !options.verbose) break;
          line(`${event.level === 'warn' ? 'warning: ' : ''}${event.phase ? `${event.phase}: ` : ''}${event.message}`);
          break;
        case 'milestone':
          if (options.verbose) line(milestoneLine(event));
          break;
        case 'output': {
          if (event.stream === 'serial' && !options.verbose) break;
          const key = `${build}${event.phase}/${event.stream}`;
          const parts = ((tails.get(key) ?? '') + event.text).split('\n');
          tails.set(key, parts.pop() ?? '');
          for (const part of parts) line(`${event.phase} | ${part}`);
          break;
        }
        case 'artifact':
          line(`${event.file}: ${event.filetype}, ${humanSize(event.size)}, sha256 ${event.sha256}`);
      }
    },
    close() {},
  };
}

export function phaseLine(event: Extract<ComposeEvent, { type: 'phase' }>): string {
  const detail = event.detail ? ` (${event.detail})` : '';
  if (event.state === 'start') return `${event.phase} …`;
  const took = event.ms === undefined ? '' : ` ${event.state === 'done' ? 'in' : 'after'} ${humanDuration(event.ms)}`;
  return `${event.phase}: ${event.state}${took}${detail}`;
}

export function milestoneLine(event: Extract<ComposeEvent, { type: 'milestone' }>): string {
  const detail = event.detail ? ` (${event.detail})` : '';
  const again = event.boot > 1 ? `, start ${event.boot}` : '';
  return `guest: ${event.milestone} after ${humanDuration(event.ms)}${again}${detail}`;
}

export function progressText(event: Extract<ComposeEvent, { type: 'progress' }>): string {
  const show = (value: number): string => (event.unit === 'bytes' ? humanSize(value) : value.toLocaleString('en'));
  if (event.total === undefined || event.total === 0) return show(event.done);
  const percent = Math.floor((100 * event.done) / event.total);
  return `${show(event.done)} of ${show(event.total)} (${percent} %)`;
}
