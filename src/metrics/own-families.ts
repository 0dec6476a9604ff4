/**
 * The table of /metrics: what berth tells of itself. Labels are bounded: RPC
 * methods and gRPC codes are fixed lists, reasons are those of
 * errors/reasons.ts, registries and phases are cut off by observers.ts.
 */
import type { CountedFamily } from './family.ts';

/** From a millisecond (List, Status) to minutes (PullImage). */
const RPC_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];
const PULL_BUCKETS = [0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640];
const LAYER_BUCKETS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640];
const PHASE_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** By key, so that code names a family and not a string. */
export const OWN_FAMILIES = {
  rpcs: { name: 'berth_rpc_total', help: 'CRI calls answered, by method and gRPC code', type: 'counter', labels: ['method', 'code'] },
  rpcSeconds: {
    name: 'berth_rpc_duration_seconds',
    help: 'Seconds from call to answer, by method',
    type: 'histogram',
    labels: ['method'],
    buckets: RPC_BUCKETS,
  },
  rpcsInFlight: {
    name: 'berth_rpc_in_flight',
    help: 'CRI calls being worked on, open streams included',
    type: 'gauge',
    labels: ['method'],
  },
  pullBytes: {
    name: 'berth_image_pull_bytes_total',
    help: 'Bytes downloaded by pulls that succeeded',
    type: 'counter',
    labels: ['registry'],
  },
  pullSeconds: {
    name: 'berth_image_pull_duration_seconds',
    help: 'Seconds a successful pull took',
    type: 'histogram',
    labels: ['registry'],
    buckets: PULL_BUCKETS,
  },
  pullFailures: {
    name: 'berth_image_pull_failures_total',
    help: 'Pulls that failed, by reason (docs/errors.md)',
    type: 'counter',
    labels: ['registry', 'reason'],
  },
  pullsInFlight: {
    name: 'berth_image_pulls_in_flight',
    help: 'Pulls under way (state resolving, pulling)',
    type: 'gauge',
    labels: ['state'],
  },
  pullsInFlightBytes: {
    name: 'berth_image_pulls_in_flight_bytes',
    help: 'Compressed bytes of the layers that pulls under way bring: those on the node so far, and all (part downloaded, total)',
    type: 'gauge',
    labels: ['part'],
  },
  receivedBytes: {
    name: 'berth_image_received_bytes_total',
    help: 'Bytes of layers that came over the network, of failed pulls too (source registry, mirror)',
    type: 'counter',
    labels: ['registry', 'source'],
  },
  layerDownloadSeconds: {
    name: 'berth_image_layer_download_seconds',
    help: 'Seconds a layer took to download, retries included',
    type: 'histogram',
    labels: ['registry'],
    buckets: LAYER_BUCKETS,
  },
  layerUnpackSeconds: {
    name: 'berth_image_layer_unpack_seconds',
    help: 'Seconds from the beginning of a layer’s download until it was unpacked',
    type: 'histogram',
    labels: [],
    buckets: LAYER_BUCKETS,
  },
  downloadsResumed: {
    name: 'berth_image_downloads_resumed_total',
    help: 'Downloads of layers that went on where an earlier one or its connection had broken off',
    type: 'counter',
    labels: ['registry'],
  },
  downloadRetries: {
    name: 'berth_image_download_retries_total',
    help: 'Attempts at a layer after one that failed, stalls included',
    type: 'counter',
    labels: ['registry'],
  },
  downloadStalls: {
    name: 'berth_image_download_stalls_total',
    help: 'Connections cut for bringing less than images.stall_floor_bytes_per_second',
    type: 'counter',
    labels: ['registry'],
  },
  pullJoins: {
    name: 'berth_image_pull_joins_total',
    help: 'Callers that waited for a pull, and pulls that waited for a layer, which another one had begun (what pull, layer)',
    type: 'counter',
    labels: ['what'],
  },
  pullLayers: {
    name: 'berth_image_pull_layers_total',
    help: 'Layers of pulled images, downloaded or already there (source pulled, shared)',
    type: 'counter',
    labels: ['source'],
  },
  podStart: {
    name: 'berth_pod_start_phase_seconds',
    help: 'Seconds of each phase of starting a pod or container',
    type: 'histogram',
    labels: ['phase'],
    buckets: PHASE_BUCKETS,
  },
  sandboxes: { name: 'berth_sandboxes', help: 'Pod sandboxes by state', type: 'gauge', labels: ['state'] },
  containers: { name: 'berth_containers', help: 'Containers by state', type: 'gauge', labels: ['state'] },
  images: { name: 'berth_images', help: 'Images on the node', type: 'gauge', labels: [] },
  imageBytes: { name: 'berth_image_store_bytes', help: 'Bytes of the image store', type: 'gauge', labels: [] },
  imageInodes: { name: 'berth_image_store_inodes', help: 'Inodes of the image store', type: 'gauge', labels: [] },
  subscribers: { name: 'berth_event_subscribers', help: 'Open event streams', type: 'gauge', labels: [] },
  eventsDropped: {
    name: 'berth_event_streams_dropped_total',
    help: 'Event streams closed because their reader was too slow',
    type: 'counter',
    labels: [],
  },
  eventLoopLag: {
    name: 'berth_event_loop_lag_seconds',
    help: 'How late the event loop ran its timers in the last minute or two (stat p50, p99, max)',
    type: 'gauge',
    labels: ['stat'],
  },
  cpuSeconds: { name: 'process_cpu_seconds_total', help: 'CPU time of the daemon', type: 'counter', labels: [] },
  residentBytes: { name: 'process_resident_memory_bytes', help: 'Resident memory of the daemon', type: 'gauge', labels: [] },
  heapBytes: { name: 'berth_heap_used_bytes', help: 'JavaScript heap in use', type: 'gauge', labels: [] },
  openFds: { name: 'process_open_fds', help: 'Open file descriptors of the daemon', type: 'gauge', labels: [] },
  maxFds: { name: 'process_max_fds', help: 'File descriptors the daemon may have', type: 'gauge', labels: [] },
  startTime: { name: 'process_start_time_seconds', help: 'When the daemon started, Unix time', type: 'gauge', labels: [] },
  build: {
    name: 'berth_build_info',
    help: 'Always 1, labelled by the versions of berth and Node',
    type: 'gauge',
    labels: ['version', 'node'],
  },
} as const satisfies Record<string, CountedFamily>;
