import t from 'tap';
import { exitFacts } from '../../../src/container/exit.ts';
import type { ContainerRecord } from '../../../src/container/index.ts';

const record = {
  createdAtNs: 50n,
  startRequestedAtNs: 100n,
  spec: { resources: { memoryLimitBytes: 1024n } },
} as unknown as ContainerRecord;

t.test('reasons are told from the code and the kernel’s own word', async (t) => {
  const facts = (exitCode: number | undefined, oom = false) => exitFacts(record, { id: 'c', exitCode, finishedAtNs: 200n, oom });
  t.match(facts(0), { reason: 'Completed', exitCode: 0, finishedAtNs: 200n, message: '' });
  t.match(facts(3), { reason: 'Error', exitCode: 3 });
  t.match(facts(137), { reason: 'Error', exitCode: 137 }, 'a plain SIGKILL is no OOM');
  t.match(facts(137, true), { reason: 'OOMKilled', message: /limit of 1024 bytes/ });
  t.match(facts(143, true), { reason: 'Error' }, 'a child killed earlier does not label a later SIGTERM');
  t.match(facts(undefined), { reason: 'Unknown', exitCode: 255, message: /conmon/ });
});

t.test('nothing finishes before it started', async (t) => {
  t.equal(exitFacts(record, { id: 'c', exitCode: 0, finishedAtNs: 99n, oom: false }).finishedAtNs, 100n);
});
