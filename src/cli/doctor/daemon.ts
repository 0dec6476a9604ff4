/** Does a daemon answer, and what does it say of itself? */
import { type cri, runtimeService } from '../../gen/index.ts';
import { Client } from '../client.ts';
import { DaemonUnreachable } from '../failure.ts';
import { type Check, type CheckGroup, type DoctorContext, fail, ok, warn } from './check.ts';

/** Status is answered from memory. */
const STATUS_TIMEOUT_MS = 5000;

export const daemonChecks: CheckGroup = {
  name: 'daemon',
  async run({ socket }: DoctorContext): Promise<Check[]> {
    using client = new Client(socket);
    try {
      const options = { timeoutMs: STATUS_TIMEOUT_MS };
      const version = await client.call(runtimeService.Version, {}, options);
      const { status } = await client.call(runtimeService.Status, {}, options);
      return [
        ok('daemon.reachable', `${version.runtimeName} ${version.runtimeVersion} answers at ${socket}`),
        ...(status?.conditions ?? []).map(conditionCheck),
        ok(
          'daemon.authority',
          `clients that send the socket’s path as HTTP/2 :authority are refused with PROTOCOL_ERROR; give such a client the authority localhost`,
        ),
      ];
    } catch (error) {
      if (!(error instanceof DaemonUnreachable)) throw error;
      return [
        warn(
          'daemon.reachable',
          `no daemon answers at ${socket}`,
          'start it (systemctl start berth, or berth serve), or name its socket with --socket',
        ),
      ];
    }
  },
};

/** `RuntimeReady` becomes daemon.runtime-ready. */
function conditionCheck({ type, status, reason, message }: cri.RuntimeCondition): Check {
  const id = `daemon.${type.replace(/(?<=[a-z])(?=[A-Z])/g, '-').toLowerCase()}`;
  if (status) return ok(id, `${type} is true`);
  return fail(id, `${type} is false: ${reason}`, message === '' ? 'look at the daemon’s log (journalctl -u berth)' : message);
}
