/** What a process and its children cost, read from Linux's /proc: CPU, resident memory, descendants, and who listens on a port. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** `USER_HZ`, the same on every Linux that matters here. */
const CLOCK_TICK_HZ = 100;
const STATE_LISTEN = '0A';
/** `TASK_COMM_LEN` less its end. */
const COMM_MAX_CHARS = 15;

/**
 * User and system time in ms (steps of 10 ms) since the start of the process, or with its descendants (also those that ended and were
 * waited for). A process that is gone counts 0. Fields 14–17 of `/proc/PID/stat`, counted after the name in brackets.
 */
export const cpuMs = (pid: number, options: { withChildren: boolean }): number => {
  const pids = options.withChildren ? [pid, ...descendants(pid)] : [pid];
  return pids.reduce((sum, each) => sum + ownCpuMs(each, options.withChildren), 0);
};

/**
 * Time in ms that the threads of a process (with its living descendants) were ready to run but had no core, since their start: how far the
 * machine, and not the process, was the limit. Second field of `schedstat`; 0 where the kernel does not keep it.
 */
export const cpuWaitMs = (pid: number): number =>
  [pid, ...descendants(pid)]
    .flatMap((each) => listProc(`/proc/${each}/task`).map((thread) => `/proc/${each}/task/${thread}/schedstat`))
    .reduce((sum, path) => sum + Number((readProc(path) ?? '').split(' ')[1] ?? 0) / 1e6, 0);

/** Resident memory of one process; NaN when it is gone, so that no comparison with it holds. */
export const rssBytes = (pid: number): number => {
  const status = readProc(`/proc/${pid}/status`) ?? '';
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN) * 1024;
};

/** Children, their children and so on, whichever thread started them. */
export const descendants = (pid: number): number[] => {
  const threads = listProc(`/proc/${pid}/task`);
  const children = threads.flatMap((thread) =>
    (readProc(`/proc/${pid}/task/${thread}/children`) ?? '').trim().split(/\s+/).filter(Boolean).map(Number),
  );
  return children.flatMap((child) => [child, ...descendants(child)]);
};

/**
 * The process that listens on this TCP port, or holds this UDP port, on any address; undefined when none does or it belongs to another
 * user. Where several processes share the socket, the one that was started first.
 */
export const pidListeningOn = (port: number): number | undefined => {
  const inodes = new Set([
    ...['tcp', 'tcp6'].flatMap((table) => socketInodes(table, port, STATE_LISTEN)),
    ...['udp', 'udp6'].flatMap((table) => socketInodes(table, port)),
  ]);
  if (inodes.size === 0) {
    return undefined;
  }
  const pids = listProc('/proc').map(Number).filter(Number.isInteger);
  return pids.toSorted((a, b) => a - b).find((pid) => holdsSocket(pid, inodes));
};

/** The process of this name, as the kernel keeps it (15 characters at most); of several the one that was started first. */
export const pidNamed = (name: string): number | undefined =>
  listProc('/proc')
    .map(Number)
    .filter(Number.isInteger)
    .toSorted((a, b) => a - b)
    .find((pid) => readProc(`/proc/${pid}/comm`)?.trimEnd() === name.slice(0, COMM_MAX_CHARS));

const ownCpuMs = (pid: number, withEnded: boolean): number => {
  const stat = readProc(`/proc/${pid}/stat`);
  if (stat === undefined) {
    return 0;
  }
  const fields = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const [user = 0, system = 0, endedUser = 0, endedSystem = 0] = fields.slice(11, 15);
  return ((user + system + (withEnded ? endedUser + endedSystem : 0)) * 1000) / CLOCK_TICK_HZ;
};

/** Rows of `/proc/net/…`: local address in the second field, state in the fourth, inode in the tenth. */
const socketInodes = (table: string, port: number, state?: string): string[] => {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return (readProc(`/proc/net/${table}`) ?? '')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[1]?.endsWith(suffix) === true && (state === undefined || fields[3] === state))
    .flatMap((fields) => fields[9] ?? []);
};

const holdsSocket = (pid: number, inodes: ReadonlySet<string>): boolean =>
  listProc(`/proc/${pid}/fd`).some((fd) => {
    const target = unlessGone(() => readlinkSync(`/proc/${pid}/fd/${fd}`)) ?? '';
    return target.startsWith('socket:[') && inodes.has(target.slice(8, -1));
  });

const readProc = (path: string): string | undefined => unlessGone(() => readFileSync(path, 'utf8'));

const listProc = (path: string): string[] => unlessGone(() => readdirSync(path)) ?? [];

/** Processes end while they are looked at, and those of other users may not be. */
const GONE_CODES: readonly unknown[] = ['ENOENT', 'ESRCH', 'EACCES', 'EPERM'];

const unlessGone = <T>(read: () => T): T | undefined => {
  try {
    return read();
  } catch (error) {
    if (GONE_CODES.includes((error as NodeJS.ErrnoException).code)) {
      return undefined;
    }
    throw error;
  }
};
