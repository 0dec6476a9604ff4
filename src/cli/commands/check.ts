/** `berth check`: verifies what is stored, a line for each thing that is not as it was. */
import { operator, operatorService } from '../../gen/index.ts';
import { type Invocation, type Terminal, UsageError } from '../command.ts';
import { connect } from '../connect.ts';
import { EXIT_FAILURE } from '../failure.ts';
import { toJson } from '../json.ts';
import { formatBytes } from '../units.ts';

/** Counters assume block sizes; beyond this difference they are wrong. */
const COUNTER_TOLERANCE = 0.02;

export async function run({ command, args, flags, terminal }: Invocation): Promise<number> {
  if (!flags.on('images')) throw new UsageError('say what to check: --images', command.name);
  using client = connect({ flags, terminal });
  const json = flags.text('output') === 'json';
  const request = { images: args, repair: flags.on('repair') };
  let summary: operator.CheckSummary | null = null;
  for await (const step of client.stream(operatorService.CheckImages, request, new AbortController().signal)) {
    summary = step.summary;
    if (json) terminal.out(`${JSON.stringify(toJson(step))}\n`);
    else if (step.summary === null) tellLayer(step, terminal);
    else terminal.out(summaryText(step.summary));
  }
  const unrepaired = summary === null ? 1 : summary.damaged.toNumber() - summary.repaired.toNumber();
  return unrepaired === 0 ? 0 : EXIT_FAILURE;
}

function tellLayer(step: operator.CheckImagesResponse, terminal: Terminal): void {
  const { CHECK_WHOLE, CHECK_REPAIRED } = operator.CheckOutcome;
  if (step.outcome === CHECK_WHOLE) return;
  terminal.out(
    `layer ${step.layer} of ${step.images.join(', ')}: ${step.outcome === CHECK_REPAIRED ? 'was damaged, repaired' : 'damaged'}\n`,
  );
  for (const problem of step.problems) terminal.out(`  ${problem}\n`);
  if (step.error !== '') terminal.out(`  not repaired: ${step.error}\n`);
}

function summaryText(summary: operator.CheckSummary): string {
  const [walked, counted] = [summary.walkedBytes.toNumber(), summary.countedBytes.toNumber()];
  const off =
    Math.abs(walked - counted) > COUNTER_TOLERANCE * Math.max(walked, counted) ? ', which is not what the counters say: ' : ', counted ';
  return `${summary.layers} layers looked at, ${summary.damaged} damaged, ${summary.repaired} repaired; all layers take ${formatBytes(walked)}${off}${formatBytes(counted)}\n`;
}
