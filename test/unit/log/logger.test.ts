import t from 'tap';
import { RuntimeError } from '../../../src/errors/index.ts';
import { createLogger } from '../../../src/log/index.ts';

/** What one line of the log says. */
function logged(write: (log: ReturnType<typeof createLogger>) => void): Record<string, unknown> {
  const lines: string[] = [];
  write(createLogger({ level: 'info', to: { write: (line) => void lines.push(line) } }));
  return JSON.parse(lines.join(''));
}

t.test('an error goes by its name, whatever a minifier made of its class', async (t) => {
  const n = class extends RuntimeError {};
  t.match(
    logged((log) => log.error({ err: new n('internal', 'INTERNAL', 'broken') }, 'm')),
    { level: 'error', msg: 'm', err: { type: 'RuntimeError', message: 'broken' } },
  );
});

t.test('what is not an error is written as it is', async (t) => {
  t.equal(logged((log) => log.error({ err: 'just words' }, 'm')).err, 'just words');
});

t.test('secrets are left out', async (t) => {
  t.match(
    logged((log) => log.info({ auth: 'a', pull: { password: 'b' } }, 'm')),
    { auth: '[redacted]', pull: { password: '[redacted]' } },
  );
});
