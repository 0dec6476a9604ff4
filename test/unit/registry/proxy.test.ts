import t from 'tap';
import { proxyFor } from '../../../src/registry/proxy.ts';

const HTTPS_PROXY = 'http://proxy:3128';
const through = (url: string, env: Record<string, string>): string | undefined => proxyFor(new URL(url), env)?.url;

t.test('the variable of the scheme counts, in upper case before lower', async (t) => {
  t.equal(through('https://r', { HTTPS_PROXY }), 'http://proxy:3128');
  t.equal(through('http://r', { HTTPS_PROXY }), undefined);
  t.equal(through('http://r', { http_proxy: 'https://p:1' }), 'https://p:1');
  t.equal(through('https://r', { HTTPS_PROXY: 'http://upper', https_proxy: 'http://lower' }), 'http://upper');
  t.equal(through('https://r', { HTTPS_PROXY: '', https_proxy: 'http://lower' }), 'http://lower');
  t.equal(through('https://r', {}), undefined);
  t.equal(through('https://r', { HTTPS_PROXY: 'proxy:3128' }), 'http://proxy:3128', 'http when it says nothing');
});

t.test('credentials are kept apart from the address', async (t) => {
  const proxy = proxyFor(new URL('https://r'), { HTTPS_PROXY: 'http://kim:p%40ss%25@proxy:3128' });
  t.same(proxy, { url: 'http://proxy:3128', authorization: `Basic ${Buffer.from('kim:p@ss%').toString('base64')}` });
  t.equal(proxyFor(new URL('https://r'), { HTTPS_PROXY })?.authorization, undefined);
  t.equal(
    proxyFor(new URL('https://r'), { HTTPS_PROXY: 'http://kim:50%@p' })?.authorization,
    `Basic ${Buffer.from('kim:50%').toString('base64')}`,
  );
});

t.test('NO_PROXY by Go’s rules', async (t) => {
  const table: [noProxy: string, url: string, exempt: boolean][] = [
    ['*', 'https://r', true],
    ['a, * ,b', 'https://r', true],
    ['', 'https://r', false],
    [' , ', 'https://r', false],
    ['example.com', 'https://example.com', true],
    ['example.com', 'https://a.b.example.com', true],
    ['EXAMPLE.com', 'https://Example.COM', true],
    ['example.com', 'https://notexample.com', false],
    ['example.com', 'https://example.com.evil', false],
    ['.example.com', 'https://example.com', false],
    ['.example.com', 'https://a.example.com', true],
    ['*.example.com', 'https://a.example.com', true],
    ['*.example.com', 'https://example.com', false],
    ['example.com:8443', 'https://example.com:8443', true],
    ['example.com:8443', 'https://example.com', false],
    ['example.com:443', 'https://example.com', true],
    ['example.com:80', 'http://example.com', true],
    ['10.1.2.3', 'https://10.1.2.3:5000', true],
    ['10.1.2.3:5000', 'https://10.1.2.3:5000', true],
    ['10.1.2.3:5000', 'https://10.1.2.3', false],
    ['10.1.0.0/16', 'https://10.1.2.3', true],
    ['10.1.0.0/16', 'https://10.2.2.3', false],
    ['10.1.0.0/16', 'https://ten.example', false],
    ['10.1.0.0/99', 'https://10.1.2.3', false],
    ['fd00::/8', 'https://[fd00::5]:5000', true],
    ['fd00::5', 'https://[fd00::5]', true],
    ['[fd00::5]:5000', 'https://[fd00::5]:5000', true],
    ['[fd00::5]:5000', 'https://[fd00::5]', false],
    ['2.3', 'https://10.1.2.3', true], // a suffix of a name, as Go has it
  ];
  for (const [NO_PROXY, url, exempt] of table)
    t.equal(through(url, { HTTPS_PROXY, HTTP_PROXY: HTTPS_PROXY, NO_PROXY }) === undefined, exempt, `${NO_PROXY} ${url}`);
  t.equal(through('https://r', { HTTPS_PROXY, no_proxy: 'r' }), undefined);
});

t.test('this machine is never asked through a proxy', async (t) => {
  for (const host of ['localhost', 'localhost:5000', '127.0.0.1', '127.9.9.9:1', '[::1]:5000'])
    t.equal(through(`https://${host}`, { HTTPS_PROXY }), undefined, host);
  t.equal(through('https://localhost.example', { HTTPS_PROXY }), 'http://proxy:3128');
});

t.test('a variable that is no proxy’s URL is named, its value is not shown', async (t) => {
  for (const value of ['socks5://kim:s3cr3t@p:1', 'http://kim:s3cr3t@', 'http://kim:s3cr3t@p:x']) {
    t.throws(() => through('https://r', { https_proxy: value }), {
      kind: 'precondition',
      reason: 'CONFIG_INVALID',
      message: /^the variable https_proxy .* allowed is \[http:\/\/\|https:\/\/\]\[USER:PASSWORD@\]HOST\[:PORT\]$/,
    });
  }
});
