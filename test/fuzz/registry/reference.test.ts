/**
 * Image references against the distribution grammar, which is written down
 * here a second time: as a generator of names that must be accepted, of ones
 * that are just not, and as a reader of what was accepted.
 */
import assert from 'node:assert/strict';
import t from 'tap';
import { formatReference, parseReference, type Reference } from '../../../src/registry/reference.ts';
import { refusal } from '../../fixtures/fuzz/errors.ts';
import { growsLinearly } from '../../fixtures/fuzz/growth.ts';
import { fuzz, property, type Random } from '../../fixtures/fuzz.ts';

const LOWER = 'abcdefghijklmnopqrstuvwxyz';
const DIGITS = '0123456789';
const ALNUM = LOWER + DIGITS;
const LETTERS = LOWER + LOWER.toUpperCase();
const NAME_MOST = 255;

/** alphanumeric [separator alphanumeric]*, separator one of . _ __ or dashes */
function component(random: Random): string {
  const separator = (): string => random.pick(['.', '_', '__', '-', '--', '-----']);
  return random.list(0, 3, () => random.text(ALNUM, 1, 6) + separator()).join('') + random.text(ALNUM, 1, 8);
}

/** domain-component ["." domain-component]* or an IPv6 address, [":" port]; something in it tells it from a path. */
function host(random: Random): string {
  const label = (): string => {
    const inner = random.text(`${LETTERS + DIGITS}-`, 0, 8);
    return random.once(2) ? random.text(LETTERS + DIGITS, 1, 1) : random.text(LETTERS, 1, 1) + inner + random.text(LETTERS + DIGITS, 1, 1);
  };
  const port = `:${random.text(DIGITS, 1, 5)}`;
  const named = random.list(1, 3, label).join('.');
  switch (random.below(5)) {
    case 0:
      return `localhost${random.once(2) ? port : ''}`;
    case 1:
      return `[${random.text('0123456789abcdefABCDEF', 0, 4)}:${random.text('0123456789abcdefABCDEF:', 0, 12)}]${random.once(2) ? port : ''}`;
    case 2:
      return named + port;
    case 3:
      return `${label()}.${named}${random.once(2) ? port : ''}`;
    default:
      return `${named}${random.text(LOWER.toUpperCase(), 1, 1)}`; // upper case: no path may have it
  }
}

interface Written {
  text: string;
  host: string | undefined;
  path: string[];
  tag: string | undefined;
  digest: string | undefined;
}

function written(random: Random): Written {
  const parts = {
    host: random.once(2) ? host(random) : undefined,
    path: random.list(1, 4, () => component(random)),
    tag: random.once(2)
      ? random.text(`${LETTERS + DIGITS}_`, 1, 1) + random.text(`${LETTERS + DIGITS}_.-`, 0, random.once(4) ? 127 : 9)
      : undefined,
    digest: random.once(3) ? `sha256:${random.text('0123456789abcdef', 64, 64)}` : undefined,
  };
  // without a host the first part must not look like one
  if (parts.host === undefined && parts.path.length > 1)
    parts.path[0] = (parts.path[0] ?? '').replaceAll('.', '-').replace('localhost', 'local');
  return { ...parts, text: spell(parts) };
}

function spell({ host, path, tag, digest }: Omit<Written, 'text'>): string {
  const name = [...(host === undefined ? [] : [host]), ...path].join('/');
  return `${name}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
}

/** What Docker and containerd make of it. */
function expected({ host, path, tag, digest }: Written): Reference {
  const lower = host?.toLowerCase() ?? 'docker.io';
  const kept = lower === 'localhost' || /[.:]/.test(lower) ? lower : (host ?? '');
  const known = kept === 'index.docker.io' ? 'docker.io' : kept;
  return {
    host: known,
    repository: (known === 'docker.io' && path.length === 1 ? ['library', ...path] : path).join('/'),
    ...(tag !== undefined ? { tag } : digest === undefined ? { tag: 'latest' } : {}),
    ...(digest === undefined ? {} : { digest: digest as Reference['digest'] & string }),
  };
}

const nameLength = (reference: Reference): number => reference.host.length + 1 + reference.repository.length;
const isBareId = (text: string): boolean => /^[0-9a-f]{64}$/.test(text);

/** Reads an accepted name character by character; throws where the grammar does not allow it. */
function checkGrammar(reference: Reference): void {
  const { host, repository, tag, digest } = reference;
  const only = (text: string, alphabet: string, what: string): void => {
    for (const character of text)
      assert(alphabet.includes(character), `${JSON.stringify(character)} in the ${what} ${JSON.stringify(text)}`);
  };
  assert(nameLength(reference) <= NAME_MOST, 'the name is too long');
  const [, address, port] = /^(.*?)(?::([^:\]]*))?$/s.exec(host) ?? [];
  if (port !== undefined) {
    assert(port.length > 0);
    only(port, DIGITS, 'port');
  }
  if (address?.startsWith('[')) {
    assert(address.endsWith(']') && address.length > 2);
    only(address.slice(1, -1), host === host.toLowerCase() ? 'abcdef0123456789:' : 'abcdefABCDEF0123456789:', 'address');
  } else {
    for (const label of (address ?? '').split('.')) {
      assert(label.length > 0 && !label.startsWith('-') && !label.endsWith('-'), `the label ${JSON.stringify(label)}`);
      only(label, `${host === host.toLowerCase() ? ALNUM : LETTERS + DIGITS}-`, 'host');
    }
  }
  for (const part of repository.split('/')) {
    only(part, `${ALNUM}._-`, 'name');
    const words = part.split(/[._-]+/);
    assert(
      words.every((word) => word !== ''),
      `${JSON.stringify(part)} begins or ends with a separator`,
    );
    for (const separator of part.split(/[a-z0-9]+/).slice(1, -1)) {
      assert(['.', '_', '__'].includes(separator) || /^-+$/.test(separator), `the separator ${separator}`);
    }
  }
  assert(tag !== undefined || digest !== undefined, 'neither tag nor digest');
  if (tag !== undefined) {
    assert(tag.length >= 1 && tag.length <= 128 && !'.-'.includes(tag.charAt(0)));
    only(tag, `${LETTERS + DIGITS}_.-`, 'tag');
  }
  if (digest !== undefined) assert.match(digest, /^sha256:[0-9a-f]{64}$/);
}

/** Parses any text: it is refused with words, or what was read is right and stays the same when written and read again. */
function check(text: string): string {
  let reference: Reference;
  try {
    reference = parseReference(text);
  } catch (error) {
    return refusal(error, 'invalid', 'IMAGE_REFERENCE');
  }
  checkGrammar(reference);
  const full = formatReference(reference);
  const again = parseReference(full);
  assert.deepEqual(again, reference, `${JSON.stringify(full)} read again`);
  assert.equal(formatReference(again), full);
  return Object.keys(reference).join() + (reference.host === 'docker.io') + reference.repository.split('/').length;
}

t.test('any bytes', async (t) => {
  await fuzz(t, {
    name: 'reference',
    seeds: [
      'busybox',
      'docker.io/library/busybox:1.36',
      'localhost:5000/a/b-c__d.e',
      '[::1]:5000/x',
      `quay.io/a:v1@sha256:${'0f'.repeat(32)}`,
    ],
    dictionary: [
      'docker.io/',
      'index.docker.io/',
      'library/',
      'localhost/',
      '@sha256:',
      ':latest',
      '__',
      '--',
      '://',
      '[::]',
      'A',
      '/',
      '\0',
      '\n',
      '”',
    ],
    generate: (random) => written(random).text,
    maxBytes: 600,
    check: (input) => check(input.toString('utf8')) + check(input.toString('latin1')),
  });
});

t.test('lone surrogates', async (t) => {
  await property(t, {
    name: 'surrogates',
    inputs: 2000,
    generate: (random) => written(random).text.replace(/[a-z]/, '\ud800').replace(/0/, '\udfff'),
    check: (text) => void check(text),
  });
});

t.test('every name of the grammar is accepted and read as others read it', async (t) => {
  await property(t, {
    name: 'grammar',
    generate: written,
    check(name) {
      const wanted = expected(name);
      if (nameLength(wanted) > NAME_MOST || isBareId(name.text)) return void assert.throws(() => parseReference(name.text));
      assert.deepEqual(parseReference(name.text), wanted, JSON.stringify(name.text));
    },
  });
});

t.test('what is just not a name is refused', async (t) => {
  const spoilt: ((random: Random, name: Written) => Omit<Written, 'text'>)[] = [
    (random, name) => ({ ...name, path: [...name.path, component(random) + random.pick(['.', '_', '-', '__'])] }),
    (random, name) => ({ ...name, path: [...name.path, random.pick(['.', '_', '-']) + component(random)] }),
    (random, name) => ({ ...name, path: [...name.path, `a${random.pick(['..', '___', '._', '_.', '-.', '_-'])}b`] }),
    (_random, name) => ({ ...name, path: [...name.path, ''] }),
    (random, name) => ({ ...name, path: [...name.path, component(random).toUpperCase() + random.text(LOWER.toUpperCase(), 1, 1)] }),
    (random, name) => ({ ...name, path: [...name.path, component(random) + random.pick(['é', ' ', '%', '\n', '\0', '٣', 'ﬀ', '\\'])] }),
    (random, name) => ({ ...name, tag: random.pick(['', '.a', '-a', 'a b', 'a\n', 't'.repeat(129), 'ä']) }),
    (random, name) => ({
      ...name,
      digest: random.pick(['', 'sha256:', `sha256:${'A'.repeat(64)}`, `sha256:${'a'.repeat(63)}`, `sha256:${'a'.repeat(65)}`]),
    }),
    (random, name) => ({
      ...name,
      digest: random.pick([`sha512:${'a'.repeat(128)}`, `md5:${'a'.repeat(32)}`, `sha256:${'a'.repeat(64)}@sha256:${'a'.repeat(64)}`]),
    }),
    (random, name) => ({
      ...name,
      host: `${random.pick(['-a', 'a-', 'a..b', '.a', 'a.', 'a_b', 'http:', '[::1', '::1', '[]', 'a b', 'ä'])}.io:1`,
    }),
    (random, name) => ({ ...name, host: `reg.io:${random.pick(['', '1a', '-1', '+1', ' 1', '1:2', '٣'])}` }),
    (_random, name) => ({ ...name, path: ['p'.repeat(NAME_MOST)] }),
  ];
  await property(t, {
    name: 'near misses',
    generate: (random) => spell(random.pick(spoilt)(random, written(random))),
    check(text) {
      assert.throws(
        () => parseReference(text),
        (error) => refusal(error, 'invalid', 'IMAGE_REFERENCE') !== '',
        JSON.stringify(text),
      );
    },
  });
});

t.test('the work is in proportion to the length', async (t) => {
  const pieces = ['a', 'A', 'a.', 'a-', '-', '_', '__', 'a/', '/', ':', '@', '[', ':a', 'a:', '0', '\0', 'é'];
  for (const piece of pieces) {
    for (const end of ['', '!', '/x', ':t', '/x:!']) {
      growsLinearly(
        `${piece}…${end}`,
        20_000,
        (size) => piece.repeat(size) + end,
        (text) => void check(text),
      );
    }
  }
  t.pass(`${pieces.length} pieces`);
});
