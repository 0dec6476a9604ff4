import t from 'tap';
import { parseChallenges } from '../../../src/registry/challenge.ts';

t.test('challenges are read in every way servers write them', async (t) => {
  const table: [string | string[] | undefined, object[]][] = [
    [undefined, []],
    ['', []],
    ['Basic', [{ scheme: 'basic', parameters: {} }]],
    ['Basic realm="a b, \\"c\\""', [{ scheme: 'basic', parameters: { realm: 'a b, "c"' } }]],
    [
      'Bearer realm="https://a/token?x=1",service=reg, scope="repository:a/b:pull,push"',
      [{ scheme: 'bearer', parameters: { realm: 'https://a/token?x=1', service: 'reg', scope: 'repository:a/b:pull,push' } }],
    ],
    [
      'Basic realm="x", Bearer realm="y", Negotiate dG9rZW4=, Digest',
      [
        { scheme: 'basic', parameters: { realm: 'x' } },
        { scheme: 'bearer', parameters: { realm: 'y' } },
        { scheme: 'negotiate', parameters: {} },
        { scheme: 'digest', parameters: {} },
      ],
    ],
    [
      ['Basic realm=x', 'Bearer Realm = "y"'],
      [
        { scheme: 'basic', parameters: { realm: 'x' } },
        { scheme: 'bearer', parameters: { realm: 'y' } },
      ],
    ],
    ['Bearer realm="a",realm="b"', [{ scheme: 'bearer', parameters: { realm: 'a' } }]],
    ['Bearer realm="never closed', [{ scheme: 'bearer', parameters: { realm: '' } }]],
    ['Bearer constructor=x,__proto__="y"', [{ scheme: 'bearer', parameters: JSON.parse('{"constructor":"x","__proto__":"y"}') }]],
    ['"nonsense"', []],
  ];
  for (const [header, challenges] of table) t.match(parseChallenges(header), challenges, JSON.stringify(header));
});

t.test('a header of any size and content ends the parsing', async (t) => {
  for (const piece of [',', ' ', '=', '"', 'a=', 'Bearer ', '\\', 'a="\\"', '\u00ff']) parseChallenges(piece.repeat(20_000));
  t.pass();
});
