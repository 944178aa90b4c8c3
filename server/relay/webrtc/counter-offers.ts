/** Offers of our own that wait for a viewer's answer: few, and not for long. Pure: told what time it is. */
import type { IceCredentials } from '../../webrtc-transport/sdp-offer.ts';
import type { BroadcastView } from '../broadcast-view.ts';
import type { SessionIdentity } from './viewer-session.ts';

/** Nothing but words until it is answered: no transport, no place among the sessions. */
export type CounterOffer<Wishes> = {
  readonly identity: SessionIdentity;
  readonly broadcast: BroadcastView;
  readonly ice: IceCredentials;
  readonly wishes: Wishes;
  readonly expiresAtMs: number;
};

export const COUNTER_OFFER_MAX_COUNT = 200;
/** What the draft says when nothing is said. */
export const COUNTER_OFFER_VALID_MS = 30_000;

export class CounterOffers<Wishes> {
  readonly #byId = new Map<string, CounterOffer<Wishes>>();

  /** False: too many wait already. */
  add(counterOffer: CounterOffer<Wishes>, nowMs: number): boolean {
    this.#forgetOld(nowMs);
    if (this.#byId.size >= COUNTER_OFFER_MAX_COUNT) {
      return false;
    }
    this.#byId.set(counterOffer.identity.id, counterOffer);
    return true;
  }

  find(id: string, nowMs: number): CounterOffer<Wishes> | undefined {
    this.#forgetOld(nowMs);
    return this.#byId.get(id);
  }

  remove(id: string): void {
    this.#byId.delete(id);
  }

  /** All are good for equally long, so the oldest is the first to go. */
  #forgetOld(nowMs: number): void {
    for (const [id, { expiresAtMs }] of this.#byId) {
      if (expiresAtMs > nowMs) {
        return;
      }
      this.#byId.delete(id);
    }
  }
}
