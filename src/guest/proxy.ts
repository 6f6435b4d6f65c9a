import { registerSecret } from '../errors.ts';

/** Proxy settings as programs in a guest read them. */
export interface Proxy {
  readonly http?: string;
  readonly https?: string;
  /** Hosts that are reached directly. */
  readonly no?: string;
}

/** The host, as a guest on QEMU's user network sees it (QEMU net/slirp.c). */
const HOST_FROM_GUEST = '10.0.2.2';
const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/** apt reads it during the build; the seal removes it. */
export const APT_PROXY_FILE = '/etc/apt/apt.conf.d/95compose-proxy';

/** The proxy of this host's environment, either case of the variables, passwords registered as secrets. */
export function proxyFromEnvironment(env: NodeJS.ProcessEnv): Proxy {
  const value = (name: string): string | undefined => env[name] || env[name.toUpperCase()] || undefined;
  const [http, https, no] = [value('http_proxy'), value('https_proxy'), value('no_proxy')];
  for (const url of [http, https]) {
    const password = url === undefined ? '' : (parse(url)?.password ?? '');
    registerSecret(password);
    registerSecret(decoded(password));
  }
  return {
    ...(http === undefined ? {} : { http }),
    ...(https === undefined ? {} : { https }),
    ...(no === undefined ? {} : { no }),
  };
}

/** A proxy without a scheme is an HTTP proxy, as for curl and apt. */
function parse(text: string): URL | undefined {
  try {
    return new URL(text.includes('://') ? text : `http://${text}`);
  } catch {
    return undefined;
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** `proxy` as the guest reaches it: a proxy on this host's loopback is at another address there. */
export function proxyForGuest(proxy: Proxy): Proxy {
  const translate = (text: string): string => {
    const url = parse(text);
    if (url === undefined) return text;
    if (LOOPBACK.test(url.hostname)) url.hostname = HOST_FROM_GUEST;
    return url.href.replace(/\/$/, '');
  };
  const { http, https, no } = proxy;
  return {
    ...(http === undefined ? {} : { http: translate(http) }),
    ...(https === undefined ? {} : { https: translate(https) }),
    ...(no === undefined ? {} : { no }),
  };
}

/** Environment of steps in the guest, both cases of each variable. */
export function proxyEnvironment(proxy: Proxy): Record<string, string> {
  const env: Record<string, string> = {};
  const set = (name: string, value: string | undefined): void => {
    if (value === undefined) return;
    env[name] = value;
    env[name.toUpperCase()] = value;
  };
  set('http_proxy', proxy.http);
  set('https_proxy', proxy.https);
  set('no_proxy', proxy.no);
  return env;
}

/** Text of `APT_PROXY_FILE`, or undefined without a proxy. */
export function aptProxyConfig(proxy: Proxy): string | undefined {
  const lines: string[] = [];
  if (proxy.http !== undefined) lines.push(`Acquire::http::Proxy "${proxy.http}";`);
  if (proxy.https !== undefined) lines.push(`Acquire::https::Proxy "${proxy.https}";`);
  return lines.length === 0 ? undefined : `${lines.join('\n')}\n`;
}
