/**
 * WWW-Authenticate: any header is read without an error and in proportion to
 * its length; what RFC 9110 allows, in whatever of its spellings, is read
 * back as it was meant.
 */
import assert from 'node:assert/strict';
import t from 'tap';
import { type Challenge, parseChallenges } from '../../../src/registry/challenge.ts';
import { growsLinearly } from '../../fixtures/fuzz/growth.ts';
import { fuzz, property, type Random } from '../../fixtures/fuzz.ts';

/** RFC 9110 tchar. */
const TOKEN = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const TOKEN68 = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-._~+/';
const NAMES = ['realm', 'service', 'scope', 'error', 'Realm', 'constructor', '__proto__', 'tostring'];
/** Characters of a header that are looked at. */
const HEADER_MOST = 8192;

/** A list of challenges and one of its spellings. */
interface Written {
  text: string;
  meant: { scheme: string; parameters: [string, string][] }[];
}

/** Names that are numbers come first in an object. */
const sorted = (entries: [string, string][]): [string, string][] => entries.sort(([a], [b]) => (a < b ? -1 : 1));
const token = (random: Random): string => random.text(TOKEN, 1, random.once(4) ? 30 : 6);
/** OWS, BWS: nothing, spaces, tabs. */
const blank = (random: Random): string => random.text(' \t', 0, random.once(3) ? 4 : 0);

function value(random: Random): { text: string; meant: string } {
  if (random.once(3)) {
    const meant = token(random);
    return { text: meant, meant };
  }
  const meant = random.text(`${TOKEN} ,="\\/:?\t\u00e4\u00ff()<>@;[]{}`, 0, 30);
  // quoted-pair: needed before a quote and a backslash, allowed before anything
  const text = [...meant].map((character) => ('"\\'.includes(character) || random.once(10) ? `\\${character}` : character)).join('');
  return { text: `"${text}"`, meant };
}

function written(random: Random): Written {
  const comma = (): string => `${blank(random)},${blank(random)}${random.once(8) ? `,${blank(random)}` : ''}`;
  const challenges = random.list(1, 4, () => {
    const scheme = random.once(2) ? random.pick(['Bearer', 'Basic', 'bearer', 'Negotiate', 'Digest']) : token(random);
    if (random.once(4)) return { text: scheme, meant: { scheme: scheme.toLowerCase(), parameters: [] } };
    if (random.once(5)) {
      const text = `${scheme} ${random.text(TOKEN68, 1, 40)}${random.text('=', 0, 2)}`;
      return { text, meant: { scheme: scheme.toLowerCase(), parameters: [] } };
    }
    const parameters = new Map<string, string>();
    const texts = random.list(1, 4, () => {
      const name = random.once(2) ? random.pick(NAMES) : token(random);
      const { text, meant } = value(random);
      const key = name.toLowerCase();
      if (!parameters.has(key)) parameters.set(key, meant); // the first counts
      return `${name}${blank(random)}=${blank(random)}${text}`;
    });
    return { text: `${scheme} ${texts.join(comma())}`, meant: { scheme: scheme.toLowerCase(), parameters: sorted([...parameters]) } };
  });
  const end = random.once(6) ? ',' : '';
  return {
    text: `${random.once(6) ? ',' : ''}${challenges.map(({ text }) => text).join(comma())}${end}`,
    meant: challenges.map(({ meant }) => meant),
  };
}

const plain = (challenges: readonly Challenge[]): Written['meant'] =>
  challenges.map(({ scheme, parameters }) => ({ scheme, parameters: sorted(Object.entries(parameters)) }));

function check(header: string): string {
  const challenges = plain(parseChallenges(header));
  let characters = 0;
  for (const { scheme, parameters } of challenges) {
    assert(scheme.length > 0 && scheme === scheme.toLowerCase(), JSON.stringify(scheme));
    characters += scheme.length;
    for (const [name, value] of parameters) {
      assert.equal(typeof value, 'string', `the value of ${name}`);
      assert(name.length > 0 && name === name.toLowerCase(), JSON.stringify(name));
      characters += name.length + value.length;
    }
  }
  assert(characters <= Math.min(header.length, HEADER_MOST), `${characters} characters out of ${header.length}`);
  return challenges.map(({ scheme, parameters }) => `${scheme.length > 3}${parameters.length}`).join();
}

t.test('any bytes', async (t) => {
  await fuzz(t, {
    name: 'challenge',
    seeds: ['Basic realm="a"', 'Bearer realm="https://a/token",service="b",scope="repository:a/b:pull"', 'Negotiate abc==, Basic'],
    dictionary: ['realm=', ', ', '"', '\\"', '\\', '=', 'Bearer ', 'Basic ', ',,', '\t', '__proto__=', 'constructor='],
    generate: (random) => Buffer.from(written(random).text, 'latin1'),
    check(input) {
      const text = input.toString('latin1');
      const half = text.length >> 1;
      const [first, second] = [text.slice(0, half), text.slice(half)];
      assert.deepEqual(plain(parseChallenges([first, second])), plain(parseChallenges(`${first}, ${second}`)), 'two headers are one list');
      return check(text);
    },
  });
});

t.test('every spelling of challenges is read as it was meant', async (t) => {
  await property(t, {
    name: 'spellings',
    generate: written,
    check: ({ text, meant }) => assert.deepEqual(plain(parseChallenges(text)), meant, JSON.stringify(text)),
  });
});

t.test('the work is in proportion to the length', async (t) => {
  const pieces = [
    ' ',
    ',',
    '=',
    '"',
    '\\',
    'a',
    'a ',
    'a,',
    'a=',
    'a =',
    'a="',
    'a="",',
    'a="\\"',
    'a=b,',
    'a b',
    '==',
    ' =',
    '\t,',
    'a==,',
    '/',
  ];
  for (const piece of pieces) {
    for (const start of ['', 'Basic ', 'Basic a="']) {
      // as far as a header is looked at, and as many headers as one likes
      growsLinearly(
        `${start}${piece}…`,
        HEADER_MOST / 16,
        (size) => start + piece.repeat(size),
        (text) => void check(text),
      );
      growsLinearly(
        `${start}${piece}… as values`,
        40,
        (size) => Array<string>(size).fill(start + piece.repeat(500)),
        (values) => void parseChallenges(values),
      );
    }
  }
  t.pass(`${pieces.length} pieces`);
});
