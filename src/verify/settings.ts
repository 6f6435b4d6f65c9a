import { UsageError } from '../errors.ts';
import { MAAS_VERSIONS, type Wants } from './facts.ts';
import { RULES } from './rules/index.ts';

/** Something that is let pass, and why; `rule` may have `*` for any run of characters. */
export interface AllowInput {
  readonly rule: string;
  readonly reason: string;
}

export interface Allow extends AllowInput {
  readonly matches: (id: string) => boolean;
}

/** How artifacts are judged, whatever they are. */
export interface VerifySettings {
  /** What is let pass, each with a reason that is recorded. */
  readonly allow?: readonly AllowInput[] | undefined;
  /** Ids of rules that are off; of a hygiene row the seal makes no edits either. */
  readonly off?: readonly string[] | undefined;
  /** A release of MAAS, `maas-3.5`; @default all that are known, 3.3 to 3.8 */
  readonly target?: string | undefined;
  /** Bytes of the smallest disk it is deployed on. @default 64 GiB */
  readonly targetDisk?: number | undefined;
  /** Texts that may not be in it. @default none */
  readonly forbidden?: readonly string[] | undefined;
  /** Account the build logged in with. */
  readonly user?: string | undefined;
}

const TARGET_DISK = 64 * 1024 ** 3;

/** @throws UsageError `verify.target` */
export function wantsOf({ target, targetDisk = TARGET_DISK, forbidden = [], user }: VerifySettings): Wants {
  const common = { targetDisk, forbidden, user };
  if (target === undefined) return { ...common, versions: MAAS_VERSIONS };
  const version = target.replace(/^maas-/, '');
  if ((MAAS_VERSIONS as readonly string[]).includes(version)) return { ...common, versions: [version] };
  throw new UsageError('verify.target', `Cannot judge for "${target}": its rules are not known`, {
    hint: `Choose from ${MAAS_VERSIONS.map((one) => `maas-${one}`).join(', ')}, or leave --target out for all of them.`,
  });
}

/** @throws UsageError `verify.rule` for what matches no rule, `verify.reason` for one without a reason */
export function allowsOf(inputs: readonly AllowInput[] = []): Allow[] {
  return inputs.map(({ rule, reason }) => {
    const pattern = new RegExp(`^${rule.split('*').map(escaped).join('.*')}$`);
    const matches = (id: string): boolean => pattern.test(id);
    if (!RULES.some(({ id }) => matches(id))) throw unknownRule(rule);
    if (reason.trim() !== '') return { rule, reason, matches };
    throw new UsageError('verify.reason', `Cannot allow ${rule}: no reason is given`, {
      hint: `Say why: --allow '${rule}=the reason'. It is recorded beside the artifact.`,
    });
  });
}

/** @throws UsageError `verify.rule` */
export function offOf(ids: readonly string[] = []): string[] {
  for (const id of ids) if (!RULES.some((rule) => rule.id === id)) throw unknownRule(id);
  return [...ids];
}

/** `RULE=reason` each. @throws UsageError `verify.reason` */
export function parseAllows(texts: readonly string[]): AllowInput[] {
  return texts.map((text) => {
    const at = text.indexOf('=');
    return at < 0 ? { rule: text, reason: '' } : { rule: text.slice(0, at), reason: text.slice(at + 1) };
  });
}

function unknownRule(rule: string): UsageError {
  const [area = ''] = rule.split('.');
  const near = RULES.map(({ id }) => id).filter((id) => id.startsWith(`${area}.`));
  return new UsageError('verify.rule', `Cannot find the rule "${rule}"`, {
    hint: near.length > 0 ? `There are ${near.join(', ')}.` : 'docs/rules.md lists all of them.',
  });
}

function escaped(text: string): string {
  return text.replace(/[.+?^${}()|[\]\\]/g, '\\$&');
}
