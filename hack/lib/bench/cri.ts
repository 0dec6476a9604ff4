// The few CRI calls that the benchmark makes, the same bytes for every runtime, through the generated client.
import Long from 'long';
import { Client } from '../../../src/cli/client.ts';
import { type cri, imageService, runtimeService } from '../../../src/gen/index.ts';

/** Ends at SIGTERM at once; a PID 1 without a handler would wait for the SIGKILL. */
const WORKLOAD = ['/bin/sh', '-c', 'trap "exit 0" TERM; sleep 3600 & wait'];
const STOP_TIMEOUT_S = 10;

/** One runtime's socket. */
export class Cri implements Disposable {
  readonly #client: Client;
  readonly #image: string;
  readonly #cgroupParent: string;
  #serial = 0;

  constructor(o: { socket: string; image: string; cgroupParent: string }) {
    this.#client = new Client(o.socket);
    this.#image = o.image;
    this.#cgroupParent = o.cgroupParent;
  }

  /** PullImage of the workloads' image, or of another; answers the image's id. */
  async pull(image: string = this.#image): Promise<string> {
    return (await this.#client.call(imageService.PullImage, { image: { image } })).imageRef;
  }

  async version(): Promise<string> {
    const { runtimeName, runtimeVersion } = await this.#client.call(runtimeService.Version, {});
    return `${runtimeName} ${runtimeVersion}`;
  }

  /** RunPodSandbox with a fresh name. */
  async runPod(): Promise<Pod> {
    this.#serial += 1;
    const name = `bench-${this.#serial}`;
    const config: cri.PodSandboxConfigInit = {
      metadata: { name, namespace: 'bench', uid: name, attempt: 0 },
      hostname: name,
      logDirectory: '',
      linux: { cgroupParent: this.#cgroupParent, securityContext: { namespaceOptions: {} } },
    };
    const { podSandboxId } = await this.#client.call(runtimeService.RunPodSandbox, { config });
    return { id: podSandboxId, config };
  }

  async createContainer(pod: Pod): Promise<string> {
    const request = {
      podSandboxId: pod.id,
      sandboxConfig: pod.config,
      config: { metadata: { name: 'work', attempt: 0 }, image: { image: this.#image }, command: WORKLOAD, linux: {} },
    };
    return (await this.#client.call(runtimeService.CreateContainer, request)).containerId;
  }

  async startContainer(containerId: string): Promise<void> {
    await this.#client.call(runtimeService.StartContainer, { containerId });
  }

  async exec(containerId: string): Promise<void> {
    const { exitCode } = await this.#client.call(runtimeService.ExecSync, { containerId, cmd: ['/bin/true'] });
    if (exitCode !== 0) throw new Error(`exec of /bin/true ended with ${exitCode}`);
  }

  async stop(pod: Pod, containerId: string): Promise<void> {
    await this.#client.call(runtimeService.StopContainer, { containerId, timeout: Long.fromNumber(STOP_TIMEOUT_S) });
    await this.#client.call(runtimeService.StopPodSandbox, { podSandboxId: pod.id });
  }

  async remove(pod: Pod, containerId: string): Promise<void> {
    await this.#client.call(runtimeService.RemoveContainer, { containerId });
    await this.#client.call(runtimeService.RemovePodSandbox, { podSandboxId: pod.id });
  }

  async listContainers(): Promise<number> {
    return (await this.#client.call(runtimeService.ListContainers, {})).containers.length;
  }

  async containerStatus(containerId: string): Promise<void> {
    await this.#client.call(runtimeService.ContainerStatus, { containerId });
  }

  /** Everything that is left, whatever state it is in. */
  async removeAll(): Promise<void> {
    const { items } = await this.#client.call(runtimeService.ListPodSandbox, {});
    for (const { id: podSandboxId } of items) {
      await this.#client.call(runtimeService.StopPodSandbox, { podSandboxId });
      await this.#client.call(runtimeService.RemovePodSandbox, { podSandboxId });
    }
  }

  [Symbol.dispose](): void {
    this.#client[Symbol.dispose]();
  }
}

export interface Pod {
  readonly id: string;
  readonly config: cri.PodSandboxConfigInit;
}
