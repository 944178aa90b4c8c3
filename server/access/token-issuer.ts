/** Makes playback tokens and looks after the keys that sign them: what the API offers to those who may. */
import type { Clock } from '../base/clock.ts';
import type { Log } from '../observability/log.ts';
import type { PlaybackTokenOptions } from './playback-gate.ts';
import { signToken } from './playback-token.ts';
import type { TokenKeys } from './token-keys.ts';

export type IssuedToken = { readonly token: string; readonly audience: string; readonly expiresAtWallMs: number };

export class TokenIssuer {
  readonly #options: PlaybackTokenOptions;
  readonly #parts: { readonly keys: TokenKeys; readonly clock: Clock; readonly log: Log };

  constructor(options: PlaybackTokenOptions, parts: { keys: TokenKeys; clock: Clock; log: Log }) {
    this.#options = options;
    this.#parts = parts;
  }

  get keyIds(): readonly string[] {
    return this.#parts.keys.ids;
  }

  /** Good for the default time when none is asked for, and never for longer than the most. Throws `TypeError` for a wrong audience or subject. */
  make(wish: { audience: string; durationS: number | undefined; subject: string }): IssuedToken {
    const { durationS, durationMaxS } = this.#options;
    const { keys, clock, log } = this.#parts;
    const goodForS = Math.min(wish.durationS ?? durationS, durationMaxS);
    const expiresAtWallS = Math.ceil(clock.wallMs() / 1000) + goodForS;
    const { audience, subject } = wish;
    const token = signToken({ audience, expiresAtWallS, subject }, keys.signing);
    log.info('token.made', { audience, expiresAt: new Date(expiresAtWallS * 1000).toISOString() });
    return { token, audience, expiresAtWallMs: expiresAtWallS * 1000 };
  }

  /** Undefined: there are too many keys already. */
  rotateKey(): { readonly id: string; readonly secret: string } | undefined {
    const made = this.#parts.keys.rotate();
    if (made !== undefined) {
      this.#parts.log.info('token.key.made', { id: made.id });
    }
    return made;
  }

  /** False: there is no such key, or it is the one that signs. */
  removeKey(id: string): boolean {
    const isGone = this.#parts.keys.remove(id);
    if (isGone) {
      this.#parts.log.info('token.key.removed', { id });
    }
    return isGone;
  }
}
