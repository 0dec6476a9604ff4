/**
 * Docker's credential helpers: a program docker-credential-NAME that answers
 * `get` with what it keeps for a server. It gets PATH and HOME and nothing
 * else of the daemon's environment. Whatever it says on failure stays out of
 * messages, since nobody knows what it may hold.
 */
import { isRuntimeError } from '../errors/index.ts';
import { run } from '../sys/index.ts';
import { type Credentials, userCredentials } from './credentials.ts';
import { LoginError } from './login-error.ts';

/** A helper that asks a cloud takes a second or two. */
const TIMEOUT_MS = 30_000;
/** A token is some KiB. */
const OUTPUT_LIMIT_BYTES = 256 * 1024;
/** docker-credential-helpers, credentials/error.go: there is nothing for this server. */
const NOT_FOUND = /credentials not found/;
/** What docker calls its own registry. */
const DOCKER_HUB_SERVER = 'https://index.docker.io/v1/';

/** What the helper keeps for `host`; undefined when it has nothing. `file` named it. Rejects with LoginError. */
export async function askHelper(name: string, host: string, file: string): Promise<Credentials | undefined> {
  const program = `docker-credential-${name}`;
  const server = host === 'docker.io' ? DOCKER_HUB_SERVER : host;
  const fail = (what: string): LoginError =>
    new LoginError(`the credential helper ${program}, which ${file} names, ${what}; try it by hand: echo ${server} | ${program} get`);
  const { status, stdout, timedOut } = await start(program, server).catch((error: unknown) => {
    throw isRuntimeError(error, 'PROGRAM_MISSING') ? fail('is not in PATH') : error;
  });
  if (timedOut) throw fail(`did not answer within ${TIMEOUT_MS / 1000} s`);
  const text = stdout.toString('utf8');
  if (status.code !== 0) {
    if (NOT_FOUND.test(text)) return undefined;
    throw fail(status.code === undefined ? `was ended by signal ${status.signal}` : `failed with exit code ${status.code}`);
  }
  const { username, secret } = parseAnswer(text) ?? {};
  if (username === undefined || secret === undefined) throw fail('answered something else than credentials');
  return secret === '' ? undefined : userCredentials(username, secret);
}

function start(program: string, server: string): ReturnType<typeof run> {
  const env = Object.fromEntries(['PATH', 'HOME'].flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])));
  return run({ argv: [program, 'get'], input: server, env, stderr: 'null', timeoutMs: TIMEOUT_MS, outputLimitBytes: OUTPUT_LIMIT_BYTES });
}

function parseAnswer(text: string): { username: string; secret: string } | undefined {
  try {
    const answer: unknown = JSON.parse(text);
    if (typeof answer !== 'object' || answer === null || !('Username' in answer) || !('Secret' in answer)) return undefined;
    const { Username: username, Secret: secret } = answer;
    return typeof username === 'string' && typeof secret === 'string' ? { username, secret } : undefined;
  } catch {
    return undefined; // not JSON: said without the text, which may hold a secret
  }
}
