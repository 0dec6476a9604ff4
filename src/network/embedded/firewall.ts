/**
 * Keeps the nftables table equal to what is stored. A rebuild takes the state
 * at the moment it starts; requests that come while one runs share the next,
 * so any number of pods at once costs two runs of nft. Invariant: when
 * `rebuild` resolves, the kernel has the rules of a state not older than the
 * call.
 */
import { isRuntimeError, RuntimeError } from '../../errors/index.ts';
import { run } from '../../sys/index.ts';

/** nft answers in 10 ms; beyond this it hangs on a lock of the kernel's. */
const NFT_TIMEOUT_MS = 10_000;
/** Words of nft kept in an error. */
const NFT_WORDS_MAX = 500;

/** The nftables table of one bridge. */
export class Firewall {
  readonly #text: () => string;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  /** `text` gives the whole table from the present state. */
  constructor(text: () => string) {
    this.#text = text;
  }

  /** Brings the table up to date. Throws NETWORK_FAILED with nft's words. */
  async rebuild(): Promise<void> {
    if (this.#running === undefined) {
      this.#running = applyRuleset(this.#text()).finally(() => {
        this.#running = undefined;
      });
      return this.#running;
    }
    this.#next ??= this.#afterRunning();
    return this.#next;
  }

  async #afterRunning(): Promise<void> {
    await this.#running?.catch(() => undefined); // its own callers are told
    this.#next = undefined;
    await this.rebuild();
  }
}

/** Feeds `text` to nft as one transaction. */
export async function applyRuleset(text: string): Promise<void> {
  const { status, stderr, timedOut } = await runNft(text);
  if (timedOut || status.code !== 0) {
    const words = timedOut ? `no answer in ${NFT_TIMEOUT_MS / 1000} s` : stderr.toString('utf8', 0, NFT_WORDS_MAX).trim();
    throw new RuntimeError(
      'internal',
      'NETWORK_FAILED',
      `setting the host port and masquerade rules failed: nft said ${JSON.stringify(words)}; check that the kernel has nftables with NAT`,
    );
  }
}

async function runNft(text: string): ReturnType<typeof run> {
  try {
    return await run({ argv: ['nft', '-f', '-'], input: text, timeoutMs: NFT_TIMEOUT_MS });
  } catch (error) {
    if (!isRuntimeError(error, 'PROGRAM_MISSING')) throw error;
    throw new RuntimeError('precondition', 'NETWORK_FAILED', 'the embedded network needs nft; install the package nftables', {
      cause: error,
    });
  }
}
