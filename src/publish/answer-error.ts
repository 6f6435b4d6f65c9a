import { type Answer, MaasError, type Outcome } from './maas-errors.ts';

/** Texts of status 400 that MAAS has for bytes it did not want (maas, maasserver/api/boot_resources.py). */
const WRONG_BYTES = /too much data|does not match given sha256|complete file|missing data|doesn't equal/i;
const NO_SPACE = /no space left/i;
/** MAAS refuses a time that is further off, s (piston, timestamp_threshold); a little less is worth a word. */
const SKEW_MS = 240_000;

/** What to do about a field MAAS refuses. */
const FIELD_HINTS: Readonly<Record<string, string>> = {
  name: 'MAAS keeps names of its own systems and of all releases in its streams; choose another with --name.',
  architecture: 'MAAS takes architectures it has synced Ubuntu images for: import those for this architecture first.',
  base_image: 'Name a system and series this MAAS knows, such as ubuntu/noble, with --base-image.',
  filetype: 'This MAAS does not take that kind of file.',
};

/** The failure that an unwanted answer is. */
export function answerError(what: string, answer: Answer, url: URL): MaasError {
  const { status } = answer;
  const said = firstLines(answer.text);
  const evidence = { status, address: `${url.origin}${url.pathname}`, answer: said === '' ? undefined : said };
  const fail = (code: string, message: string, hint: string | undefined, outcome: Outcome): MaasError =>
    new MaasError(code, message, { outcome, status, hint, evidence, retryAfterMs: retryAfter(answer) });

  if (status === 400 && WRONG_BYTES.test(said)) {
    return fail('publish.damaged', `Cannot ${what}: MAAS has other bytes than were sent (${said})`, DAMAGED, 'refused');
  }
  if (NO_SPACE.test(said) || status === 507) {
    return fail('publish.no-space', `Cannot ${what}: MAAS has no space left`, 'Free space on its regions.', 'refused');
  }
  if (status === 400) {
    const fields = refusedFields(answer.text);
    const why = fields.map(([field, text]) => `${field}: ${text}`).join('; ') || said;
    const hint = fields.map(([field]) => FIELD_HINTS[field]).find((text) => text !== undefined);
    return fail('publish.refused', `Cannot ${what}: MAAS refuses it (${why})`, hint, 'refused');
  }
  if (status === 401) {
    return fail('publish.unauthorized', `Cannot ${what}: MAAS does not take the API key`, keyHint(answer), 'refused');
  }
  if (status === 403) {
    const hint = 'Images are changed by administrators only, and synced ones by nobody.';
    return fail('publish.forbidden', `Cannot ${what}: the user of this API key may not`, hint, 'refused');
  }
  if (status === 404) return fail('publish.not-found', `Cannot ${what}: MAAS has no such thing`, NOT_FOUND, 'refused');
  if (status === 413) {
    const hint = 'A proxy before MAAS takes only small requests; raise its limit to 10 MiB (client_max_body_size).';
    return fail('publish.too-large', `Cannot ${what}: the request is too large for the server`, hint, 'refused');
  }
  if (status >= 300 && status < 400) {
    const to = answer.header('location') ?? 'elsewhere';
    const hint = 'Compose sends the API key to the named address only. Name the one MAAS is at.';
    return fail('publish.redirect', `Cannot ${what}: MAAS points to ${to}`, hint, 'refused');
  }
  const hint = 'Run the command again when MAAS is well; its regiond.log has the reason.';
  return fail(
    'publish.server',
    `Cannot ${what}: MAAS answers ${status}`,
    hint,
    status === 429 ? 'not-delivered' : 'unknown',
  );
}

const DAMAGED = 'Run the command again. Behind a load balancer all requests of an upload must reach the same region.';
const NOT_FOUND = 'Check the address: it is like http://maas.example:5240/MAAS';

/** `{"name": ["…"]}` as pairs. */
function refusedFields(text: string): [field: string, why: string][] {
  try {
    const data = JSON.parse(text) as unknown;
    if (typeof data !== 'object' || data === null || Array.isArray(data)) return [];
    return Object.entries(data).map(([field, why]) => [field, [why].flat().map(String).join(' ')]);
  } catch {
    return [];
  }
}

function keyHint(answer: Answer): string {
  const theirs = Date.parse(answer.header('date') ?? '');
  const off = Date.now() - theirs;
  if (Math.abs(off) > SKEW_MS) {
    return `The clocks differ by ${Math.round(Math.abs(off) / 1000)} s and MAAS takes at most 300: set this host's clock.`;
  }
  return 'Make a new key in MAAS (user preferences, "API keys") and log in again.';
}

/** Seconds or a date. */
function retryAfter(answer: Answer): number | undefined {
  const text = answer.header('retry-after');
  if (text === undefined) return undefined;
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}

/** What a person reads of an answer: markup and all but the beginning left out. */
function firstLines(text: string): string {
  const plain = text
    .replace(/<(style|script|head)\b[\s\S]*?<\/\1>/gi, ' ')
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ')
    .trim();
  return plain.length > 300 ? `${plain.slice(0, 300)}…` : plain;
}
