/**
 * Drops: a cue with a stock, of which each viewer may claim one ticket. `POST /api/broadcasts/NAME/drops/ID/claims` with the shop's viewer token as a
 * bearer: 201 (200 when the viewer has one already) with `ClaimedTicket`, or `{error, detail}` and these codes:
 *
 *     401 VIEWER_TOKEN_…        403 DROP_NOT_OPEN (Retry-After)      404 DROP_UNKNOWN        409 DROP_SOLD_OUT      410 DROP_OVER
 *     429 CLAIMS_TOO_MANY (Retry-After), DROP_ADDRESS_FULL           503 DROP_JOURNAL_FAILED (Retry-After), DROP_JOURNAL_DAMAGED
 */
export type ClaimedTicket = {
  readonly drop: string;
  readonly broadcast: string;
  /** From 1, in the order of the claims. */
  readonly number: number;
  /** A JWS in compact form, signed with Ed25519 by a key of `GET /api/drops/keys`. */
  readonly ticket: string;
  /** Nobody's token was checked: not for sale. */
  readonly isDemo: boolean;
};

export type DropState = 'armed' | 'open' | 'sold-out' | 'withdrawn' | 'ended' | 'abandoned';

/** `GET /api/broadcasts/NAME/drops/ID`. How many there are is told from the instant on; so is that an instant was moved. */
export type DropStatus =
  | { readonly drop: string; readonly broadcast: string; readonly isDemo: boolean; readonly state: 'armed' }
  | {
      readonly drop: string;
      readonly broadcast: string;
      readonly isDemo: boolean;
      readonly state: Exclude<DropState, 'armed'>;
      readonly stock: number;
      /** Tickets given. */
      readonly claimedCount: number;
    };

/** `GET /api/broadcasts/NAME/drops/ID/claims?offset=0&limit=100`, for who holds the publish key of the name or the admin key. */
export type DropClaims = {
  readonly drop: string;
  readonly broadcast: string;
  readonly isDemo: boolean;
  readonly state: DropState;
  readonly stock: number;
  readonly claimedCount: number;
  readonly claims: readonly {
    readonly number: number;
    readonly subject: string;
    readonly claimedAtWallMs: number;
    /** As in the ticket: no two tickets have the same. */
    readonly jti: string;
  }[];
};
