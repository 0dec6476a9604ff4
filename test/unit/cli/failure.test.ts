import t from 'tap';
import { UsageError } from '../../../src/cli/command.ts';
import { CallError, DaemonUnreachable, describeFailure } from '../../../src/cli/failure.ts';
import { RuntimeError } from '../../../src/errors/index.ts';

t.test('the daemon’s words, its reason, and what to do', async (t) => {
  t.same(describeFailure(new CallError('NOT_FOUND', 'IMAGE_NOT_FOUND', 'image x is not here')), {
    text: 'berth: image x is not here\n  reason IMAGE_NOT_FOUND: pull it first\n',
    exitCode: 1,
  });
});

t.test('advice that the message gives is not repeated', async (t) => {
  const { text } = describeFailure(new CallError('NOT_FOUND', 'IMAGE_NOT_FOUND', 'image x is not here; pull it first'));
  t.equal(text, 'berth: image x is not here; pull it first\n  reason IMAGE_NOT_FOUND\n');
});

t.test('a reason this program does not know, and a peer that sends none', async (t) => {
  t.match(describeFailure(new CallError('INTERNAL', 'FROM_THE_FUTURE', 'm')).text, /^berth: m\n {2}reason FROM_THE_FUTURE\n$/);
  t.match(describeFailure(new CallError('INTERNAL', '', 'm')).text, /^berth: m\n {2}reason INTERNAL: report it/);
});

t.test('own errors, no daemon, usage, and defects', async (t) => {
  t.match(describeFailure(new RuntimeError('invalid', 'CONFIG_INVALID', 'm')).text, /^berth: m\n {2}reason CONFIG_INVALID: /);
  const unreachable = describeFailure(new DaemonUnreachable('/x.sock', 'nobody'));
  t.equal(unreachable.exitCode, 1);
  t.match(unreachable.text, /no berth daemon answers at \/x\.sock \(nobody\); start one with `systemctl start berth` or `berth serve`/);
  t.same(describeFailure(new UsageError('m')), { text: 'berth: m\n  see `berth --help`\n', exitCode: 2 });
  const defect = describeFailure(new TypeError('x is not a function'));
  t.equal(defect.exitCode, 1);
  t.match(defect.text, /^berth: unexpected failure; report it.*\nTypeError: x is not a function\n {4}at /);
});
