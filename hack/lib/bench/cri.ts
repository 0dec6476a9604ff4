// The few CRI calls that the benchmark makes, the same bytes for every runtime, through the generated client.
import Long from 'long';
import { Client, type UnaryMethod } from '../../../src/cli/client.ts';
import { type cri, imageService, runtimeService } from '../../../src/gen/index.ts';
import { eventually } from '../background.ts';

/** Ends at SIGTERM at once; a PID 1 without a handler would wait for the SIGKILL. */
const WORKLOAD = ['/bin/sh', '-c', 'trap "exit 0" TERM; sleep 3600 & wait'];
const STOP_TIMEOUT_S = 10;

/** One runtime's socket. */
export class Cri implements Disposable {
  readonly #client: Client;
  readonly #image: string;
  readonly #cgroupParent: string;
  readonly #underWay = new Set<Promise<unknown>>();
  #quiet = false;
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
    const { podSandboxId } = await this.#call(runtimeService.RunPodSandbox, { config });
    return { id: podSandboxId, config };
  }

  async createContainer(pod: Pod): Promise<string> {
    const request = {
      podSandboxId: pod.id,
      sandboxConfig: pod.config,
      config: { metadata: { name: 'work', attempt: 0 }, image: { image: this.#image }, command: WORKLOAD, linux: {} },
    };
    return (await this.#call(runtimeService.CreateContainer, request)).containerId;
  }

  async startContainer(containerId: string): Promise<void> {
    await this.#call(runtimeService.StartContainer, { containerId });
  }

  async exec(containerId: string): Promise<void> {
    const { exitCode } = await this.#call(runtimeService.ExecSync, { containerId, cmd: ['/bin/true'] });
    if (exitCode !== 0) throw new Error(`exec of /bin/true ended with ${exitCode}`);
  }

  async stop(pod: Pod, containerId: string): Promise<void> {
    await this.#call(runtimeService.StopContainer, { containerId, timeout: Long.fromNumber(STOP_TIMEOUT_S) });
    await this.#call(runtimeService.StopPodSandbox, { podSandboxId: pod.id });
  }

  async remove(pod: Pod, containerId: string): Promise<void> {
    await this.#call(runtimeService.RemoveContainer, { containerId });
    await this.#call(runtimeService.RemovePodSandbox, { podSandboxId: pod.id });
  }

  async listContainers(): Promise<number> {
    return (await this.#call(runtimeService.ListContainers, {})).containers.length;
  }

  async containerStatus(containerId: string): Promise<void> {
    await this.#call(runtimeService.ContainerStatus, { containerId });
  }

  /**
   * Refuses further calls about pods and waits, up to `graceMs`, for the ones under way, so that a scenario that was
   * interrupted makes nothing behind the back of whoever cleans up. Pulls end with the daemon.
   */
  async quiesce(graceMs: number): Promise<void> {
    this.#quiet = true;
    await eventually(() => this.#underWay.size === 0, graceMs);
  }

  /** Everything that is left, whatever state it is in. */
  async removeAll(): Promise<void> {
    const { items } = await this.#client.call(runtimeService.ListPodSandbox, {});
    for (const { id: podSandboxId } of items) {
      await this.#client.call(runtimeService.StopPodSandbox, { podSandboxId });
      await this.#client.call(runtimeService.RemovePodSandbox, { podSandboxId });
    }
  }

  async #call<Init, Decoded>(method: UnaryMethod<Init, Decoded>, request: Init): Promise<Decoded> {
    if (this.#quiet) throw new Error('the benchmark is ending');
    const call = this.#client.call(method, request);
    this.#underWay.add(call);
    try {
      return await call;
    } finally {
      this.#underWay.delete(call);
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
