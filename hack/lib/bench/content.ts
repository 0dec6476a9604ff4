// Bytes that compress as those of real images do, from a seed: prose and source code by words of uneven frequency and
// lines that repeat, machine code by short sequences with operands between, and what is compressed already by noise.
// Deterministic: the same seed gives the same bytes on every machine. What a compressor makes of it is the measure
// (gzip: text about 3.7, machine code about 2.4, noise 1), not that it reads well.

/** xorshift128 (Marsaglia 2003): 32 bits at a time, plenty for content. */
export class Random {
  readonly #state = new Uint32Array(4);

  constructor(seed: number) {
    // Seeds that differ by one bit shall not begin alike (splitmix32's steps).
    for (let at = 0; at < 4; at += 1) {
      let word = (seed + Math.imul(at + 1, 0x9e3779b9)) >>> 0;
      word = Math.imul(word ^ (word >>> 16), 0x21f0aaad);
      word = Math.imul(word ^ (word >>> 15), 0x735a2d97);
      this.#state[at] = word ^ (word >>> 15) || 1;
    }
  }

  /** An integer from 0 to 2^32 - 1. */
  word(): number {
    const state = this.#state;
    let [mixed = 0] = state;
    const last = state[3] ?? 0;
    mixed ^= mixed << 11;
    mixed ^= mixed >>> 8;
    state.copyWithin(0, 1);
    state[3] = last ^ (last >>> 19) ^ mixed;
    return state[3] ?? 0;
  }

  /** An integer from 0 to `limit` - 1. */
  below(limit: number): number {
    return Math.floor((this.word() / 2 ** 32) * limit);
  }

  chance(probability: number): boolean {
    return this.word() < probability * 2 ** 32;
  }

  /** One of `items`, which must not be empty. */
  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }

  /** A size in bytes as those of files are: log-normal around `median`, at least 1 and at most 40 times that. */
  size(median: number): number {
    const normal = Math.sqrt(-2 * Math.log((this.word() + 1) / 2 ** 32)) * Math.cos((2 * Math.PI * this.word()) / 2 ** 32);
    return Math.max(1, Math.round(median * Math.min(40, Math.exp(1.1 * normal))));
  }
}

/** Larger makes the shares more even. */
const SKEW = 8;

/** Tokens in one buffer, to be drawn by a table that gives the n-th a share of 1/(n + SKEW). */
class Vocabulary {
  readonly #bytes: Buffer;
  readonly #offsets: Uint32Array;
  readonly #draw = new Uint16Array(1 << 16);

  constructor(tokens: readonly Buffer[]) {
    this.#bytes = Buffer.concat(tokens);
    this.#offsets = new Uint32Array(tokens.length + 1);
    for (const [at, token] of tokens.entries()) this.#offsets[at + 1] = (this.#offsets[at] ?? 0) + token.length;
    const weights = tokens.map((_, at) => 1 / (at + SKEW));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    let filled = 0;
    let sum = 0;
    for (const [at, weight] of weights.entries()) {
      sum += weight;
      const end = Math.round((sum / total) * this.#draw.length);
      this.#draw.fill(at, filled, end);
      filled = end;
    }
  }

  /** Writes a token at `at` and answers where it ends; what does not fit is cut. */
  write(into: Buffer, at: number, random: Random): number {
    const token = this.#draw[random.word() >>> 16] ?? 0;
    const [bytes, offsets] = [this.#bytes, this.#offsets];
    let end = at;
    for (let from = offsets[token] ?? 0; from < (offsets[token + 1] ?? 0) && end < into.length; from += 1) into[end++] = bytes[from] ?? 0;
    return end;
  }
}

const WORDS = 6000;
const SEQUENCES = 1500;
const VOCABULARY_SEED = 20_261_121;

const SYLLABLES =
  'a al an ar ba con de di el en er es fi ge in is ka le li ma mo ne no o on or pa per po qu ra re ro sa se si st ta te ti to tra un ur ve vi'.split(
    ' ',
  );
const SEPARATORS = [' ', ' ', ' ', ' ', ' ', '.', '_', ', ', '(', ') ', ' = ', ';\n', '\n', '\n  ', '\n    ', ': "', '",\n', '/'];

/** A made-up word of one to four syllables; also for names of files. */
export function word(random: Random): string {
  return Array.from({ length: 1 + random.below(4) }, () => random.pick(SYLLABLES)).join('');
}

function makeWords(): Vocabulary {
  const random = new Random(VOCABULARY_SEED);
  return new Vocabulary(Array.from({ length: WORDS }, () => Buffer.from(word(random) + random.pick(SEPARATORS))));
}

function makeSequences(): Vocabulary {
  const random = new Random(VOCABULARY_SEED + 1);
  const sequence = (): Buffer => Buffer.from(Array.from({ length: 2 + random.below(5) }, () => random.below(256)));
  return new Vocabulary(Array.from({ length: SEQUENCES }, sequence));
}

const words = makeWords();
const sequences = makeSequences();

/** How far back a repetition may reach, and how long it may be, in bytes. */
const REPEAT_WITHIN = 6000;
const REPEAT_LIMIT = 60;

/** Text of `length` bytes. */
export function text(length: number, random: Random): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let at = 0; at < length; ) {
    if (at > REPEAT_LIMIT && random.chance(0.08)) at = repeat(bytes, at, random);
    else at = words.write(bytes, at, random);
  }
  return bytes;
}

/** Machine code of `length` bytes. */
export function machineCode(length: number, random: Random): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let at = 0; at < length; ) {
    if (at > REPEAT_LIMIT && random.chance(0.06)) at = repeat(bytes, at, random);
    else at = sequences.write(bytes, at, random);
    if (at < length && random.chance(0.12)) bytes[at++] = random.word() & 0xff; // an operand
  }
  return bytes;
}

/** What no compressor makes smaller. */
export function noise(length: number, random: Random): Buffer {
  const words = new Uint32Array(Math.ceil(length / 4));
  for (let at = 0; at < words.length; at += 1) words[at] = random.word();
  return Buffer.from(words.buffer, 0, length);
}

/** Says again some bytes from before. */
function repeat(bytes: Buffer, at: number, random: Random): number {
  const length = Math.min(8 + random.below(REPEAT_LIMIT - 8), bytes.length - at);
  const from = at - REPEAT_LIMIT - random.below(Math.min(at - REPEAT_LIMIT + 1, REPEAT_WITHIN));
  bytes.copyWithin(at, from, from + length);
  return at + length;
}
