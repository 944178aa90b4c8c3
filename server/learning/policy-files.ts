/** The policy files of a folder, read once at the start. One that cannot be used is one line in the log, and the others and the defaults hold. */
import { open, readdir } from 'node:fs/promises';
import path from 'node:path';
import { messageOf } from '../base/errors.ts';
import type { Policy } from '../congestion/learned/policy.ts';
import { POLICY_MAX_BYTES, readPolicy } from '../congestion/learned/policy.ts';
import type { Log } from '../observability/log.ts';

const FILE_MAX_COUNT = 64;

/** In the order of their names; none where there is no such folder. Never throws. */
export const loadPolicies = async (folder: string, log: Log): Promise<Policy[]> => {
  const policies: Policy[] = [];
  for (const name of await policyNames(folder, log)) {
    const policy = await loadPolicy(path.join(folder, name), log);
    if (policy !== undefined) {
      policies.push(policy);
    }
  }
  return policies;
};

const policyNames = async (folder: string, log: Log): Promise<string[]> => {
  try {
    const names = (await readdir(folder)).filter((name) => name.endsWith('.json')).sort();
    if (names.length > FILE_MAX_COUNT) {
      log.warn('congestion.policy.left_out', { folder, fileCount: names.length - FILE_MAX_COUNT });
    }
    return names.slice(0, FILE_MAX_COUNT);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      log.warn('congestion.policy.refused', { file: folder, code: 'POLICY_UNREADABLE', detail: messageOf(error) });
    }
    return [];
  }
};

const loadPolicy = async (file: string, log: Log): Promise<Policy | undefined> => {
  let text: string;
  try {
    text = await readCapped(file, POLICY_MAX_BYTES);
  } catch (error) {
    log.warn('congestion.policy.refused', { file, code: 'POLICY_UNREADABLE', detail: messageOf(error) });
    return undefined;
  }
  const reading = readPolicy(text);
  if (reading.fault !== undefined) {
    log.warn('congestion.policy.refused', { file, ...reading.fault });
    return undefined;
  }
  const { policy, unknownNames } = reading;
  const fields = { file, dataSha256: policy.dataSha256, vectorCount: policy.vectors.length };
  log.info('congestion.policy.loaded', unknownNames.length === 0 ? fields : { ...fields, unknownNames });
  return policy;
};

/** One byte more than is allowed at most, so that one too large is told from one that fits without being read whole. */
export const readCapped = async (file: string, maxBytes: number): Promise<string> => {
  const handle = await open(file);
  try {
    const bytes = Buffer.alloc(maxBytes + 1);
    let length = 0;
    for (;;) {
      const { bytesRead } = await handle.read(bytes, length, bytes.length - length, null);
      length += bytesRead;
      if (bytesRead === 0 || length === bytes.length) {
        return bytes.toString('utf8', 0, length);
      }
    }
  } finally {
    await handle.close();
  }
};
