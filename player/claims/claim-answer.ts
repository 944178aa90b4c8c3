/** What a claim comes to, read from the server's answer (`server/api/contract/drops.ts`). Pure. */
import type { ClaimedTicket } from '../../server/api/contract/drops.ts';

/**
 * `too-early`: its instant has not come. `limited`: too many claims at once. `full`: this address has as many tickets as one may have. `over`: withdrawn,
 * ended, or there is none. `token-needed`: the shop's viewer token is missing, or not good. `failed`: no answer, or none that says anything.
 */
export type ClaimRefusal = 'too-early' | 'sold-out' | 'over' | 'limited' | 'full' | 'token-needed' | 'failed';

export type ClaimOutcome =
  /** `isNew`: false when the ticket was theirs before. */
  | { readonly type: 'granted'; readonly ticket: ClaimedTicket; readonly isNew: boolean }
  | {
      readonly type: 'refused';
      readonly reason: ClaimRefusal;
      /** The server's word for it; null where it said none. */
      readonly code: string | null;
      /** Not to be tried again before; null: nothing was said of it. */
      readonly retryAfterMs: number | null;
    };

export type ClaimAnswer = {
  readonly status: number;
  /** The header `Retry-After`, as it came. */
  readonly retryAfter: string | null;
  readonly body: string;
};

/** Nobody is kept from a button for longer, whatever a server says. */
const RETRY_MAX_MS = 60_000;

const REASONS: Readonly<Record<string, ClaimRefusal>> = {
  DROP_NOT_OPEN: 'too-early',
  DROP_SOLD_OUT: 'sold-out',
  DROP_OVER: 'over',
  DROP_UNKNOWN: 'over',
  CLAIMS_TOO_MANY: 'limited',
  DROP_ADDRESS_FULL: 'full',
};

export const readClaimAnswer = ({ status, retryAfter, body }: ClaimAnswer): ClaimOutcome => {
  const said = fieldsOf(body);
  const ticket = status === 200 || status === 201 ? ticketOf(said) : null;
  if (ticket !== null) {
    return { type: 'granted', ticket, isNew: status === 201 };
  }
  const code = typeof said['error'] === 'string' ? said['error'] : null;
  return { type: 'refused', reason: reasonOf(code, status), code, retryAfterMs: retryMs(retryAfter) };
};

/** A proxy in front of the server refuses without our words. */
const reasonOf = (code: string | null, status: number): ClaimRefusal => {
  const known = code === null ? undefined : REASONS[code];
  if (known !== undefined) {
    return known;
  }
  return status === 401 ? 'token-needed' : status === 429 ? 'limited' : 'failed';
};

const retryMs = (retryAfter: string | null): number | null => {
  const seconds = retryAfter === null || retryAfter.trim() === '' ? Number.NaN : Number(retryAfter);
  return seconds >= 0 ? Math.min(seconds * 1000, RETRY_MAX_MS) : null;
};

const ticketOf = ({ drop, broadcast, number, ticket, isDemo }: Fields): ClaimedTicket | null =>
  typeof drop === 'string' && typeof broadcast === 'string' && typeof number === 'number' && typeof ticket === 'string'
    ? { drop, broadcast, number, ticket, isDemo: isDemo === true }
    : null;

type Fields = Readonly<Record<string, unknown>>;

const fieldsOf = (body: string): Fields => {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null ? (value as Fields) : {};
  } catch {
    return {};
  }
};
