/**
 * The command table. Everything that is said about a command (overview, its
 * help, docs/cli.md) and everything its arguments are checked by stands here;
 * its code is loaded by `load` when it runs.
 */
import type { Command, Flag } from './command.ts';
import { parseCpus, parseDuration, parseMemory } from './units.ts';

const matches = (test: boolean, form: string): string | undefined => (test ? undefined : `is not ${form}`);
const isCount = (value: string): string | undefined => matches(/^\d{1,9}$/.test(value), 'a whole number');
const isDuration = (value: string): string | undefined =>
  matches(parseDuration(value) !== undefined, 'a duration such as 30s, 5m or 1h30m');
const isPair = (value: string): string | undefined => matches(/^[^=]+=/.test(value), 'KEY=VALUE');
const isLabel = (value: string): string | undefined => matches(/^[^=]+(=.*)?$/.test(value), 'KEY or KEY=VALUE');
const isPort = (value: string): string | undefined => {
  const [, host, container] =
    /^(?:(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-fA-F:]+\]):)?(\d{1,5}):(\d{1,5})(?:\/(?:tcp|udp|sctp))?$/.exec(value) ?? [];
  const ports = [Number(host), Number(container)];
  return matches(
    ports.every((port) => port >= 1 && port <= 65_535),
    '[IP:]HOSTPORT:CONTAINERPORT[/tcp|udp|sctp] with ports from 1 to 65535',
  );
};
const isVolume = (value: string): string | undefined =>
  matches(/^\/[^:]*:\/[^:]*(:(ro|rw))?$/.test(value), '/HOSTPATH:/CONTAINERPATH[:ro]');

const NAMESPACE: Flag = { name: 'namespace', short: 'n', value: 'NAMESPACE', summary: 'Only of pods in this Kubernetes namespace' };
const NAME: Flag = { name: 'name', value: 'NAME', summary: 'Only of this name; * stands for anything' };
const LABEL: Flag = { name: 'label', short: 'l', value: 'KEY[=VALUE]', repeatable: true, check: isLabel, summary: 'Only with this label' };
const QUIET: Flag = { name: 'quiet', short: 'q', summary: 'Print only ids' };
const TIMEOUT: Flag = {
  name: 'timeout',
  short: 't',
  value: 'SECONDS',
  check: isCount,
  summary: 'Time to end by itself before it is killed (default 10)',
};
const CREDS: Flag = {
  name: 'creds',
  value: 'USER:PASSWORD',
  summary: 'Credentials for the registry; $BERTH_CREDS keeps them out of the process list',
};

function output(...formats: string[]): Flag {
  return { name: 'output', short: 'o', value: 'FORMAT', choices: formats, summary: 'Output format' };
}

export const COMMANDS: readonly Command[] = [
  {
    name: 'pods',
    group: 'Pods and containers',
    summary: 'List pods',
    details: 'Lists ready pods; -a lists stopped ones too.',
    args: [],
    flags: [
      { name: 'all', short: 'a', summary: 'Also pods that are not ready' },
      NAMESPACE,
      NAME,
      { name: 'state', value: 'STATE', choices: ['ready', 'notready'], summary: 'Only in this state' },
      LABEL,
      output('wide', 'json', 'name'),
      QUIET,
    ],
    load: () => import('./commands/pods.ts'),
  },
  {
    name: 'ps',
    group: 'Pods and containers',
    summary: 'List containers',
    details: 'Lists running containers; -a lists created and exited ones too, with how they ended.',
    args: [],
    flags: [
      { name: 'all', short: 'a', summary: 'Also containers that are not running' },
      NAMESPACE,
      NAME,
      { name: 'pod', short: 'p', value: 'POD', summary: 'Only of this pod (name, id or the start of an id)' },
      { name: 'state', value: 'STATE', choices: ['created', 'running', 'exited', 'unknown'], summary: 'Only in this state' },
      LABEL,
      output('wide', 'json', 'name'),
      QUIET,
    ],
    load: () => import('./commands/ps.ts'),
  },
  {
    name: 'run',
    group: 'Pods and containers',
    summary: 'Run an image in a new pod, or as one more container of a pod',
    details:
      'Pulls the image when it is not there, makes a pod with one container, starts it and prints the container’s id. With --pod the container is added to a pod that exists. With --attach the output is followed and the exit code is that of the container; Ctrl-C then ends the following and leaves the container alone, but with --rm it stops the container. On a node with a kubelet, kubelet soon removes pods that it does not know: these are for trying things out.',
    args: [{ name: 'IMAGE' }],
    rest: { name: 'COMMAND', many: true, optional: true },
    flags: [
      { name: 'name', value: 'NAME', summary: 'Name of the pod and the container (default: from the image)' },
      { name: 'namespace', short: 'n', value: 'NAMESPACE', summary: 'Kubernetes namespace of the pod (default: default)' },
      { name: 'pod', value: 'POD', summary: 'Add the container to this pod (name, id or the start of an id)' },
      {
        name: 'cpus',
        value: 'CPUS',
        check: (value) => matches(parseCpus(value) !== undefined, 'a number of cpus such as 2, 0.5 or 250m'),
        summary: 'Limit, such as 0.5 or 500m',
      },
      {
        name: 'memory',
        short: 'm',
        value: 'BYTES',
        check: (value) => matches(parseMemory(value) !== undefined, 'a size such as 64Mi or 1G'),
        summary: 'Limit, such as 64Mi',
      },
      {
        name: 'publish',
        short: 'p',
        value: '[IP:]HOST:CONTAINER[/PROTOCOL]',
        repeatable: true,
        check: isPort,
        summary: 'Publish a port of the pod on the node',
      },
      { name: 'env', short: 'e', value: 'KEY=VALUE', repeatable: true, check: isPair, summary: 'Environment variable' },
      {
        name: 'volume',
        short: 'v',
        value: 'SOURCE:TARGET[:ro]',
        repeatable: true,
        check: isVolume,
        summary: 'Mount a directory or file of the node; one that is not there is made, as a directory',
      },
      { name: 'hostname', value: 'HOSTNAME', summary: 'Host name of the pod (default: its name)' },
      { name: 'host-network', summary: 'Use the node’s network' },
      { name: 'label', short: 'l', value: 'KEY=VALUE', repeatable: true, check: isPair, summary: 'Label of pod and container' },
      { name: 'detach', short: 'd', summary: 'Print the container’s id and return: the default' },
      { name: 'attach', short: 'a', summary: 'Follow the output until the container ends' },
      { name: 'rm', summary: 'With --attach: remove what was made when the container has ended; Ctrl-C stops it' },
      CREDS,
      QUIET,
    ],
    examples: [
      'berth run --name web --publish 8080:80 --memory 64Mi docker.io/library/nginx:alpine',
      'berth run --attach --rm docker.io/library/busybox -- sh -c "echo hello"',
    ],
    load: () => import('./commands/run.ts'),
  },
  {
    name: 'logs',
    group: 'Pods and containers',
    summary: 'Print what a container wrote',
    details: 'Reads the log file on the node. Standard error of the container goes to standard error.',
    args: [{ name: 'CONTAINER' }],
    flags: [
      { name: 'follow', short: 'f', summary: 'Go on until the container ends, across rotation' },
      { name: 'tail', value: 'LINES', check: isCount, summary: 'Only the last so many lines' },
      { name: 'since', value: 'DURATION', check: isDuration, summary: 'Only what was written in this time, such as 10m' },
      { name: 'timestamps', short: 't', summary: 'Begin each line with its time' },
    ],
    load: () => import('./commands/logs.ts'),
  },
  {
    name: 'exec',
    group: 'Pods and containers',
    summary: 'Run a command in a running container',
    details: 'Waits for the command and prints its output when it has ended; the exit code is that of the command.',
    args: [{ name: 'CONTAINER' }],
    rest: { name: 'COMMAND', many: true },
    flags: [
      { name: 'timeout', value: 'SECONDS', check: isCount, summary: 'Kill the command after this (default: no limit)' },
      { name: 'stdin', short: 'i', summary: 'Not in this version: interactive sessions' },
      { name: 'tty', short: 't', summary: 'Not in this version: interactive sessions' },
    ],
    examples: ['berth exec web -- cat /etc/hostname'],
    load: () => import('./commands/exec.ts'),
  },
  {
    name: 'inspect',
    group: 'Pods and containers',
    summary: 'Show all about a container, a pod or an image, as JSON',
    args: [{ name: 'ID', many: true }],
    flags: [
      {
        name: 'type',
        value: 'TYPE',
        choices: ['container', 'pod', 'image'],
        summary: 'Look only among these (default: the first that has it, in this order)',
      },
    ],
    load: () => import('./commands/inspect.ts'),
  },
  {
    name: 'stats',
    group: 'Pods and containers',
    summary: 'Show what containers or pods use',
    args: [{ name: 'ID', optional: true, many: true }],
    flags: [{ name: 'pods', short: 'p', summary: 'Pods instead of containers' }, NAMESPACE, LABEL, output('json')],
    load: () => import('./commands/stats.ts'),
  },
  {
    name: 'events',
    group: 'Pods and containers',
    summary: 'Print container events as they happen',
    args: [],
    flags: [output('json')],
    load: () => import('./commands/events.ts'),
  },
  {
    name: 'stop',
    group: 'Pods and containers',
    summary: 'Stop containers, or pods with all their containers',
    args: [{ name: 'ID', many: true }],
    flags: [{ name: 'pods', short: 'p', summary: 'Pods instead of containers' }, TIMEOUT],
    load: () => import('./commands/stop.ts'),
  },
  {
    name: 'rm',
    group: 'Pods and containers',
    summary: 'Remove containers',
    args: [{ name: 'CONTAINER', many: true, optional: true }],
    flags: [
      { name: 'force', short: 'f', summary: 'Also running ones: they are killed' },
      { name: 'all', short: 'a', summary: 'All containers that have ended; with -f all' },
    ],
    load: () => import('./commands/rm.ts'),
  },
  {
    name: 'rmp',
    group: 'Pods and containers',
    summary: 'Remove pods and their containers',
    args: [{ name: 'POD', many: true, optional: true }],
    flags: [
      { name: 'force', short: 'f', summary: 'Also ready ones: they are stopped first' },
      { name: 'all', short: 'a', summary: 'All pods that are not ready; with -f all' },
    ],
    load: () => import('./commands/rmp.ts'),
  },
  {
    name: 'images',
    group: 'Images',
    summary: 'List images',
    args: [{ name: 'NAME', optional: true }],
    flags: [output('wide', 'json', 'name'), QUIET],
    load: () => import('./commands/images.ts'),
  },
  {
    name: 'pull',
    group: 'Images',
    summary: 'Pull an image from its registry',
    details: 'On a terminal a bar a layer shows how far it is; elsewhere a line is printed for each layer that is done.',
    args: [{ name: 'IMAGE' }],
    flags: [CREDS, { name: 'quiet', short: 'q', summary: 'Print only the image’s id' }],
    load: () => import('./commands/pull.ts'),
  },
  {
    name: 'rmi',
    group: 'Images',
    summary: 'Remove images',
    details: 'Containers that run from a removed image go on; its space is free when the last of them is removed.',
    args: [{ name: 'IMAGE', many: true }],
    flags: [],
    load: () => import('./commands/rmi.ts'),
  },
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
    load: () => import('./commands/info.ts'),
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
    load: () => import('./commands/doctor.ts'),
  },
  {
    name: 'version',
    group: 'The node',
    summary: 'Show the versions of this program and the daemon',
    args: [],
    flags: [output('json')],
    load: () => import('./commands/version.ts'),
  },
];
