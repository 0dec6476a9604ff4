import t from 'tap';
import { parseImageConfig } from '../../../src/image/image-config.ts';

const parse = (value: unknown) => parseImageConfig(Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)), 'image x');

t.test('what is missing or null is empty', async (t) => {
  const empty = {
    user: '',
    env: [],
    entrypoint: [],
    cmd: [],
    workingDir: '',
    stopSignal: '',
    volumes: [],
    labels: {},
    architecture: '',
    os: '',
  };
  t.same(parse({}), { config: empty, diffIds: [], variant: '' });
  t.same(parse({ config: { Env: null, Cmd: null, Volumes: null, Labels: null, User: null }, rootfs: null }).config, empty);
});

t.test('a field of a wrong type is refused by name', async (t) => {
  const table: [unknown, RegExp][] = [
    ['nonsense', /not JSON/],
    ['[]', /not a JSON object/],
    [{ config: 'x' }, /“config” is not an object/],
    [{ config: { Env: 'A=b' } }, /“Env” is not a list/],
    [{ config: { Cmd: [1] } }, /“Cmd” is not a list/],
    [{ config: { User: 5 } }, /“User” is not a text/],
    [{ config: { User: 'u'.repeat(257) } }, /“User” is not within 256 characters/],
    [{ config: { User: 'a\0b' } }, /“User” is not a text/],
    ['{"config":{"User":"\\ud800"}}', /“User” is not a text/],
    ['{"config":{"Cmd":["\\udc00"]}}', /“Cmd” is not a list of texts/],
    [{ config: { Env: ['A=b\0c'] } }, /“Env” is not a list of texts/],
    ['{"config":{"Labels":{"\\ud800":""}}}', /“Labels” is not a map of texts/],
    [{ config: { Volumes: { 'a\0': {} } } }, /“Volumes” is not an object of texts/],
    [`{"config":${'['.repeat(200)}`, /deeper than 100/],
    ['\u0001\n', /^\P{Cc}*not JSON\P{Cc}*$/u],
    [{ config: { Env: Array(10_001).fill('A=b') } }, /“Env” is not within 10000 entries/],
    [
      { config: { Labels: Object.fromEntries(Array.from({ length: 10_001 }, (_, at) => [at, ''])) } },
      /“Labels” is not within 10000 entries/,
    ],
    [{ config: { Labels: { a: 1 } } }, /“Labels” is not a map/],
    [{ rootfs: { diff_ids: ['sha256:x'] } }, /“diff_ids” is not a list of sha256/],
  ];
  for (const [value, message] of table) t.throws(() => parse(value), { name: 'RuntimeError', reason: 'IMAGE_MANIFEST', message });
});
