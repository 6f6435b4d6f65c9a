import type { Context } from '../events.ts';
import { uploadCommand } from '../pack/records.ts';
import { hashCandidate, type Overrides, readCandidates } from './candidate.ts';

export interface DryRunOptions {
  readonly artifacts: readonly string[];
  readonly overrides?: Overrides;
  /** Profile of the maas command. @default `$PROFILE`, for a shell to fill in */
  readonly profile?: string | undefined;
}

/**
 * The `maas` commands that do what `upload` would, once all that can be checked without MAAS is checked.
 * @throws PublishError as `upload` does before it connects
 */
export async function dryRun(options: DryRunOptions, context: Context): Promise<string[]> {
  const commands: string[] = [];
  for (const candidate of await readCandidates(options.artifacts, options.overrides ?? {})) {
    const image = await hashCandidate(candidate, context);
    const { name, title, architecture, baseImage } = image;
    const command = uploadCommand(image, { name, title, architecture, base_image: baseImage });
    commands.push(options.profile === undefined ? command : command.replace('$PROFILE', () => options.profile ?? ''));
  }
  return commands;
}
