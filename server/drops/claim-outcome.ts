/** What is asked with a claim, and what it can come to. */
import type { ClaimedTicket } from '../api/contract/drops.ts';
import type { Chance } from './drop.ts';
import type { DropRef } from './drop-desk.ts';
import type { ViewerTokenRefusal } from './viewer-token.ts';

export type ClaimRequest = DropRef & {
  readonly token: string | undefined;
  /** Who it says it is, in a demo. */
  readonly player: string | undefined;
  readonly address: string;
};

export type ClaimRefusalCode =
  | ViewerTokenRefusal
  | 'DROP_UNKNOWN'
  | 'DROP_NOT_OPEN'
  | 'DROP_SOLD_OUT'
  | 'DROP_OVER'
  | 'DROP_ADDRESS_FULL'
  | 'DROP_JOURNAL_FAILED'
  | 'DROP_JOURNAL_DAMAGED'
  | 'CLAIMS_TOO_MANY';

export type ClaimOutcome =
  | { readonly ok: true; readonly isNew: boolean; readonly ticket: ClaimedTicket }
  | { readonly ok: false; readonly code: ClaimRefusalCode; readonly retryAfterMs?: number };

const RETRY_SOON_MS = 1_000;

/** Shared, so that their bytes are made once for all who get them. */
export const TOO_MANY: ClaimOutcome = { ok: false, code: 'CLAIMS_TOO_MANY', retryAfterMs: RETRY_SOON_MS };
export const UNKNOWN: ClaimOutcome = { ok: false, code: 'DROP_UNKNOWN' };
export const DAMAGED: ClaimOutcome = { ok: false, code: 'DROP_JOURNAL_DAMAGED' };
export const INVALID: ClaimOutcome = { ok: false, code: 'VIEWER_TOKEN_INVALID' };
export const ADDRESS_FULL: ClaimOutcome = { ok: false, code: 'DROP_ADDRESS_FULL' };
export const FAILED: ClaimOutcome = { ok: false, code: 'DROP_JOURNAL_FAILED', retryAfterMs: RETRY_SOON_MS };
const OVER: ClaimOutcome = { ok: false, code: 'DROP_OVER' };
const SOLD_OUT: ClaimOutcome = { ok: false, code: 'DROP_SOLD_OUT' };

/** Of who holds nothing and cannot get anything now. */
export const refusalOf = (chance: Exclude<Chance, { kind: 'available' }>): ClaimOutcome => {
  if (chance.kind === 'early') {
    return { ok: false, code: 'DROP_NOT_OPEN', retryAfterMs: chance.waitMs ?? RETRY_SOON_MS };
  }
  return chance.kind === 'over' ? OVER : SOLD_OUT;
};
