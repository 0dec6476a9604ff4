import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { CgroupFiles } from '../../../src/cgroup/files.ts';

t.test('a kept file is read anew each time', async (t) => {
  const dir = t.testdir({ a: 'one' });
  const files = new CgroupFiles();
  t.teardown(() => files.forget(dir));
  t.equal(files.read(dir, 'a'), 'one');
  writeFileSync(`${dir}/a`, 'two and more');
  t.equal(files.read(dir, 'a'), 'two and more');
  t.equal(files.open, 1);
});

t.test('absent files stay absent until forgotten, and forget closes', async (t) => {
  const dir = t.testdir({ a: 'one' });
  const files = new CgroupFiles();
  files.read(dir, 'a');
  t.equal(files.read(dir, 'b'), undefined);
  writeFileSync(`${dir}/b`, 'late');
  t.equal(files.read(dir, 'b'), undefined, 'not looked for at every sample');
  files.forget(dir);
  t.equal(files.open, 0);
  t.equal(files.read(dir, 'b'), 'late');
  files.forget(dir);
  files.forget(dir);
  t.equal(files.open, 0, 'twice is once');
});

t.test('a directory that is not there yet is looked for again', async (t) => {
  const dir = `${t.testdir({})}/later`;
  const files = new CgroupFiles();
  t.teardown(() => files.forget(dir));
  t.equal(files.read(dir, 'a'), undefined);
  mkdirSync(dir);
  writeFileSync(`${dir}/a`, 'here');
  t.equal(files.read(dir, 'a'), 'here');
  rmSync(dir, { recursive: true });
});

t.test('a list longer than one read of the kernel is read whole', async (t) => {
  const text = '1234567\n'.repeat(4000);
  const dir = t.testdir({ procs: text });
  const files = new CgroupFiles();
  t.teardown(() => files.forget(dir));
  t.equal(files.read(dir, 'procs'), text);
});
