import { scrubbed } from '../../errors.ts';
import { type ComposeEvent, EVENT_VERSION } from '../../events.ts';
import type { Renderer, Screen } from './renderer.ts';

/** One JSON object a line: the event with its version `v` and the time it was told, ISO 8601. */
export function ndjsonRenderer(screen: Screen, now: () => Date = () => new Date()): Renderer {
  return {
    event(event: ComposeEvent) {
      screen.write(`${JSON.stringify({ v: EVENT_VERSION, time: now().toISOString(), ...event }, scrubbed)}\n`);
    },
    close() {},
  };
}
