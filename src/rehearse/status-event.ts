/** One report of curtin's or cloud-init's webhook (metadataserver/api_twisted.py, StatusHandlerResource). */
export interface StatusEvent {
  readonly type: 'start' | 'progress' | 'finish' | string;
  readonly origin: string;
  /** `cmd-install/stage-extract`, `modules-final`: names without a slash decide about the deployment. */
  readonly name: string;
  readonly description: string;
  readonly result: 'SUCCESS' | 'WARN' | 'FAIL' | undefined;
  /** Files that came with it, as text. */
  readonly files: readonly { readonly path: string; readonly text: string }[];
  /** performance.now() of its arrival. */
  readonly at: number;
}

const REQUIRED = ['event_type', 'origin', 'name', 'description'] as const;

/**
 * Reads the body of a report.
 * @returns a sentence in place of the event where MAAS answers 400
 */
export function parseStatus(body: Uint8Array, at: number): StatusEvent | string {
  if (body.some((byte) => byte > 127)) return 'the body is not ASCII';
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(body).toString('latin1'));
  } catch {
    return 'the body is no JSON';
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return 'the body is no JSON object';
  const event = json as Record<string, unknown>;
  const missing = REQUIRED.find((key) => typeof event[key] !== 'string');
  if (missing !== undefined) return `${missing} is missing`;
  return {
    type: event.event_type as string,
    origin: event.origin as string,
    name: event.name as string,
    description: event.description as string,
    result: resultOf(event.result),
    files: Array.isArray(event.files) ? event.files.map(fileOf) : [],
    at,
  };
}

function resultOf(result: unknown): StatusEvent['result'] {
  if (result === 'SUCCESS' || result === 'WARN') return result;
  return result === 'FAIL' || result === 'FAILURE' ? 'FAIL' : undefined;
}

function fileOf(file: unknown): { path: string; text: string } {
  const { path, encoding, compression, content } = (file ?? {}) as Record<string, unknown>;
  // Compressed ones are logs of commissioning; a deployment sends none.
  if (compression !== undefined && compression !== null) return { path: String(path), text: '' };
  const text = typeof content === 'string' ? content : '';
  const bytes = Buffer.from(text, encoding === 'base64' ? 'base64' : 'latin1');
  return { path: typeof path === 'string' ? path : '', text: bytes.toString('utf8') };
}
