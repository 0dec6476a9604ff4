import t from 'tap';
import { isRuntimeError } from '../../../src/errors/index.ts';
import { parseHostsFile } from '../../../src/registry/hosts-file.ts';

const FILE = '/etc/berth/certs.d/reg.example/hosts.toml';

t.test('a file with everything in it, as containerd’s documentation writes it', async (t) => {
  const text = `
    server = "https://registry-1.docker.io"
    ca = "/etc/certs/server.pem"
    dial_timeout = "5s"
    [header]
    x-top = "1"

    [host."https://mirror.registry"]
    capabilities = ["pull"]
    ca = "/etc/certs/mirror.pem"
    client = [["/etc/certs/client.cert", "/etc/certs/client.key"], ["/etc/certs/client.pem", ""]]
    skip_verify = true
    dial_timeout = "1m0.5s"
    [host."https://mirror.registry".header]
    X-Custom-1 = "custom header"
    x-custom-2 = ["one", "two"]

    [host."http://non-compliant:5000/v2/upstream"]
    capabilities = ["pull", "resolve"]
    override_path = true
    client = "certs/client.pem"
    ca = ["ca1.pem", "../ca2.pem"]
    fallback = ["connect", "404"]

    [host."plain.example:5000"]
    client = ["/a.pem", "/b.pem"]
    fallback = "never"
  `;
  const { hosts, server } = parseHostsFile(text, FILE);
  t.match(server, {
    place: '',
    url: { href: 'https://registry-1.docker.io/' },
    ca: ['/etc/certs/server.pem'],
    dialTimeoutMs: 5000,
    headers: { 'x-top': ['1'] },
  });
  t.same(server.capabilities, undefined);
  t.same(
    hosts.map(({ url }) => url?.href),
    ['https://mirror.registry/', 'http://non-compliant:5000/v2/upstream', 'https://plain.example:5000/'],
  );
  const [first, second, third] = hosts;
  t.match(first, {
    place: 'host."https://mirror.registry".',
    skipVerify: true,
    overridePath: false,
    dialTimeoutMs: 60_500,
    headers: { 'x-custom-1': ['custom header'], 'x-custom-2': ['one', 'two'] },
    client: [
      { cert: '/etc/certs/client.cert', key: '/etc/certs/client.key' },
      { cert: '/etc/certs/client.pem', key: '/etc/certs/client.pem' },
    ],
  });
  t.same(first?.capabilities, new Set(['pull']));
  t.same(first?.fallback, new Set(['connect', '404', '5xx', 'auth']));
  t.match(second, { overridePath: true, ca: ['/etc/berth/certs.d/reg.example/ca1.pem', '/etc/berth/certs.d/ca2.pem'] });
  t.same(second?.client, [
    { cert: '/etc/berth/certs.d/reg.example/certs/client.pem', key: '/etc/berth/certs.d/reg.example/certs/client.pem' },
  ]);
  t.same(second?.fallback, new Set(['connect', '404']));
  t.same(
    third?.client.map(({ cert }) => cert),
    ['/a.pem', '/b.pem'],
  );
  t.same(third?.fallback, new Set());
});

t.test('an empty file says nothing, and empty values say nothing', async (t) => {
  for (const text of ['', 'server = ""\ncapabilities = []\nca = []\nclient = []\ndial_timeout = "0"']) {
    const { hosts, server } = parseHostsFile(text, FILE);
    t.same(hosts, []);
    t.match(server, { url: undefined, capabilities: undefined, ca: [], client: [], skipVerify: false, dialTimeoutMs: undefined });
  }
  t.same(parseHostsFile('[host."m"]\nfallback = []', FILE).hosts[0]?.fallback, new Set(), 'no failure leads on');
});

t.test('what is not understood is refused with file, key and what is allowed', async (t) => {
  const host = '[host."https://m"]\n';
  const table: [text: string, message: string | RegExp][] = [
    ['server = ', /^\/etc\/berth\/certs\.d\/reg\.example\/hosts\.toml: line 1, column \d+ is not TOML: /],
    [
      'sever = "x"',
      'sever is not a key; allowed are server, host, capabilities, ca, client, skip_verify, override_path, header, dial_timeout',
    ],
    ['fallback = "never"', /^.*: fallback is not a key; allowed are server/],
    [`${host}rewrite = {}`, /host\."https:\/\/m"\.rewrite is not a key; allowed are .*dial_timeout, fallback$/],
    ['server = 5', 'server = 5 is not allowed; allowed is a URL'],
    ['server = "ftp://x"', 'server = "ftp://x" is not allowed; allowed is [http://|https://]HOST[:PORT][/PATH]'],
    ['server = "https://x?ns=1"', /server = .* is not allowed/],
    ['[host."http://"]', /host\."http:\/\/" is not allowed; allowed is \[http/],
    ['host = 1', 'host = 1 is not allowed; allowed is tables [host."URL"]'],
    ['[host]\ncapabilities = ["pull"]', /host\."capabilities" = \["pull"\] is not allowed; allowed is a table \[host\."URL"\]$/],
    [
      `${host}capabilities = ["pul"]`,
      'host."https://m".capabilities = ["pul"] is not allowed; allowed is a list out of "pull", "resolve", "push"',
    ],
    [`${host}capabilities = "pull"`, /capabilities = "pull" is not allowed/],
    [
      `${host}fallback = "always"`,
      'host."https://m".fallback = "always" is not allowed; allowed is "never" or a list out of "connect", "404", "5xx", "auth"',
    ],
    [`${host}fallback = ["never"]`, /fallback = \["never"\] is not allowed/],
    [`${host}fallback = [404]`, /fallback = \[404\] is not allowed/],
    [`${host}skip_verify = "yes"`, 'host."https://m".skip_verify = "yes" is not allowed; allowed is true or false'],
    [`${host}override_path = 1`, /override_path = 1 is not allowed/],
    [`${host}ca = 1`, 'host."https://m".ca = 1 is not allowed; allowed is a path or a list of paths'],
    [`${host}ca = [""]`, /ca = "" is not allowed; allowed is a path$/],
    [
      `${host}client = [["a", "b", "c"]]`,
      /client = .* is not allowed; allowed is a path, or a list of paths and of pairs \[CERTIFICATE, KEY\]$/,
    ],
    [`${host}client = [[]]`, /client = /],
    [`${host}client = true`, /client = true is not allowed/],
    [
      `${host}dial_timeout = "fast"`,
      'host."https://m".dial_timeout = "fast" is not allowed; allowed is a duration up to 300s, such as "3s" or "1m30s"',
    ],
    [`${host}dial_timeout = "-1s"`, /dial_timeout/],
    [`${host}dial_timeout = "1h"`, /dial_timeout/],
    [`${host}header = "x"`, /header = "x" is not allowed; allowed is a table \[host\."https:\/\/m"\.header\]$/],
    [`${host}header = { "a b" = "x" }`, /header\.a b is not allowed; allowed are header names/],
    [
      `${host}header = { Authorization = "x" }`,
      /header\.Authorization is not allowed; allowed are header names that berth does not set itself/,
    ],
    [Array.from({ length: 33 }, (_, at) => `[host."m${at}"]`).join('\n'), 'it has 33 [host] tables; allowed are 32'],
    ['__proto__ = 1', /is not TOML/],
  ];
  for (const [text, message] of table) {
    const error = attempt(text);
    t.ok(isRuntimeError(error, 'CONFIG_INVALID') && error.kind === 'precondition', text);
    const said = error instanceof Error ? error.message : '';
    if (typeof message === 'string') t.equal(said, `${FILE}: ${message}`);
    else t.match(said, message);
  }
});

t.test('secrets do not get into messages', async (t) => {
  const table: [text: string, message: RegExp][] = [
    ['server = "https://kim:s3cr3t@x"', /server has credentials in its URL/],
    ['[host."https://kim:s3cr3t@x"]\nnonsense = 1', /a \[host\] table has credentials in its URL; allowed are none/],
    ['[host."https://m"]\nheader = { x-token = "s3cr3t\\nx" }', /header\.x-token is not allowed; allowed is a text/],
    ['[host."https://m"]\nheader = { x-token = ["s3cr3t", 5] }', /header\.x-token is not allowed/],
  ];
  for (const [text, message] of table) {
    const said = String(attempt(text));
    t.match(said, message);
    t.notMatch(said, /s3cr3t/);
  }
});

function attempt(text: string): unknown {
  try {
    return parseHostsFile(text, FILE);
  } catch (error) {
    return error;
  }
}
