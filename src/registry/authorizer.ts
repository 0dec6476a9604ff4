/**
 * Logging in at one endpoint for one repository: answers a 401's challenges
 * with Basic or with a token from the server the challenge names. Tokens live
 * here only, as long as the pull, and never show in a message.
 */
import { messageOf } from '../errors/index.ts';
import type { Challenge } from './challenge.ts';
import { basicHeader, type Credentials } from './credentials.ts';
import { ConnectionError, type HttpClient } from './http.ts';

/** A token answer is some KiB. */
const TOKEN_LIMIT_BYTES = 1024 * 1024;
const CLIENT_ID = 'berth';

/** The log-in failed; the message says how, without secrets. */
export class LoginError extends Error {}

export class Authorizer {
  readonly #http: HttpClient;
  readonly #repository: string;
  readonly #credentials: Credentials | undefined;
  #header: string | undefined;

  constructor(http: HttpClient, repository: string, credentials: Credentials | undefined) {
    this.#http = http;
    this.#repository = repository;
    this.#credentials = credentials;
    this.#header = credentials?.kind === 'bearer' ? `Bearer ${credentials.token}` : undefined;
  }

  /** Authorization header to send now. */
  get header(): string | undefined {
    return this.#header;
  }

  /**
   * Gets a header that answers the challenges. Rejects with LoginError when
   * they cannot be met, ConnectionError when the token server does not serve.
   */
  async answer(challenges: readonly Challenge[], endpoint: string, signal: AbortSignal): Promise<void> {
    const bearer = challenges.find((challenge) => challenge.scheme === 'bearer');
    if (bearer !== undefined) {
      this.#header = `Bearer ${await this.#token(bearer, endpoint, signal)}`;
    } else if (challenges.some((challenge) => challenge.scheme === 'basic')) {
      if (this.#credentials?.kind !== 'basic') throw new LoginError('it wants a user name and password, and none were given for it');
      this.#header = basicHeader(this.#credentials.username, this.#credentials.password);
    } else throw new LoginError('it refuses access and offers no way to log in');
  }

  /** distribution-spec "token authentication": GET with the challenge's service and scope, POST for a refresh token. */
  async #token(challenge: Challenge, endpoint: string, signal: AbortSignal): Promise<string> {
    if (this.#credentials?.kind === 'bearer') throw new LoginError('it refuses the registry token given');
    const realm = this.#realm(challenge, endpoint);
    const parameters = new URLSearchParams();
    if (challenge.parameters.service !== undefined) parameters.set('service', challenge.parameters.service);
    parameters.set('scope', challenge.parameters.scope ?? `repository:${this.#repository}:pull`);
    const { status, bytes } = await this.#ask(realm, parameters, signal);
    if (status === 401 || status === 403 || status === 400)
      throw new LoginError(`its token server ${realm.host} refuses ${this.#whose()} (${status})`);
    if (status !== 200) throw new ConnectionError(new Error(`its token server ${realm.host} answered ${status}`));
    return tokenOf(bytes, realm.host);
  }

  #ask(realm: URL, parameters: URLSearchParams, signal: AbortSignal): Promise<{ status: number; bytes: Buffer }> {
    const credentials = this.#credentials;
    if (credentials?.kind === 'identity') {
      const form = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: credentials.token, client_id: CLIENT_ID });
      for (const [name, value] of parameters) form.set(name, value);
      const headers = { 'content-type': 'application/x-www-form-urlencoded' };
      return this.#http.sendAndRead({ method: 'POST', url: realm.href, headers, body: form.toString(), signal }, TOKEN_LIMIT_BYTES);
    }
    for (const [name, value] of parameters) realm.searchParams.set(name, value);
    const authorization = credentials?.kind === 'basic' ? basicHeader(credentials.username, credentials.password) : undefined;
    return this.#http.sendAndRead({ url: realm.href, authorization, signal }, TOKEN_LIMIT_BYTES);
  }

  /** The token server; credentials are not sent in the clear for a registry that itself is not. */
  #realm(challenge: Challenge, endpoint: string): URL {
    let realm: URL;
    try {
      realm = new URL(challenge.parameters.realm ?? '');
    } catch (error) {
      throw new LoginError(`its token server’s address is malformed (${messageOf(error)})`);
    }
    if (realm.protocol !== 'https:' && realm.protocol !== 'http:')
      throw new LoginError(`its token server’s address is not http (${realm.protocol})`);
    if (this.#credentials !== undefined && realm.protocol === 'http:' && endpoint.startsWith('https:')) {
      throw new LoginError(`its token server ${realm.host} would get the credentials unencrypted`);
    }
    return realm;
  }

  #whose(): string {
    return this.#credentials === undefined ? 'anonymous access' : 'the credentials given';
  }
}

function tokenOf(bytes: Buffer, host: string): string {
  let answer: unknown;
  try {
    answer = JSON.parse(bytes.toString('utf8'));
  } catch {
    answer = undefined; // not JSON: said below, without the bytes, which may hold a secret
  }
  if (typeof answer === 'object' && answer !== null) {
    if ('token' in answer && typeof answer.token === 'string' && answer.token !== '') return answer.token;
    if ('access_token' in answer && typeof answer.access_token === 'string' && answer.access_token !== '') return answer.access_token;
  }
  throw new ConnectionError(new Error(`its token server ${host} sent no token`));
}
