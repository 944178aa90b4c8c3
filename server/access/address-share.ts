/** What one address may have open at the same time, of one kind: requests that wait, downloads. The rest is refused at once, and counted. */
import type { AddressCapsOptions } from '../base/address-caps.ts';
import { AddressCaps } from '../base/address-caps.ts';
import type { HttpAnswer, HttpEndpoint } from '../base/http-exchange.ts';
import { refuse } from '../base/http-exchange.ts';
import type { Metrics } from '../observability/metrics.ts';

export type ShareOptions = {
  /** Requests that wait for what is about to come, in all and from one address. */
  readonly waitingMaxCount: number;
  readonly waitingPerAddressMaxCount: number;
  /** Downloads that run, in all and to one address. */
  readonly downloadMaxCount: number;
  readonly downloadPerAddressMaxCount: number;
};

export const SHARE_DEFAULTS: ShareOptions = {
  waitingMaxCount: 50_000,
  waitingPerAddressMaxCount: 4_000,
  downloadMaxCount: 100,
  downloadPerAddressMaxCount: 4,
};

export class AddressShare {
  readonly #caps: AddressCaps;
  readonly #refuse: (cap: string) => void;

  /** `kind` is the label under which refusals are counted. */
  constructor(options: AddressCapsOptions, parts: { kind: string; metrics: Metrics }) {
    this.#caps = new AddressCaps(options);
    const refused = parts.metrics.counter(
      'http_shares_refused_total',
      'Requests beyond what one address, or all, may have open',
      ['kind', 'cap'],
    );
    this.#refuse = (cap) => refused.inc({ kind: parts.kind, cap });
  }

  /** To be called once when it is over (more often does no harm); undefined: the share is used up. */
  take(address: string): (() => void) | undefined {
    const refusal = this.#caps.take(address);
    if (refusal !== undefined) {
      this.#refuse(refusal);
      return undefined;
    }
    let isHeld = true;
    return () => {
      if (isHeld) {
        isHeld = false;
        this.#caps.release(address);
      }
    };
  }

  /** `endpoint`, with what is not answered yet counted against the share: in effect the requests that wait, since the others take no time. */
  guard(endpoint: HttpEndpoint): HttpEndpoint {
    return (request) => {
      const release = this.take(request.remoteAddress);
      if (release === undefined) {
        return refuse(429, 'TOO_MANY_WAITING', 'too many requests of this address wait already', {
          'retry-after': '1',
          'access-control-allow-origin': '*',
        });
      }
      let answer: HttpAnswer | Promise<HttpAnswer> | undefined;
      try {
        answer = endpoint(request);
        return answer instanceof Promise ? released(answer, release) : answer;
      } finally {
        if (!(answer instanceof Promise)) {
          release();
        }
      }
    };
  }
}

/** `finally` makes three promises of one. */
const released = (answer: Promise<HttpAnswer>, release: () => void): Promise<HttpAnswer> =>
  answer.then(
    (value) => {
      release();
      return value;
    },
    (error: unknown) => {
      release();
      throw error;
    },
  );
