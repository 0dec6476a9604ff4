/** The program `berth`: one binary for the daemon (`berth serve`) and its command line. */
import { runCli } from './cli/index.ts';

process.exitCode = await runCli(process.argv.slice(2), {
  // loaded only by the daemon: the command line stays light
  serve: async (request) => (await import('./serve.ts')).serve(request),
});
