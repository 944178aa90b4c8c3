/**
 * The claims of one viewer: at most one under way for a cue, what each came to, and when a refused one may be tried again. A claim that got no answer may have
 * counted: asked again, the server gives the same ticket.
 *
 *     open ──press──▶ asking ──▶ granted
 *      ▲                │ refused: sold-out, over, full stand; the rest may be pressed again, at once or after Retry-After
 *      └────────────────┘
 */
import type { Cue } from '../../server/api/contract/cues.ts';
import { readClaimAnswer, type ClaimAnswer, type ClaimOutcome } from './claim-answer.ts';

export type ClaimState = { readonly type: 'open' } | { readonly type: 'asking' } | ClaimOutcome;

export type ClaimRequest = {
  readonly cue: Cue;
  /** The shop's viewer token; null: there is none. */
  readonly viewerToken: string | null;
  readonly signal: AbortSignal;
};

export type ClaimDeskOptions = {
  /** May reject: that is no answer. */
  readonly tokenOf: (cue: Cue) => Promise<string | null>;
  readonly send: (request: ClaimRequest) => Promise<ClaimAnswer>;
  readonly onChange: (cue: Cue, state: ClaimState) => void;
};

/** Of those that were pressed; the first goes. */
const KEPT_MAX_COUNT = 200;
const OPEN: ClaimState = { type: 'open' };
const FAILED: ClaimOutcome = { type: 'refused', reason: 'failed', code: null, retryAfterMs: null };
const FINAL = new Set(['sold-out', 'over', 'full']);

/** Whether there is any use in pressing. */
export const mayClaim = (state: ClaimState): boolean =>
  state.type === 'open' || (state.type === 'refused' && !FINAL.has(state.reason) && state.retryAfterMs === null);

type Kept = { readonly state: ClaimState; readonly stock: number };

export class ClaimDesk {
  readonly #options: ClaimDeskOptions;
  readonly #kept = new Map<string, Kept>();
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  readonly #gone = new AbortController();

  constructor(options: ClaimDeskOptions) {
    this.#options = options;
  }

  /** Where there are more than when it was sold out, it is open again. */
  stateOf(cue: Cue): ClaimState {
    const kept = this.#kept.get(keyOf(cue));
    const isRestocked = kept?.state.type === 'refused' && kept.state.reason === 'sold-out' && stockOf(cue) > kept.stock;
    return kept === undefined || isRestocked ? OPEN : kept.state;
  }

  /** Does nothing where there is no use in it. Never rejects. */
  async claim(cue: Cue): Promise<void> {
    if (this.#gone.signal.aborted || !mayClaim(this.stateOf(cue))) {
      return;
    }
    this.#set(cue, { type: 'asking' });
    const outcome = await this.#ask(cue);
    if (this.#gone.signal.aborted) {
      return;
    }
    this.#set(cue, outcome);
    if (outcome.type === 'refused' && outcome.retryAfterMs !== null && !FINAL.has(outcome.reason)) {
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        this.#set(cue, OPEN);
      }, outcome.retryAfterMs);
      this.#timers.add(timer);
    }
  }

  close(): void {
    this.#gone.abort();
    this.#timers.forEach((timer) => clearTimeout(timer));
    this.#timers.clear();
  }

  async #ask(cue: Cue): Promise<ClaimOutcome> {
    const { signal } = this.#gone;
    try {
      const viewerToken = await this.#options.tokenOf(cue);
      return readClaimAnswer(await this.#options.send({ cue, viewerToken, signal }));
    } catch {
      return FAILED;
    }
  }

  #set(cue: Cue, state: ClaimState): void {
    this.#kept.delete(keyOf(cue));
    this.#kept.set(keyOf(cue), { state, stock: stockOf(cue) });
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > KEPT_MAX_COUNT && oldest !== undefined) {
      this.#kept.delete(oldest);
    }
    this.#options.onChange(cue, state);
  }
}

/** An id may be shown again later, with a stock of its own. */
const keyOf = ({ id, mediaMs }: Cue): string => `${id} ${mediaMs}`;
const stockOf = ({ stock }: Cue): number => stock ?? 0;
