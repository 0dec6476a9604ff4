// Loaded into the daemon before it starts (NODE_OPTIONS=--import): SIGUSR2 begins to measure how late the event loop
// runs a timer of 1 ms, the next SIGUSR2 writes the longest delay in milliseconds to $BENCH_STALL_FILE. Finer than the
// daemon's own metric, whose timer of 20 ms spares an idle node and can miss as much.
import { renameSync, writeFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';

const RESOLUTION_MS = 1;
const file = process.env.BENCH_STALL_FILE;
const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
let measuring = false;
process.on('SIGUSR2', () => {
  measuring = !measuring;
  if (measuring) {
    histogram.reset();
    histogram.enable();
    return;
  }
  histogram.disable();
  writeFileSync(`${file}.new`, String(Math.max(0, histogram.max / 1e6 - RESOLUTION_MS)));
  renameSync(`${file}.new`, file);
});
