import { expect, test } from 'vitest';
import { scrub } from '../../src/errors.ts';
import { aptProxyConfig, proxyEnvironment, proxyForGuest, proxyFromEnvironment } from '../../src/guest/proxy.ts';

type Row = readonly [reason: string, env: Record<string, string>, proxy: Record<string, string>];

const FROM_ENVIRONMENT: readonly Row[] = [
  ['nothing is set', {}, {}],
  ['an empty value is no proxy', { http_proxy: '' }, {}],
  ['lower case', { http_proxy: 'http://p:1', https_proxy: 'http://q:2' }, { http: 'http://p:1', https: 'http://q:2' }],
  ['upper case', { HTTP_PROXY: 'http://p:1', HTTPS_PROXY: 'http://q:2' }, { http: 'http://p:1', https: 'http://q:2' }],
  ['lower case wins, as in curl', { http_proxy: 'http://p:1', HTTP_PROXY: 'http://q:2' }, { http: 'http://p:1' }],
  [
    'no_proxy comes from no_proxy and nothing else',
    { http_proxy: 'http://p:1', no_proxy: 'a,b' },
    { http: 'http://p:1', no: 'a,b' },
  ],
  ['NO_PROXY', { NO_PROXY: '.example.org' }, { no: '.example.org' }],
];

test.each(FROM_ENVIRONMENT)('from the environment: %s', (_reason, env, proxy) => {
  expect(proxyFromEnvironment(env)).toEqual(proxy);
});

const FOR_GUEST: readonly [reason: string, host: string, guest: string][] = [
  ['another machine is left as it is', 'http://proxy.example.org:3128', 'http://proxy.example.org:3128'],
  ['localhost', 'http://localhost:3128', 'http://10.0.2.2:3128'],
  ['127.0.0.1', 'http://127.0.0.1:3128/', 'http://10.0.2.2:3128'],
  ['all of 127/8', 'http://127.8.9.10:3128', 'http://10.0.2.2:3128'],
  ['IPv6 loopback', 'http://[::1]:3128', 'http://10.0.2.2:3128'],
  ['user and password are kept', 'http://u:p%40ss@localhost:3128', 'http://u:p%40ss@10.0.2.2:3128'],
  ['a name that only begins like it', 'http://localhost.example.org:3128', 'http://localhost.example.org:3128'],
];

test.each(FOR_GUEST)('for the guest: %s', (_reason, host, guest) => {
  expect(proxyForGuest({ http: host })).toEqual({ http: guest });
});

const WITHOUT_SCHEME: readonly [reason: string, host: string][] = [
  ['localhost:port, which curl and apt take', 'localhost:3128'],
  ['address:port', '127.0.0.1:3128'],
];

test.each(WITHOUT_SCHEME)('for the guest, without a scheme: %s', (_reason, host) => {
  expect(proxyForGuest({ http: host }).http).toMatch(/10\.0\.2\.2:3128\/?$/);
});

test('both cases of each variable reach the guest, and nothing that is not set', () => {
  expect(proxyEnvironment({ http: 'http://p:1', no: 'a' })).toEqual({
    http_proxy: 'http://p:1',
    HTTP_PROXY: 'http://p:1',
    no_proxy: 'a',
    NO_PROXY: 'a',
  });
});

test('apt is told of each scheme that has a proxy, and of nothing without one', () => {
  expect(aptProxyConfig({})).toBeUndefined();
  expect(aptProxyConfig({ no: 'a' })).toBeUndefined();
  expect(aptProxyConfig({ http: 'http://p:1', https: 'http://q:2' })).toBe(
    'Acquire::http::Proxy "http://p:1";\nAcquire::https::Proxy "http://q:2";\n',
  );
});

test('a password is masked, also outside its URL', () => {
  proxyFromEnvironment({ http_proxy: 'http://someone:open%2Dsesame@proxy:1' });
  expect(scrub('the password is open-sesame')).toBe('the password is ***');
});

test('a password without a scheme before it is masked', () => {
  proxyFromEnvironment({ http_proxy: 'someone:swordfish@proxy:1' });
  expect(scrub('someone:swordfish@proxy:1')).not.toContain('swordfish');
});

test('a password that is not valid percent-encoding does not end the build', () => {
  expect(() => proxyFromEnvironment({ http_proxy: 'http://someone:100%zz@proxy:1' })).not.toThrow();
});
