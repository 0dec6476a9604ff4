/**
 * Every reason an operation can fail for. The key is stable: it is shown to
 * users, used in alerts and matched by scripts. `docs/errors.md` is generated
 * from this table (hack/docs) and CI fails when the two differ.
 */

/** One row of the table: what it means and what a person does about it. */
export interface ReasonEntry {
  /** What happened, one sentence. */
  readonly meaning: string;
  /** What to do about it, an imperative sentence without a full stop. */
  readonly action: string;
}

export const REASONS = {
  // any part
  INTERNAL: { meaning: 'A defect of berth itself.', action: 'report it with the log lines around it (journalctl -u berth)' },
  CANCELLED: {
    meaning: 'The caller gave up before the operation ended.',
    action: 'call again; what was begun was undone or is kept for the retry',
  },
  DEADLINE: {
    meaning: 'The caller’s deadline passed before the operation ended.',
    action: 'call again; what was begun was undone or is kept for the retry',
  },
  UNIMPLEMENTED: { meaning: 'The call is not offered by this version.', action: 'use a version of berth whose CHANGELOG names it' },
  STARTING: { meaning: 'berth is still matching its store with the machine after a start.', action: 'call again in a moment' },
  INVALID_ARGUMENT: { meaning: 'A field of the request is missing or malformed.', action: 'correct the field the message names' },
  STOPPING: { meaning: 'berth is shutting down.', action: 'call again when it is back' },
  SOCKET_IN_USE: {
    meaning: 'The path of the gRPC socket is taken.',
    action: 'stop the process that answers there or configure another socket',
  },
  IN_USE: {
    meaning: 'A directory or the bridge of this berth belongs to another berth that runs.',
    action: 'stop the other one or configure another directory or bridge',
  },
  EVENTS_LOST: {
    meaning: 'The reader of an event stream was too slow and missed events.',
    action: 'open the stream again, then list to see the present state',
  },
  DISK_FULL: {
    meaning: 'A file system has no space or inodes left.',
    action: 'free space on the file system the message names, or remove images (berth rmi)',
  },
  READ_ONLY_FILE_SYSTEM: {
    meaning: 'A directory of berth is on a read-only file system.',
    action: 'remount it read-write and look at dmesg for the cause',
  },
  NOT_ROOT: {
    meaning: 'The daemon was started by a user other than root.',
    action: 'start it as root: namespaces, mounts and cgroups need it',
  },
  // sandboxes and containers
  SANDBOX_NOT_FOUND: { meaning: 'No pod sandbox has this id.', action: 'list the pods with `berth pods -a`' },
  SANDBOX_NOT_READY: { meaning: 'The pod sandbox is stopped.', action: 'create a new sandbox; a stopped one is never started again' },
  SANDBOX_READY: { meaning: 'The pod sandbox is still ready.', action: 'stop it first, or remove it by force' },
  SANDBOX_EXISTS: { meaning: 'A sandbox of the same pod and attempt exists.', action: 'remove it first or use the next attempt number' },
  CONTAINER_NOT_FOUND: { meaning: 'No container has this id.', action: 'list the containers with `berth ps -a`' },
  CONTAINER_EXISTS: {
    meaning: 'The sandbox already has a container of this name and attempt.',
    action: 'remove it first or use the next attempt number',
  },
  CONTAINER_NOT_RUNNING: {
    meaning: 'The operation needs a running container.',
    action: 'look at its state and exit reason with `berth inspect`',
  },
  CONTAINER_STATE: {
    meaning: 'The container is not in a state that allows the operation.',
    action: 'look at its state with `berth inspect`',
  },
  AMBIGUOUS_ID: { meaning: 'The id prefix matches more than one object.', action: 'give more characters of the id' },
  UNKNOWN_RUNTIME_HANDLER: {
    meaning: 'The runtime handler is not configured on this node.',
    action: 'use a handler that `berth info` lists, or add it to the configuration',
  },
  UNSUPPORTED_SECURITY: {
    meaning: 'The security setting cannot be applied on this node.',
    action: 'change the setting or the node as the message says',
  },
  MOUNT_SOURCE: { meaning: 'The host path of a mount cannot be used.', action: 'check the path the message names on the node' },
  START_FAILED: {
    meaning: 'The OCI runtime could not start the container’s process.',
    action: 'check the command and its path inside the image',
  },
  CREATE_FAILED: { meaning: 'The OCI runtime could not create the container.', action: 'read the runtime’s own words in the message' },
  STOP_STUCK: {
    meaning: 'A process did not die after SIGKILL.',
    action: 'find what it waits for (D state) with the pid and wchan in the message',
  },
  EXEC_FAILED: {
    meaning: 'The OCI runtime could not run the command in the container.',
    action: 'check that the command exists in the image',
  },
  EXEC_TIMEOUT: {
    meaning: 'The command ran longer than its timeout and was killed with its children.',
    action: 'raise the timeout or look at why the command hangs',
  },
  LOG_FAILED: { meaning: 'The container’s log file cannot be opened.', action: 'check the log directory the message names' },
  // runtime and host
  NO_USABLE_RUNTIME: {
    meaning: 'No configured OCI runtime can run a container on this host.',
    action: 'run `berth doctor` and install crun or runc',
  },
  MONITOR_FAILED: {
    meaning: 'conmon, the container monitor, failed.',
    action: 'check that conmon is installed; its words are in the message',
  },
  CGROUP_FAILED: {
    meaning: 'A cgroup could not be created, written or removed.',
    action: 'check the cgroup parent and driver with `berth doctor`',
  },
  NAMESPACE_FAILED: {
    meaning: 'A namespace could not be made or entered.',
    action: 'check the kernel limits in /proc/sys/user and `berth doctor`',
  },
  MOUNT_FAILED: { meaning: 'A mount could not be made or removed.', action: 'read the kernel’s error in the message' },
  SYSCTL_FAILED: { meaning: 'A sysctl could not be written in the pod.', action: 'check its name and value, and that it is namespaced' },
  PROGRAM_MISSING: { meaning: 'A program berth needs is not installed.', action: 'install it; `berth doctor` names the package' },
  PROGRAM_FAILED: { meaning: 'A program berth started failed.', action: 'read its own words in the message' },
  PROGRAM_TIMEOUT: { meaning: 'A program berth started did not end in time and was killed.', action: 'look at what it waits for' },
  // network
  NETWORK_NOT_READY: { meaning: 'The pod network is not ready.', action: 'check the CNI configuration directory the message names' },
  CNI_CONFIG: { meaning: 'The CNI configuration is missing or malformed.', action: 'correct the file the message names' },
  CNI_PLUGIN_MISSING: { meaning: 'A CNI plugin binary is not installed.', action: 'install it into the directory the message names' },
  CNI_FAILED: { meaning: 'A CNI plugin reported an error.', action: 'read the plugin’s own words in the message' },
  CNI_TIMEOUT: { meaning: 'A CNI plugin did not answer in time and was killed.', action: 'look at what the plugin waits for' },
  IPAM_EXHAUSTED: { meaning: 'No address is left in the pod CIDR.', action: 'remove pods or give the node a larger pod CIDR' },
  HOST_PORT_CONFLICT: { meaning: 'The host port is taken.', action: 'stop the pod or process the message names, or choose another port' },
  NETWORK_FAILED: { meaning: 'The kernel refused a step of the network set-up.', action: 'read the kernel’s error in the message' },
  // images
  IMAGE_REFERENCE: { meaning: 'The image reference is malformed.', action: 'write it as [HOST/]NAME[:TAG][@DIGEST]' },
  IMAGE_NOT_FOUND: { meaning: 'The image is not on this node.', action: 'pull it first' },
  IMAGE_NOT_IN_REGISTRY: { meaning: 'The registry does not have this image.', action: 'check the name and the tag' },
  IMAGE_UNAUTHORIZED: {
    meaning: 'The registry refused the credentials, or wants some.',
    action: 'check the imagePullSecret or the registry’s configuration',
  },
  IMAGE_IS_ARTIFACT: {
    meaning: 'What the name stands for is an OCI artifact, not a container image.',
    action: 'mount it as an image volume, or correct the name',
  },
  IMAGE_PLATFORM: {
    meaning: 'The image has no variant for this node’s platform.',
    action: 'push the image for the platform the message names',
  },
  IMAGE_MANIFEST: { meaning: 'The manifest is of an unsupported or broken form.', action: 'rebuild the image as OCI or Docker schema 2' },
  IMAGE_DIGEST: {
    meaning: 'What the registry sent does not match its digest or size.',
    action: 'pull again; if it stays, the registry or a proxy is broken',
  },
  IMAGE_LAYER: { meaning: 'A layer cannot be unpacked.', action: 'rebuild the image; the message names the entry' },
  IMAGE_ARCHIVE: {
    meaning: 'A file or directory of images cannot be read, or is not what it claims to be.',
    action: 'make or copy the archive again; the message names the member',
  },
  IMAGE_LAYER_UNAVAILABLE: {
    meaning: 'A layer of the image cannot be sent on: its blob was not kept, or what the node has of it is damaged.',
    action: 'do what the message says and pull the image again',
  },
  REGISTRY_UNAVAILABLE: { meaning: 'The registry cannot be reached or fails.', action: 'check the endpoints the message lists' },
  PULL_STALLED: { meaning: 'A download delivered too little for too long.', action: 'check the path to the registry' },
  // configuration
  CONFIG_INVALID: { meaning: 'The configuration is malformed.', action: 'correct what the message names' },
  STORE_FAILED: { meaning: 'The state database cannot be read or written.', action: 'check the state directory’s file system' },
} as const satisfies Record<string, ReasonEntry>;

/** A stable reason code. */
export type Reason = keyof typeof REASONS;
