import Long from 'long';
import t from 'tap';
import { isPullOf, PullView, pullBars } from '../../../src/cli/pull-view.ts';
import { operator } from '../../../src/gen/index.ts';
import { RecordingTerminal } from '../../fixtures/terminal.ts';

const { LayerState, PullState } = operator;
const MIB = 2 ** 20;

const layer = (digit: string, state: number, done: number, unpacked = 0): operator.LayerProgress => ({
  digest: `sha256:${digit.repeat(64)}`,
  state,
  downloadedBytes: Long.fromNumber(done * MIB),
  totalBytes: Long.fromNumber(10 * MIB),
  unpackedBytes: Long.fromNumber(unpacked * MIB),
  resumedBytes: Long.ZERO,
  source: '',
});

const pull = (layers: operator.LayerProgress[], state: number = PullState.PULL_PULLING): operator.PullProgress => ({
  reference: 'r.example/app:1',
  startedAt: Long.ZERO,
  endedAt: Long.ZERO,
  state,
  layers,
  bytesPerSecond: Long.ZERO,
  endsIn: Long.ZERO,
  error: '',
  imageId: '',
});
const WIDE = { columns: 100, rows: 50 };

const ONE_OF_EACH = [
  layer('a', LayerState.LAYER_DONE, 10, 31),
  layer('b', LayerState.LAYER_DOWNLOADING, 5, 12),
  layer('c', LayerState.LAYER_UNPACKING, 10, 20),
  layer('d', LayerState.LAYER_WAITING, 0),
  layer('e', LayerState.LAYER_SHARED, 0),
];

t.test('a bar a layer: downloaded, unpacked, shared', async (t) => {
  t.same(pullBars(pull(ONE_OF_EACH), WIDE), [
    'r.example/app:1: 2/5 layers (1 shared), 25.0 MiB of 40.0 MiB',
    '  aaaaaaaaaaaa [========================]  10.0 MiB done, 31.0 MiB unpacked',
    '  bbbbbbbbbbbb [============>           ]  10.0 MiB 50 %, 12.0 MiB unpacked',
    '  cccccccccccc [========================]  10.0 MiB downloaded, 20.0 MiB unpacked',
    '  dddddddddddd [>                       ]  10.0 MiB waiting',
    '  eeeeeeeeeeee [========================]  10.0 MiB on the node already',
  ]);
  t.same(pullBars(pull([]), WIDE), ['r.example/app:1: resolving']);
  const moving = { ...pull(ONE_OF_EACH), bytesPerSecond: Long.fromNumber(5 * MIB), endsIn: Long.fromString('2999000000') };
  t.match(pullBars(moving, WIDE)[0], /25\.0 MiB of 40\.0 MiB, 5\.0 MiB\/s, 3s left$/);
  t.match(pullBars({ ...moving, endsIn: Long.ZERO }, WIDE)[0], /5\.0 MiB\/s$/, 'what is not known is not told');
});

t.test('on narrow terminals first the bars go, then ends of lines', async (t) => {
  const bars = (columns: number): string[] => pullBars(pull(ONE_OF_EACH), { columns, rows: 50 });
  for (let columns = 1; columns < 120; columns += 1) {
    const longest = Math.max(...bars(columns).map((line) => line.length));
    if (longest >= Math.max(2, columns)) t.fail(`a line of ${longest} on ${columns} columns`);
  }
  t.match(bars(72)[2], /^ {2}b{12} \[=+> *\] +10\.0 MiB 50 %, 12\.0 MiB unpacked$/);
  t.match(bars(60)[2], /^ {2}b{12} +10\.0 MiB 50 %, 12\.0 MiB unpacked$/);
  const long = { ...pull(ONE_OF_EACH), reference: `registry.example/${'deep/'.repeat(20)}app:1` };
  t.match(pullBars(long, { columns: 80, rows: 50 })[0], /^….*\/app:1: 2\/5 layers \(1 shared\), 25\.0 MiB of 40\.0 MiB$/);
});

t.test('of very many layers, or on a low terminal, only those under way are drawn', async (t) => {
  const layers = Array.from({ length: 60 }, (_, at) => layer('f', at < 50 ? LayerState.LAYER_DONE : LayerState.LAYER_WAITING, 0));
  t.equal(pullBars(pull(layers), WIDE).length, 11);
  t.equal(pullBars(pull(layers), { columns: 100, rows: 6 }).length, 5, 'one line is the cursor’s');
  t.equal(pullBars(pull(layers), { columns: 100, rows: 1 }).length, 1);
});

t.test('on a terminal the picture is drawn over itself', async (t) => {
  const terminal = new RecordingTerminal({ isTty: true });
  const view = new PullView(terminal, 'r.example/app:1');
  view.update([pull([])]);
  view.update([pull([layer('a', LayerState.LAYER_DOWNLOADING, 0)])]);
  view.update([pull([layer('a', LayerState.LAYER_DOWNLOADING, 5)])]);
  const parts = terminal.stderr.split('\u001b[0J');
  t.equal(parts.length, 4);
  t.match(parts[1], /resolving\n.\[1A$/, 'one line up after one line');
  t.match(parts[2], /\n.\[2A$/, 'two lines up after two lines');
  view.update([pull([layer('a', LayerState.LAYER_DONE, 10)], PullState.PULL_DONE)]);
  t.match(terminal.stderr, /1\/1 layers, 10\.0 MiB of 10\.0 MiB\n.* done\n$/);
});

t.test('elsewhere each layer is told once, when it is done', async (t) => {
  const terminal = new RecordingTerminal();
  const view = new PullView(terminal, 'app:1');
  view.update([pull([layer('a', LayerState.LAYER_DOWNLOADING, 5), layer('b', LayerState.LAYER_SHARED, 0)])]);
  view.update([pull([layer('a', LayerState.LAYER_DONE, 10), layer('b', LayerState.LAYER_SHARED, 0)])]);
  t.equal(terminal.stderr, 'layer bbbbbbbbbbbb 10.0 MiB: on the node already\nlayer aaaaaaaaaaaa 10.0 MiB: done\n');
});

t.test('a pull of the same reference that had ended before is not shown', async (t) => {
  const terminal = new RecordingTerminal();
  const view = new PullView(terminal, 'app:1');
  const earlier = pull([layer('a', LayerState.LAYER_DONE, 10)], PullState.PULL_DONE);
  view.update([earlier]);
  t.equal(terminal.stderr, '');
  const quick = { ...earlier, startedAt: Long.fromString(`${Date.now() + 1}000000`) };
  view.update([earlier, quick]);
  t.equal(terminal.stderr, 'layer aaaaaaaaaaaa 10.0 MiB: done\n', 'one that came and went since is');
});

t.test('pulls of others are not shown', async (t) => {
  const terminal = new RecordingTerminal();
  const view = new PullView(terminal, 'other:1');
  view.update([pull([layer('a', LayerState.LAYER_DONE, 10)])]);
  t.equal(terminal.stderr, '');
  t.ok(isPullOf('docker.io/library/busybox:latest', 'busybox'));
  t.ok(isPullOf('docker.io/library/busybox:1', 'library/busybox:1'));
  t.ok(isPullOf('r/app@sha256:00', 'r/app:1@sha256:00'));
  t.notOk(isPullOf('docker.io/library/notbusybox:latest', 'busybox'));
});
