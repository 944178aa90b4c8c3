/** Who may publish under a name: pure, told everything it needs. */
import { isBroadcastName, secretsMatch } from './key-store.ts';

export type PublishClaim = {
  readonly name: string;
  readonly key: string | undefined;
  readonly isLoopback: boolean;
  /** Whether loopback publishers may do without a key. */
  readonly isLoopbackOpen: boolean;
  /** RTMP only: any web page can make a browser post to loopback, so WHIP always needs the key. */
  readonly isBrowserReachable: boolean;
  readonly storedKey: string | undefined;
};

export type PublishJudgement =
  | { readonly ok: true; readonly isKeyed: boolean }
  | {
      readonly ok: false;
      readonly code: 'PUBLISH_NAME_INVALID' | 'PUBLISH_KEY_WRONG' | 'PUBLISH_KEY_MISSING';
      readonly detail: string;
    };

export const judgePublish = (claim: PublishClaim): PublishJudgement => {
  if (!isBroadcastName(claim.name)) {
    return { ok: false, code: 'PUBLISH_NAME_INVALID', detail: 'the stream name must be 1 to 64 of A-Z a-z 0-9 _ -' };
  }
  if (claim.key !== undefined && claim.key !== '') {
    return judgeKey(claim.key, claim.storedKey);
  }
  if (claim.isLoopback && claim.isLoopbackOpen && !claim.isBrowserReachable) {
    return { ok: true, isKeyed: false };
  }
  return { ok: false, code: 'PUBLISH_KEY_MISSING', detail: 'a stream key is needed: NAME?key=SECRET' };
};

/** A wrong key and a name without a key answer alike, so that nobody learns which names exist. */
const judgeKey = (given: string, stored: string | undefined): PublishJudgement =>
  secretsMatch(given, stored ?? '') && stored !== undefined
    ? { ok: true, isKeyed: true }
    : { ok: false, code: 'PUBLISH_KEY_WRONG', detail: 'the key does not belong to this stream name' };

export type LoopbackMode = 'auto' | 'open' | 'closed';

/** What `publish.loopback` comes to on this machine. `auto` is open only where loopback means "the same person". */
export const isLoopbackOpen = (
  mode: LoopbackMode,
  surroundings: {
    readonly isContainer: boolean;
    readonly hasTls: boolean;
    readonly hasPublicAddress: boolean;
    readonly hasTrustedProxy: boolean;
  },
): boolean => {
  if (mode !== 'auto') {
    return mode === 'open';
  }
  return !(
    surroundings.isContainer ||
    surroundings.hasTls ||
    surroundings.hasPublicAddress ||
    surroundings.hasTrustedProxy
  );
};

/** Whether an address, as sockets report it, is this machine's loopback. */
export const isLoopbackAddress = (address: string): boolean => {
  const plain = address.startsWith('::ffff:') ? address.slice(7) : address;
  return plain === '::1' || plain.startsWith('127.');
};
