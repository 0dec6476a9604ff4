/**
 * A client of registries: finds out where a reference is asked and as whom,
 * anew each time, and opens sessions there. It owns the connections that
 * sessions share.
 */
import { withDeadline } from '../async/index.ts';
import { RuntimeError } from '../errors/index.ts';
import { Authorizer } from './authorizer.ts';
import type { RawCredentials } from './credentials.ts';
import { findEndpoints } from './hosts-dir.ts';
import { HttpClient } from './http.ts';
import { Keyring } from './keyring.ts';
import { Place } from './place.ts';
import { type EndpointReport, Probe } from './probe.ts';
import { proxyFor } from './proxy.ts';
import { PushSession } from './push.ts';
import { nameOf, type Reference } from './reference.ts';
import { incapable, RegistrySession } from './session.ts';
import { Trust } from './trust.ts';

/** Where its configuration is; both are read at each opening of a session, and neither needs to exist. */
export interface RegistryClientOptions {
  /** Directory of HOST/hosts.toml. */
  hostsDir: string;
  /** Docker's config.json. */
  dockerConfig: string;
}

/** A whole test; one endpoint that does not answer at all takes a minute. */
const TEST_TIMEOUT_MS = 300_000;

export class RegistryClient implements AsyncDisposable {
  readonly #options: RegistryClientOptions;
  readonly #trust = new Trust();
  readonly #http = new HttpClient({ env: process.env, trust: this.#trust });

  constructor(options: RegistryClientOptions) {
    this.#options = options;
  }

  /** A session for one pull: one repository, one caller's credentials. Rejects with CONFIG_INVALID, or INVALID_ARGUMENT for `auth`. */
  async open(reference: Reference, auth: RawCredentials | undefined): Promise<RegistrySession> {
    return new RegistrySession(reference, await this.#places(this.#http, { reference, auth, actions: 'pull' }));
  }

  /** A session for one push, to the first endpoint that takes images. Rejects like `open`. */
  async openPush(reference: Reference, auth: RawCredentials | undefined): Promise<PushSession> {
    const places = await this.#places(this.#http, { reference, auth, actions: 'pull,push' });
    const place = places.find(({ endpoint }) => endpoint.capabilities.has('push'));
    if (place === undefined) throw incapable(`pushing to ${nameOf(reference)}`, 'push', places);
    return new PushSession(reference, place);
  }

  /** What each endpoint that a pull could ask says, in order. Rejects like `open`, or with the signal's error. */
  async test(reference: Reference, auth: RawCredentials | undefined, signal: AbortSignal): Promise<EndpointReport[]> {
    const late = (): RuntimeError =>
      new RuntimeError('deadline', 'DEADLINE', `testing ${nameOf(reference)} took longer than ${TEST_TIMEOUT_MS / 1000} s`);
    using deadline = withDeadline(TEST_TIMEOUT_MS, late, signal);
    const probe = new Probe(deadline.signal);
    const observe = probe.observe.bind(probe);
    await using http = new HttpClient({ env: process.env, trust: this.#trust, observe });
    return await probe.run(reference, await this.#places(http, { reference, auth, actions: 'pull' }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http[Symbol.asyncDispose]();
  }

  async #places(
    http: HttpClient,
    { reference, auth, actions }: { reference: Reference; auth: RawCredentials | undefined; actions: 'pull' | 'pull,push' },
  ): Promise<Place[]> {
    const { host, repository } = reference;
    const keyring = new Keyring(host, auth, this.#options.dockerConfig);
    const endpoints = await findEndpoints(this.#options.hostsDir, host);
    return endpoints.map((endpoint) => {
      const authorizer = new Authorizer({ http, target: endpoint, repository, actions, find: () => keyring.find(endpoint) });
      return new Place({ http, endpoint, repository, authorizer, proxy: proxyFor(new URL(endpoint.url), process.env)?.url });
    });
  }
}
