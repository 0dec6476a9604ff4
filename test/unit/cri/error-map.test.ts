/** The one map from failures to gRPC statuses: complete, and with the prefixes kubelet matches. */
import { status } from '@grpc/grpc-js';
import t from 'tap';
import { codeName, REASON_TRAILER, statusOf } from '../../../src/cri/error-map.ts';
import { type ErrorKind, REASONS, type Reason, RuntimeError } from '../../../src/errors/index.ts';

const EXPECTED: Record<ErrorKind, status> = {
  invalid: status.INVALID_ARGUMENT,
  'not-found': status.NOT_FOUND,
  'already-exists': status.ALREADY_EXISTS,
  precondition: status.FAILED_PRECONDITION,
  unavailable: status.UNAVAILABLE,
  deadline: status.DEADLINE_EXCEEDED,
  cancelled: status.CANCELLED,
  unimplemented: status.UNIMPLEMENTED,
  exhausted: status.RESOURCE_EXHAUSTED,
  denied: status.PERMISSION_DENIED,
  unknown: status.UNKNOWN,
  internal: status.INTERNAL,
};

t.test('every kind has its code', async (t) => {
  for (const [kind, code] of Object.entries(EXPECTED)) {
    t.equal(statusOf('Status', new RuntimeError(kind as ErrorKind, 'INTERNAL', 'm')).code, code, kind);
  }
  t.equal(codeName(status.DEADLINE_EXCEEDED), 'DEADLINE_EXCEEDED');
});

t.test('every reason travels in the trailer, the message as it is', async (t) => {
  for (const reason of Object.keys(REASONS) as Reason[]) {
    const answer = statusOf('RunPodSandbox', new RuntimeError('precondition', reason, 'words'));
    t.same(answer.metadata.get(REASON_TRAILER), [reason]);
    t.equal(answer.details, 'words');
  }
});

t.test('RegistryUnavailable is a prefix under Unknown, only where kubelet looks, and only once', async (t) => {
  const error = new RuntimeError('unavailable', 'REGISTRY_UNAVAILABLE', 'cannot reach r');
  t.match(statusOf('PullImage', error), { code: status.UNKNOWN, details: 'RegistryUnavailable: cannot reach r' });
  t.match(statusOf('CreateContainer', error), { code: status.UNKNOWN, details: /^RegistryUnavailable: / });
  t.match(statusOf('ImageStatus', error), { code: status.UNAVAILABLE, details: 'cannot reach r' });
  const prefixed = new RuntimeError('unknown', 'REGISTRY_UNAVAILABLE', 'RegistryUnavailable: cannot reach r');
  t.equal(statusOf('PullImage', prefixed).details, 'RegistryUnavailable: cannot reach r');
});

t.test('a message is bounded and can be encoded', async (t) => {
  const { details } = statusOf('Status', new RuntimeError('internal', 'INTERNAL', `${'x'.repeat(10_000)}`));
  t.equal(details.length, 4097);
  t.doesNotThrow(() => encodeURI(statusOf('Status', new RuntimeError('internal', 'INTERNAL', 'a\ud800')).details));
});
