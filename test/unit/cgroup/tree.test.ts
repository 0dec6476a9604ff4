/** What create writes on v2, on plain files: real hierarchies are in test/system. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { openCgroups } from '../../../src/cgroup/index.ts';

const open = (root: string) => openCgroups({ driver: 'cgroupfs', root, mountinfo: `1 1 0:1 / ${root} rw - cgroup2 cgroup2 rw` });

t.test('a wanted controller that is not handed down yet is enabled', async (t) => {
  const root = t.testdir({ 'cgroup.controllers': 'memory rdma\n', 'cgroup.subtree_control': '\n' });
  open(root).create('/leaf');
  t.equal(readFileSync(`${root}/cgroup.subtree_control`, 'utf8'), '+memory', 'rdma is not wanted');
});

t.test('what is enabled already is not written again', async (t) => {
  const root = t.testdir({ 'cgroup.controllers': 'memory pids\n', 'cgroup.subtree_control': 'memory pids\n' });
  open(root).create('/leaf');
  t.equal(readFileSync(`${root}/cgroup.subtree_control`, 'utf8'), 'memory pids\n');
});
