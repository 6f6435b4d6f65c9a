/** What the hygiene table finds by searching settings and leftovers: proxies, credentials, addresses, tokens. */
import type { Facts } from './facts.ts';
import type { Problem } from './rule.ts';
import type { TreeFacts } from './tree-facts.ts';

/** More of one kind say nothing new. */
const SHOWN = 20;
const LONGEST_LINE = 4096;

interface Line {
  readonly path: string;
  readonly line: number;
  readonly text: string;
}

/** Lines of the texts at the paths that `where` takes; what is binary is passed over. */
function* lines(tree: TreeFacts, where: (path: string) => boolean): Generator<Line> {
  for (const [path, bytes] of tree.texts()) {
    if (!where(path) || bytes.subarray(0, 1024).includes(0)) continue;
    const all = Buffer.from(bytes).toString('latin1').split('\n');
    for (const [at, text] of all.entries()) yield { path, line: at + 1, text: text.slice(0, LONGEST_LINE) };
  }
}

function found(
  tree: TreeFacts | undefined,
  where: (path: string) => boolean,
  judge: (line: Line) => string | undefined,
): readonly Problem[] {
  const problems: Problem[] = [];
  if (tree === undefined) return problems;
  for (const line of lines(tree, where)) {
    const message = judge(line);
    if (message !== undefined) problems.push({ message, path: `/${line.path}`, line: line.line });
    if (problems.length >= SHOWN) break;
  }
  return problems;
}

const isSetting = (path: string): boolean => /^(?:etc|root|home|usr\/local\/etc)\//.test(path);
const isComment = (text: string): boolean => /^\s*(?:#|\/\/|;)/.test(text);

/** Settings of programs that go out to a network. */
const PROXIES: readonly RegExp[] = [
  /^\s*(?:export\s+|setenv\s+|DefaultEnvironment=\s*"?|Environment=\s*"?)?(?:https?|ftp|all)_proxy\s*[=\s]\s*["']?\w+:\/\//i,
  /^\s*Acquire::(?:https?|ftp)::(?:\S+::)?Proxy\s+"(?!DIRECT)/i,
  /^\s*proxy\s*=\s*["']?(?!_none_|none|\s*$)\w+:\/\//i,
  /^\s*(?:HTTPS?|FTP)_PROXY\s*=\s*"\w+:\/\//,
];

/** Settings that send the machine through a proxy. */
export function proxyProblems({ tree }: Facts): readonly Problem[] {
  return found(tree, isSetting, ({ text }) => {
    if (isComment(text) || !PROXIES.some((pattern) => pattern.test(text))) return undefined;
    return `it sets a proxy (${/\w+:\/\/(?:[^@\s"']*@)?([^\s"'/;]+)/.exec(text)?.[1] ?? ''})`;
  });
}

const SOURCES = /^etc\/(?:apt\/|yum|dnf\/|zypp\/|apk\/|pip|docker\/|containerd\/)/;
/** A name and a password in an address. */
const IN_ADDRESS = /\w+:\/\/[^\s:@/"']+:[^\s@/"']+@/;
/** Files that hold nothing else, and what a line of a secret is like in them. */
const CREDENTIAL_FILES: readonly (readonly [path: RegExp, line: RegExp])[] = [
  [/^etc\/apt\/auth\.conf(?:$|\.d\/)/, /\bpassword\s+\S/],
  [/^(?:root|home\/[^/]+)\/\.(?:netrc|git-credentials)$/, /\S/],
  [/^(?:root|home\/[^/]+)\/\.(?:docker\/config\.json|config\/containers\/auth\.json)$/, /"auth"\s*:/],
  [/^(?:root|home\/[^/]+)\/\.aws\/credentials$/, /aws_secret_access_key/],
  [/^(?:root|home\/[^/]+)\/\.npmrc$/, /_auth(?:Token)?\s*=/],
  [/^(?:root|home\/[^/]+)\/\.pypirc$/, /^\s*password\s*[:=]/],
  [/^etc\/rhsm\/rhsm\.conf$/, /^\s*proxy_password\s*=\s*\S/],
];

/** Names and passwords of mirrors and registries. */
export function credentialProblems({ tree }: Facts): readonly Problem[] {
  const where = (path: string): boolean => SOURCES.test(path) || CREDENTIAL_FILES.some(([file]) => file.test(path));
  return found(tree, where, ({ path, text }) => {
    if (isComment(text)) return undefined;
    if (SOURCES.test(path) && IN_ADDRESS.test(text)) return 'an address has a password in it';
    const [, secret] = CREDENTIAL_FILES.find(([file]) => file.test(path)) ?? [];
    return secret?.test(text) ? 'it has a password or token' : undefined;
  });
}

/** Where QEMU's user network has its gateway, its name server and its first guest. */
const GUEST_NETWORK = /(?<![\d.])10\.0\.2\.(?:2|3|15)(?![\d.])/;
const RESOLVERS =
  /^etc\/(?:hosts|resolv\.conf|hostname|mailname|network\/|netplan\/|NetworkManager\/|systemd\/|sysconfig\/|default\/)/;

/** Words the operator forbids, and addresses of the network of the build. */
export function buildHostProblems({ tree, disk, artifact }: Facts): readonly Problem[] {
  const words = artifact.wants.forbidden.filter((word) => word.length >= 3);
  const raw = (disk?.words ?? []).map((word): Problem => ({ message: `the bytes of the disk have "${word}" in them` }));
  const lines = found(
    tree,
    (path) => !path.startsWith('curtin/'),
    ({ path, text }) => {
      const word = words.find((one) => text.includes(one));
      if (word !== undefined) return `it has "${word}" in it`;
      if (isComment(text) || !RESOLVERS.test(path)) return undefined;
      const address = GUEST_NETWORK.exec(text)?.[0];
      return address === undefined ? undefined : `it has ${address} in it, an address of the build machine`;
    },
  );
  return [...raw, ...lines];
}

/** Secrets that are told by their form. */
const TOKENS: readonly (readonly [what: string, pattern: RegExp])[] = [
  ['a private key', /-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----/],
  ['a key of AWS', /(?<![A-Z0-9])A(?:KIA|SIA)[A-Z2-7]{16}(?![A-Z0-9])/],
  ['a token of GitHub', /\bgh[pousr]_[A-Za-z0-9]{36}|\bgithub_pat_[A-Za-z0-9_]{40}/],
  ['a token of GitLab', /\bglpat-[\w-]{20}/],
  ['a token of Slack', /\bxox[abprs]-[A-Za-z0-9-]{10}/],
  ['a key of Google', /\bAIza[\w-]{35}/],
  ['a key of Stripe', /\b[rs]k_live_[A-Za-z0-9]{20}/],
  ['a token of npm', /\bnpm_[A-Za-z0-9]{36}/],
  ['a JSON web token', /\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}/],
  ['an API key of MAAS', /(?<![\w:])[A-Za-z0-9]{18}:[A-Za-z0-9]{18}:[A-Za-z0-9]{32}(?![\w:])/],
];
const NAMED =
  /(?:pass(?:word|wd|phrase)|secret|token|api[_-]?key|access[_-]?key|private[_-]?key)["']?\s*[:=]\s*["']?([\w+/=.~-]{16,})/i;
/** Bits for each character: words and paths have less, random ones of 16 letters and digits more. */
const RANDOM = 3.6;
/** Where other rows look, and what is public. */
const NOT_FOR_TOKENS =
  /^etc\/(?:ssh\/ssh_host_|shadow|gshadow|ssl\/certs\/|pki\/(?:ca-trust|consumer|entitlement|rpm-gpg|tls\/certs)|ca-certificates|apt\/(?:auth|trusted)|zypp\/credentials|cloud\/templates\/|selinux\/)|\/\.(?:ssh|netrc|git-credentials|docker|aws|npmrc|pypirc)|^root\/\.ssh|_history$/;

/** Private keys and tokens, by their form or by a name beside a random value. */
export function tokenProblems({ tree }: Facts): readonly Problem[] {
  return found(
    tree,
    (path) => !NOT_FOR_TOKENS.test(path) && !path.startsWith('curtin/'),
    ({ text }) => {
      const known = TOKENS.find(([, pattern]) => pattern.test(text));
      if (known !== undefined) return `it has ${known[0]} in it`;
      const value = isComment(text) ? undefined : NAMED.exec(text)?.[1];
      if (value === undefined || !/\d/.test(value) || !/[a-z]/i.test(value) || entropy(value) < RANDOM)
        return undefined;
      return `a value named as a secret looks random (${value.slice(0, 3)}…, ${value.length} characters)`;
    },
  );
}

/** Bits of information for each character, by how often each occurs (Shannon). */
export function entropy(text: string): number {
  const counts = new Map<string, number>();
  for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1);
  let bits = 0;
  for (const count of counts.values()) bits -= (count / text.length) * Math.log2(count / text.length);
  return bits;
}
