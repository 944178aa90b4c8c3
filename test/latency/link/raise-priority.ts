/**
 * Lets this process go before other work, where the system allows it: whoever carries or times packets and is late measures the machine. Real
 * time first, since a nice value counts within one session only where the kernel groups tasks by session. Children start as usual.
 */
import { spawnSync } from 'node:child_process';
import { setPriority } from 'node:os';

export type Scheduling = 'real-time' | 'raised' | 'normal';

const REAL_TIME_PRIORITY = '1';
const NICE = -15;

export const raisePriority = (): Scheduling => {
  const pid = String(process.pid);
  const how = ['--all-tasks', '--reset-on-fork', '--fifo', '--pid', REAL_TIME_PRIORITY, pid];
  if (spawnSync('chrt', how).status === 0) {
    return 'real-time';
  }
  try {
    setPriority(NICE);
    return 'raised';
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_SYSTEM_ERROR') {
      return 'normal';
    }
    throw error;
  }
};

/** As everyone again. */
export const lowerPriority = (scheduling: Scheduling): void => {
  if (scheduling === 'real-time') {
    spawnSync('chrt', ['--all-tasks', '--other', '--pid', '0', String(process.pid)]);
  } else if (scheduling === 'raised') {
    setPriority(0);
  }
};
