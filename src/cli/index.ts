/** The command line: `runCli`, and the table its help and docs derive from. */

export { GLOBAL_FLAGS } from './args.ts';
export { COMMANDS } from './commands.ts';
export { flagSummary, flagUsage, usageLine } from './help.ts';
export { type CliHooks, runCli, type ServeRequest } from './run.ts';
