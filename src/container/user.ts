/**
 * Who a container's process is: the user and groups asked for, looked up in
 * the image's own /etc/passwd and /etc/group as login would. The files are the
 * image author's: read inside the root file system only, bounded, and
 * malformed lines count for nothing.
 */
import { RuntimeError } from '../errors/index.ts';
import { readBeneath } from '../sys/index.ts';
import type { ContainerSecurity, ContainerUser } from './types.ts';

/** A password or group file larger than this is cut: tens of thousands of users. */
const FILE_LIMIT_BYTES = 4 * 1024 * 1024;
/** uid_t without (uid_t)-1, which means "no change" to the kernel. */
const ID_LIMIT = 2 ** 32 - 2;

/** passwd(5) and group(5) of an image, as text. */
export interface AccountFiles {
  passwd: string;
  group: string;
}

/** What decides the user. */
export interface UserRequest {
  /** USER of the image: NAME or UID, with :GROUP or :GID behind; '' is root. */
  imageUser: string;
  security: Pick<ContainerSecurity, 'runAsUser' | 'runAsGroup' | 'runAsUsername' | 'supplementalGroups' | 'supplementalGroupsPolicy'>;
}

/** Reads the account files of a mounted root file system; what is absent is empty. */
export function readAccounts(rootfs: string): AccountFiles {
  const read = (path: string): string => readBeneath(rootfs, path, FILE_LIMIT_BYTES)?.toString() ?? '';
  return { passwd: read('etc/passwd'), group: read('etc/group') };
}

/**
 * The process's identity (api.proto LinuxContainerUser). The supplemental
 * groups hold the primary one, as getgroups(2) shows it after login, sorted.
 * Throws INVALID_ARGUMENT for a name that the image does not have.
 */
export function resolveUser(request: UserRequest, files: AccountFiles): ContainerUser {
  const { security } = request;
  const explicit = security.runAsUsername !== '' || security.runAsUser !== undefined;
  if (security.runAsGroup !== undefined && !explicit) {
    throw invalid('run_as_group was given without run_as_user or run_as_username', 'give the user too'); // api.proto run_as_group
  }
  const [imageName = '', imageGroup = ''] = request.imageUser.split(':', 2);
  const asked = String(security.runAsUser ?? imageName) || '0';
  const accounts = parsePasswd(files.passwd);
  const account = accounts.find(({ name }) => name === security.runAsUsername) ?? findAccount(accounts, security.runAsUsername || asked);
  const groups = parseGroup(files.group);
  const gid = security.runAsGroup ?? (explicit || imageGroup === '' ? account.gid : findGroup(groups, imageGroup));
  const member = security.supplementalGroupsPolicy === 'strict' ? [] : groups.filter((group) => group.members.includes(account.name));
  const all = new Set([gid, ...member.map((group) => group.gid), ...security.supplementalGroups]);
  return { uid: account.uid, gid, supplementalGroups: [...all].sort((a, b) => a - b) };
}

interface Account {
  name: string;
  uid: number;
  gid: number;
}

interface Group {
  name: string;
  gid: number;
  members: string[];
}

/**
 * A number is a number, in group 0 when the file lacks it: an account called
 * "1000" with uid 0 would make root of a user that kubelet has verified to be
 * another (runAsUser, runAsNonRoot).
 */
function findAccount(accounts: readonly Account[], asked: string): Account {
  const uid = parseId(asked);
  if (uid !== undefined) return accounts.find((account) => account.uid === uid) ?? { name: '', uid, gid: 0 };
  const named = accounts.find((account) => account.name === asked);
  if (named !== undefined) return named;
  throw invalid(`the image has no user ${JSON.stringify(asked)} in its /etc/passwd`, 'use a user that it has, or a number');
}

function findGroup(groups: readonly Group[], asked: string): number {
  const gid = parseId(asked) ?? groups.find((group) => group.name === asked)?.gid;
  if (gid === undefined)
    throw invalid(`the image has no group ${JSON.stringify(asked)} in its /etc/group`, 'use a group that it has, or a number');
  return gid;
}

function parsePasswd(text: string): Account[] {
  return fieldsOf(text).flatMap(([name = '', , uidText = '', gidText = '']) => {
    const [uid, gid] = [parseId(uidText), parseId(gidText)];
    return name === '' || uid === undefined || gid === undefined ? [] : [{ name, uid, gid }];
  });
}

function parseGroup(text: string): Group[] {
  return fieldsOf(text).flatMap(([name = '', , gidText = '', members = '']) => {
    const gid = parseId(gidText);
    return name === '' || gid === undefined ? [] : [{ name, gid, members: members.split(',').filter((member) => member !== '') }];
  });
}

function fieldsOf(text: string): string[][] {
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.trimEnd().split(':'));
}

function parseId(text: string): number | undefined {
  if (!/^\d{1,10}$/.test(text)) return undefined;
  const id = Number(text);
  return id <= ID_LIMIT ? id : undefined;
}

const invalid = (what: string, advice: string): RuntimeError => new RuntimeError('invalid', 'INVALID_ARGUMENT', `${what}; ${advice}`);
