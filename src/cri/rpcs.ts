/**
 * Which function answers which RPC. What is missing here answers
 * Unimplemented: UpdateContainerResources, Exec, Attach, PortForward,
 * CheckpointContainer, CheckpointPod, RestorePod, and the metrics for kubelet.
 */
import type { imageService, operatorService, runtimeService } from '../gen/index.ts';
import type { HandlersOf } from './call.ts';
import { imageFsInfo } from './image/image-fs-info.ts';
import { imageStatus } from './image/image-status.ts';
import { listImages } from './image/list-images.ts';
import { pullImage } from './image/pull-image.ts';
import { removeImage } from './image/remove-image.ts';
import { streamImages } from './image/stream-images.ts';
import { checkImages } from './operator/check-images.ts';
import { loadImages } from './operator/load-images.ts';
import { pushImage } from './operator/push-image.ts';
import { saveImages } from './operator/save-images.ts';
import { testRegistry } from './operator/test-registry.ts';
import { watchPulls } from './operator/watch-pulls.ts';
import { containerStats } from './runtime/container-stats.ts';
import { containerStatus } from './runtime/container-status.ts';
import { createContainer } from './runtime/create-container.ts';
import { execSync } from './runtime/exec-sync.ts';
import { getContainerEvents } from './runtime/get-container-events.ts';
import { listContainerStats } from './runtime/list-container-stats.ts';
import { listContainers } from './runtime/list-containers.ts';
import { listPodSandbox } from './runtime/list-pod-sandbox.ts';
import { listPodSandboxStats } from './runtime/list-pod-sandbox-stats.ts';
import { podSandboxStats } from './runtime/pod-sandbox-stats.ts';
import { podSandboxStatus } from './runtime/pod-sandbox-status.ts';
import { removeContainer } from './runtime/remove-container.ts';
import { removePodSandbox } from './runtime/remove-pod-sandbox.ts';
import { reopenContainerLog } from './runtime/reopen-container-log.ts';
import { runPodSandbox } from './runtime/run-pod-sandbox.ts';
import { runtimeConfig } from './runtime/runtime-config.ts';
import { startContainer } from './runtime/start-container.ts';
import { status } from './runtime/status.ts';
import { stopContainer } from './runtime/stop-container.ts';
import { stopPodSandbox } from './runtime/stop-pod-sandbox.ts';
import { streamContainerStats } from './runtime/stream-container-stats.ts';
import { streamContainers } from './runtime/stream-containers.ts';
import { streamPodSandboxStats } from './runtime/stream-pod-sandbox-stats.ts';
import { streamPodSandboxes } from './runtime/stream-pod-sandboxes.ts';
import { updatePodSandboxResources } from './runtime/update-pod-sandbox-resources.ts';
import { updateRuntimeConfig } from './runtime/update-runtime-config.ts';
import { version } from './runtime/version.ts';

/** runtime.v1.RuntimeService */
export const runtimeRpcs: HandlersOf<typeof runtimeService> = {
  Version: version,
  RunPodSandbox: runPodSandbox,
  StopPodSandbox: stopPodSandbox,
  RemovePodSandbox: removePodSandbox,
  PodSandboxStatus: podSandboxStatus,
  ListPodSandbox: listPodSandbox,
  StreamPodSandboxes: streamPodSandboxes,
  CreateContainer: createContainer,
  StartContainer: startContainer,
  StopContainer: stopContainer,
  RemoveContainer: removeContainer,
  ListContainers: listContainers,
  StreamContainers: streamContainers,
  ContainerStatus: containerStatus,
  ReopenContainerLog: reopenContainerLog,
  ExecSync: execSync,
  ContainerStats: containerStats,
  ListContainerStats: listContainerStats,
  StreamContainerStats: streamContainerStats,
  PodSandboxStats: podSandboxStats,
  ListPodSandboxStats: listPodSandboxStats,
  StreamPodSandboxStats: streamPodSandboxStats,
  UpdateRuntimeConfig: updateRuntimeConfig,
  Status: status,
  GetContainerEvents: getContainerEvents,
  RuntimeConfig: runtimeConfig,
  UpdatePodSandboxResources: updatePodSandboxResources,
};

/** runtime.v1.ImageService */
export const imageRpcs: HandlersOf<typeof imageService> = {
  ListImages: listImages,
  StreamImages: streamImages,
  ImageStatus: imageStatus,
  PullImage: pullImage,
  RemoveImage: removeImage,
  ImageFsInfo: imageFsInfo,
};

/** berth.v1.Operator */
export const operatorRpcs: HandlersOf<typeof operatorService> = {
  WatchPulls: watchPulls,
  LoadImages: loadImages,
  SaveImages: saveImages,
  PushImage: pushImage,
  TestRegistry: testRegistry,
  CheckImages: checkImages,
};
