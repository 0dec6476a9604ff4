/**
 * Logging in at one endpoint for one repository: answers a 401's challenges
 * with Basic or with a token from the server the challenge names. Requests
 * that meet the same challenge at once share one log-in. Tokens live here
 * only, as long as the session, and never show in a message.
 */
import { SingleFlight } from '../async/index.ts';
import { messageOf } from '../errors/index.ts';
import type { Challenge } from './challenge.ts';
import { ConnectionError } from './connection-error.ts';
import { basicHeader, type Credentials, type FoundCredentials } from './credentials.ts';
import type { HttpClient, Target } from './http.ts';
import { LoginError } from './login-error.ts';
import { actionsFor, parseToken, type Token } from './token.ts';

/** A token answer is some KiB. */
const TOKEN_LIMIT_BYTES = 1024 * 1024;
const CLIENT_ID = 'berth';
/** A token is renewed this long before it expires, for the way of the request. */
const EXPIRY_MARGIN_MS = 5_000;
/** A token server that is down is not asked again before each request. */
const RENEWAL_PAUSE_MS = 30_000;

/** What it logs in for. */
export interface AuthorizerOptions {
  http: HttpClient;
  target: Target;
  repository: string;
  /** Of the token's scope: `pull` or `pull,push`. */
  actions: 'pull' | 'pull,push';
  /** Credentials, asked for when the endpoint wants to know who we are. */
  find: () => Promise<FoundCredentials | undefined>;
}

/** How we are logged in, for people. */
export interface Login {
  /** "anonymous", or where the credentials are from. */
  readonly whose: string;
  readonly how: 'none' | 'basic' | 'token';
}

export class Authorizer {
  readonly #options: AuthorizerOptions;
  readonly #logins = new SingleFlight<'login', void>();
  #found: Promise<FoundCredentials | undefined> | undefined;
  #header: string | undefined;
  #login: Login = { whose: 'anonymous', how: 'none' };
  /** The challenge that the present token answers, and when that ends (performance.now()). */
  #renewable: { challenge: Challenge; atMs: number } | undefined;

  constructor(options: AuthorizerOptions) {
    this.#options = options;
  }

  /** Authorization header to send now. */
  get header(): string | undefined {
    return this.#header;
  }

  get login(): Login {
    return this.#login;
  }

  /**
   * Gets a header that answers the challenges to a request that went out with `sent`; nothing to do when another
   * request has got a newer one meanwhile. Rejects with LoginError when the challenges cannot be met, ConnectionError
   * when the token server does not serve.
   */
  async answer(challenges: readonly Challenge[], sent: string | undefined, signal: AbortSignal): Promise<void> {
    if (this.#header !== sent) return;
    await this.#logins.join('login', { signal }, async (flight) => this.#logIn(challenges, flight));
  }

  /** Renews a token that is about to expire; when the token server does not serve, the old one may still do. Rejects like `answer` otherwise. */
  async renew(signal: AbortSignal): Promise<void> {
    const renewable = this.#renewable;
    if (renewable === undefined || performance.now() < renewable.atMs - EXPIRY_MARGIN_MS) return;
    try {
      await this.#logins.join('login', { signal }, (flight) => this.#logIn([renewable.challenge], flight));
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      renewable.atMs = performance.now() + RENEWAL_PAUSE_MS;
    }
  }

  async #logIn(challenges: readonly Challenge[], signal: AbortSignal): Promise<void> {
    this.#found ??= this.#options.find();
    const found = await this.#found;
    const credentials = found?.credentials;
    const whose = found?.whose ?? 'anonymous';
    const bearer = challenges.find((challenge) => challenge.scheme === 'bearer');
    if (credentials?.kind === 'bearer') {
      const header = `Bearer ${credentials.token}`;
      if (this.#header === header) throw new LoginError('it refuses the registry token given');
      this.#set(header, { whose, how: 'token' });
    } else if (bearer !== undefined) {
      const token = await this.#token(bearer, credentials, signal);
      this.#set(`Bearer ${token.value}`, { whose, how: 'token' });
      this.#renewable = { challenge: bearer, atMs: performance.now() + token.lifeMs };
    } else if (challenges.some((challenge) => challenge.scheme === 'basic')) {
      if (credentials?.kind !== 'basic') throw new LoginError('it wants a user name and password, and none were given for it');
      this.#set(basicHeader(credentials.username, credentials.password), { whose, how: 'basic' });
    } else throw new LoginError('it refuses access and offers no way to log in');
  }

  #set(header: string, login: Login): void {
    this.#header = header;
    this.#login = login;
    this.#renewable = undefined;
  }

  /** distribution-spec "token authentication": GET with the challenge's service and scope, POST for a refresh token. */
  async #token(challenge: Challenge, credentials: Credentials | undefined, signal: AbortSignal): Promise<Token> {
    const realm = this.#realm(challenge, credentials !== undefined);
    const scope = actionsFor(challenge.parameters.scope ?? `repository:${this.#options.repository}:pull`, this.#options.actions);
    const { service } = challenge.parameters;
    const question: Question = { realm, service, scope, signal };
    let answer = credentials?.kind === 'identity' ? await this.#exchange(question, credentials.token) : undefined;
    // A server without the newer way takes the refresh token as a password.
    if (answer === undefined || answer.status === 404 || answer.status === 405) answer = await this.#askByGet(question, credentials);
    const { status, bytes } = answer;
    if (status === 401 || status === 403 || status === 400) {
      throw new LoginError(
        `its token server ${realm.host} refuses ${credentials === undefined ? 'anonymous access' : 'the credentials given'} (${status})`,
      );
    }
    if (status !== 200) throw new ConnectionError(new Error(`its token server ${realm.host} answered ${status}`));
    return parseToken(bytes, realm.host);
  }

  #exchange({ realm, service, scope, signal }: Question, refreshToken: string): Promise<{ status: number; bytes: Buffer }> {
    const form = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: refreshToken, client_id: CLIENT_ID, scope });
    if (service !== undefined) form.set('service', service);
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const { http, target } = this.#options;
    return http.sendAndRead({ target, method: 'POST', url: realm.href, headers, body: form.toString(), signal }, TOKEN_LIMIT_BYTES);
  }

  #askByGet({ realm, service, scope, signal }: Question, credentials: Credentials | undefined): Promise<{ status: number; bytes: Buffer }> {
    const url = new URL(realm);
    if (service !== undefined) url.searchParams.set('service', service);
    for (const each of scope.split(' ')) url.searchParams.append('scope', each);
    const { http, target } = this.#options;
    return http.sendAndRead({ target, url: url.href, authorization: passwordHeader(credentials), signal }, TOKEN_LIMIT_BYTES);
  }

  /** The token server; credentials are not sent in the clear for a registry that itself is not. */
  #realm(challenge: Challenge, isSecret: boolean): URL {
    let realm: URL;
    try {
      realm = new URL(challenge.parameters.realm ?? '');
    } catch (error) {
      throw new LoginError(`its token server’s address is malformed (${messageOf(error)})`);
    }
    if (realm.protocol !== 'https:' && realm.protocol !== 'http:')
      throw new LoginError(`its token server’s address is not http (${realm.protocol})`);
    if (isSecret && realm.protocol === 'http:' && this.#options.target.url.startsWith('https:')) {
      throw new LoginError(`its token server ${realm.host} would get the credentials unencrypted`);
    }
    return realm;
  }
}

interface Question {
  readonly realm: URL;
  readonly service: string | undefined;
  /** Separated by spaces. */
  readonly scope: string;
  readonly signal: AbortSignal;
}

function passwordHeader(credentials: Credentials | undefined): string | undefined {
  if (credentials?.kind === 'basic') return basicHeader(credentials.username, credentials.password);
  return credentials?.kind === 'identity' ? basicHeader('', credentials.token) : undefined;
}
