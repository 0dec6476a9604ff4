import t from 'tap';
import { Ledger } from '../../../src/snapshot/ledger.ts';

const END = { mode: 0o755, mtime: { seconds: 0, nanoseconds: 0 } };
const refused = (message: RegExp) => ({ name: 'RuntimeError', reason: 'IMAGE_LAYER', message });

t.test('the last word about a path counts', async (t) => {
  const ledger = new Ledger();
  ledger.imply('a');
  ledger.explicit('a/b', END);
  ledger.explicit('a', { ...END, mode: 0o700 });
  ledger.explicit('a', { ...END, mode: 0o750 });
  t.same(ledger.implied(), []);
  t.same(
    ledger.directories().map(([path, { mode }]) => [path, mode]),
    [
      ['a/b', 0o755],
      ['a', 0o750],
    ],
    'deepest first',
  );
  ledger.imply('a');
  t.same([ledger.implied(), ledger.directories().map(([path]) => path)], [['a'], ['a/b']], 'made anew, it is described by nobody');
  ledger.link('l', 'far');
  t.equal(ledger.linkTarget('l'), 'far');
  ledger.unlink('l');
  t.same(ledger.lowerLinks(), []);
});

t.test('what it keeps is bounded', async (t) => {
  const deep = 'd/'.repeat(2000);
  const implied = new Ledger();
  t.throws(
    () => {
      for (let at = 0; ; at += 1) implied.imply(`${deep}${at}`);
    },
    refused(/take more than 4194304 bytes/),
  );
  const explicit = new Ledger();
  t.throws(
    () => {
      for (let at = 0; ; at += 1) explicit.explicit(`${deep}${at}`, END);
    },
    refused(/take more than 134217728 bytes/),
  );
  const links = new Ledger();
  t.throws(
    () => {
      for (let at = 0; ; at += 1) links.link(`${at}`, 't');
    },
    refused(/more than 10000 hard links/),
  );
  const same = new Ledger();
  for (let at = 0; at < 100_000; at += 1) same.explicit('again', END);
  t.equal(same.directories().length, 1, 'one path again and again is one');
});
