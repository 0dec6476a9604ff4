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
