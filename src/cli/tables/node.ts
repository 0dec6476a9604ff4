/** Commands about the node and the daemon itself. */
import type { Command } from '../command.ts';
import { isPair, output } from './flags.ts';

export const NODE_COMMANDS: readonly Command[] = [
  {
    name: 'serve',
    group: 'The node',
    summary: 'Run the daemon',
    details: 'Stays in the foreground. The keys of the configuration are described in docs/configuration.md.',
    args: [],
    flags: [
      {
        name: 'config',
        short: 'c',
        value: 'FILE',
        summary: 'Configuration file (default: /etc/berth/config.toml and /etc/berth/conf.d/*.toml)',
      },
      { name: 'set', value: 'KEY=VALUE', repeatable: true, check: isPair, summary: 'Set one key, stronger than any file' },
    ],
    examples: ['berth serve --set log.level=debug', 'berth serve --config ./berth.toml --set metrics.address=127.0.0.1:0'],
  },
  {
    name: 'info',
    group: 'The node',
    summary: 'Show the daemon’s conditions, runtimes and configuration',
    args: [],
    flags: [output('json')],
    load: () => import('../commands/info.ts'),
  },
  {
    name: 'doctor',
    group: 'The node',
    summary: 'Check what berth needs of this node',
    details: 'Works with and without a daemon. Exit code 0 when all is well, 1 with warnings, 2 with failures.',
    args: [],
    flags: [
      { name: 'config', short: 'c', value: 'FILE', summary: 'Configuration to check against (default: as for serve)' },
      output('json'),
    ],
    load: () => import('../commands/doctor.ts'),
  },
  {
    name: 'version',
    group: 'The node',
    summary: 'Show the versions of this program and the daemon',
    args: [],
    flags: [output('json')],
    load: () => import('../commands/version.ts'),
  },
];
