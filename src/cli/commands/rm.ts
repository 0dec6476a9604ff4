/** `berth rm`: removes containers; running ones only with --force, because CRI's RemoveContainer would kill them. */
import { RuntimeError } from '../../errors/index.ts';
import { cri, runtimeService } from '../../gen/index.ts';
import { type Invocation, UsageError } from '../command.ts';
import { connect } from '../connect.ts';
import { eachWord } from '../each.ts';
import { allContainers, pick } from '../lookup.ts';

export async function run({ command, args, flags, terminal }: Invocation): Promise<number> {
  if (flags.on('all') === args.length > 0) throw new UsageError('name containers, or give --all, but not both', command.name);
  using client = connect({ flags, terminal });
  const containers = await allContainers(client);
  const force = flags.on('force');
  const words = flags.on('all') ? containers.filter(({ container }) => force || !isRunning(container)).map(({ id }) => id) : args;
  return await eachWord(words, terminal, async (word) => {
    const { id, container } = pick(containers, { word, what: 'container' });
    if (isRunning(container) && !force) {
      throw new RuntimeError(
        'precondition',
        'CONTAINER_STATE',
        `container ${container.metadata?.name} is running; stop it first (berth stop) or kill and remove it with -f`,
      );
    }
    await client.call(runtimeService.RemoveContainer, { containerId: id });
  });
}

function isRunning(container: cri.Container): boolean {
  return container.state === cri.ContainerState.CONTAINER_RUNNING;
}
