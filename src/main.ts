/** The program `berth`: one binary for the daemon (`berth serve`) and its command line. */
import { runCli } from './cli/index.ts';

process.exitCode = await runCli(process.argv.slice(2), {
  async serve(request) {
    const { serve } = await import('./serve.ts'); // loaded only by the daemon: the command line stays light
    // what is still under way (the grace period of a stop, say) has no caller any more; the next start takes it up
    process.exit(await serve(request));
  },
});
