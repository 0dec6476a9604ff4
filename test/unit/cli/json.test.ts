import Long from 'long';
import t from 'tap';
import { enumName, jsonText, toJson } from '../../../src/cli/json.ts';
import { cri, operator } from '../../../src/gen/index.ts';

/** What the client would decode from `init` sent by a daemon. */
function wire<Init, Decoded>(
  message: { encode(init: Init): { finish(): Uint8Array }; decode(bytes: Uint8Array): Decoded },
  init: Init,
): Decoded {
  return message.decode(message.encode(init).finish());
}

t.test('64-bit integers as exact strings, enums by name, unset fields with their zero', async (t) => {
  const pod = wire(cri.PodSandbox, { id: 'p', state: 1, createdAt: Long.fromString('1767323045678901234'), labels: { state: '0' } });
  t.same(toJson(pod), {
    id: 'p',
    state: 'SANDBOX_NOTREADY',
    createdAt: '1767323045678901234',
    labels: { state: '0' },
    annotations: {},
    runtimeHandler: '',
  });
});

t.test('fields come in the order of the proto', async (t) => {
  const pod = wire(cri.PodSandbox, { labels: { a: '1' }, id: 'p', runtimeHandler: 'h' });
  t.same(Object.keys(toJson(pod) as object), ['id', 'state', 'createdAt', 'labels', 'annotations', 'runtimeHandler']);
});

t.test('a state is that of what it stands in', async (t) => {
  const event = wire(cri.ContainerEventResponse, {
    containerEventType: 2,
    podSandboxStatus: { id: 'p', state: 0 },
    containersStatuses: [{ id: 'c', state: 2 }],
  });
  const pull = wire(operator.PullProgress, { reference: 'r/x:1', state: 1, layers: [{ digest: 'd', state: 2 }] });
  t.match(toJson(pull), { state: 'PULL_PULLING', layers: [{ state: 'LAYER_UNPACKING' }] });
  const json = toJson(event) as Record<string, never>;
  t.match(json, {
    containerEventType: 'CONTAINER_STOPPED_EVENT',
    podSandboxStatus: { state: 'SANDBOX_READY' },
    containersStatuses: [{ state: 'CONTAINER_EXITED', exitCode: 0 }],
  });
});

t.test('bytes, numbers of newer daemons, text form', async (t) => {
  t.equal(toJson(Uint8Array.from([1, 2])), 'AQI=');
  t.equal(enumName({ A: 0 }, 5), '5');
  t.equal(jsonText({ a: [true] }), '{\n  "a": [\n    true\n  ]\n}\n');
});

t.test('what is not a message keeps its numbers, whatever its fields are called', async (t) => {
  t.same(toJson({ pid: 0, network: 1, state: 2 }), { pid: 0, network: 1, state: 2 });
});
