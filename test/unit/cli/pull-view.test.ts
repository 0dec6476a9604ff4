import Long from 'long';
import t from 'tap';
import { isPullOf, PullView, pullBars } from '../../../src/cli/pull-view.ts';
import { operator } from '../../../src/gen/index.ts';
import { RecordingTerminal } from '../../fixtures/terminal.ts';

const { LayerState, PullState } = operator;
const MIB = 2 ** 20;

const layer = (digit: string, state: number, done: number, total = 10): operator.LayerProgress => ({
  digest: `sha256:${digit.repeat(64)}`,
  state,
  downloadedBytes: Long.fromNumber(done * MIB),
  totalBytes: Long.fromNumber(total * MIB),
});

const pull = (layers: operator.LayerProgress[], state: number = PullState.PULL_PULLING): operator.PullProgress => ({
  reference: 'r.example/app:1',
  startedAt: Long.ZERO,
  state,
  layers,
  error: '',
  imageId: '',
});

t.test('a bar a layer', async (t) => {
  const layers = [
    layer('a', LayerState.LAYER_DONE, 10),
    layer('b', LayerState.LAYER_DOWNLOADING, 5),
    layer('c', LayerState.LAYER_UNPACKING, 10),
    layer('d', LayerState.LAYER_WAITING, 0),
    layer('e', LayerState.LAYER_SHARED, 0),
  ];
  t.same(pullBars(pull(layers), 100), [
    'r.example/app:1: 2/5 layers, 25.0 MiB of 40.0 MiB',
    '  aaaaaaaaaaaa [========================]  10.0 MiB done',
    '  bbbbbbbbbbbb [============>           ]  10.0 MiB 50 %',
    '  cccccccccccc [========================]  10.0 MiB unpacking',
    '  dddddddddddd [>                       ]  10.0 MiB waiting',
    '  eeeeeeeeeeee [========================]  10.0 MiB on the node already',
  ]);
  t.ok(
    pullBars(pull(layers), 20).every((line) => line.length < 20),
    'no line wraps',
  );
  t.same(pullBars(pull([]), 100), ['r.example/app:1: resolving']);
});

t.test('of very many layers only those under way are drawn', async (t) => {
  const layers = Array.from({ length: 60 }, (_, at) => layer('f', at < 50 ? LayerState.LAYER_DONE : LayerState.LAYER_WAITING, 0));
  t.equal(pullBars(pull(layers), 100).length, 11);
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
