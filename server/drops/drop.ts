/**
 * One drop: its stock, who holds which ticket, and what a claim comes to. Pure: told what time it is. A ticket is first reserved; it counts once it is
 * committed (on disk), and all that is not can be taken back together. Memory: one entry for each ticket, at most the stock.
 */
import type { DropState } from '../api/contract/drops.ts';

/** What makes a drop; the same from its first record to its last. */
export type DropHeader = {
  /** 128 random bits as hex: tells a drop from another one of the same name and id. */
  readonly runId: string;
  readonly broadcast: string;
  readonly id: string;
  readonly isDemo: boolean;
  readonly createdAtWallMs: number;
};

/** What the host may change. `opensAtWallMs` null: it opens when it is told to. */
export type DropTerms = { readonly stock: number; readonly opensAtWallMs: number | null };

export type DropEnd = 'withdrawn' | 'ended' | 'abandoned';

/** `host` is what counts as one address. */
export type Claim = { readonly subject: string; readonly host: string; readonly claimedAtWallMs: number };

/** What a subject would get now, before anybody looks whether it is who it says. */
export type Outlook = { readonly kind: 'held'; readonly number: number } | Chance;

/** Of who holds nothing. */
export type Chance =
  /** `waitMs` null: nobody knows how long. */
  | { readonly kind: 'early'; readonly waitMs: number | null }
  | { readonly kind: 'over' }
  | { readonly kind: 'sold-out' }
  | { readonly kind: 'available' };

const OVER: Chance = { kind: 'over' };
const SOLD_OUT: Chance = { kind: 'sold-out' };
const AVAILABLE: Chance = { kind: 'available' };

export class Drop {
  readonly header: DropHeader;
  /** When its cue is to fire, as far as anybody can say; only for those who are too early. */
  expectedAtWallMs: number | undefined;
  #terms: DropTerms;
  #isOpen = false;
  #end: DropEnd | undefined;
  #endedAtWallMs: number | undefined;
  /** By number, from 1 at index 0. */
  readonly #claims: Claim[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #countByHost = new Map<string, number>();
  #committedCount = 0;

  constructor(header: DropHeader, terms: DropTerms) {
    this.header = header;
    this.#terms = terms;
  }

  get terms(): DropTerms {
    return this.#terms;
  }

  get endedAtWallMs(): number | undefined {
    return this.#endedAtWallMs;
  }

  get isOver(): boolean {
    return this.#end !== undefined;
  }

  /** Tickets that are on disk. */
  get committedCount(): number {
    return this.#committedCount;
  }

  /** Those included that are on their way there. */
  get reservedCount(): number {
    return this.#claims.length;
  }

  stateAt(nowWallMs: number): DropState {
    if (this.#end !== undefined) {
      return this.#end;
    }
    if (!this.#opensBy(nowWallMs)) {
      return 'armed';
    }
    return this.#claims.length >= this.#terms.stock ? 'sold-out' : 'open';
  }

  outlook(subject: string, nowWallMs: number): Outlook {
    const number = this.#numbers.get(subject);
    if (number !== undefined) {
      return { kind: 'held', number };
    }
    return this.chance(nowWallMs);
  }

  /** Of who holds nothing. */
  chance(nowWallMs: number): Chance {
    if (this.#end !== undefined) {
      return OVER;
    }
    if (!this.#opensBy(nowWallMs)) {
      const waitMs = (this.#terms.opensAtWallMs ?? this.expectedAtWallMs ?? nowWallMs) - nowWallMs;
      return { kind: 'early', waitMs: waitMs > 0 ? waitMs : null };
    }
    return this.#claims.length >= this.#terms.stock ? SOLD_OUT : AVAILABLE;
  }

  /** How many tickets, reserved ones included, went to this address. */
  countOf(host: string): number {
    return this.#countByHost.get(host) ?? 0;
  }

  /** The next ticket's number; to be called only when the outlook of the subject is `available`. */
  reserve(claim: Claim): number {
    const number = this.#claims.push(claim);
    this.#numbers.set(claim.subject, number);
    this.#countByHost.set(claim.host, this.countOf(claim.host) + 1);
    return number;
  }

  /** All reserved so far, up to this number, are on disk. */
  commit(upToNumber: number): void {
    this.#committedCount = Math.max(this.#committedCount, Math.min(upToNumber, this.#claims.length));
  }

  /** Takes back all that is not on disk. */
  rollBack(): void {
    for (const { subject, host } of this.#claims.splice(this.#committedCount)) {
      this.#numbers.delete(subject);
      const countLeft = this.countOf(host) - 1;
      if (countLeft > 0) {
        this.#countByHost.set(host, countLeft);
      } else {
        this.#countByHost.delete(host);
      }
    }
  }

  /** A smaller stock takes no ticket back. The instant of what is open already stays. */
  edit(terms: DropTerms): void {
    this.#terms = terms;
  }

  open(): void {
    this.#isOpen = true;
  }

  end(reason: DropEnd, atWallMs: number): void {
    this.#end ??= reason;
    this.#endedAtWallMs ??= atWallMs;
  }

  claim(number: number): Claim | undefined {
    return this.#claims[number - 1];
  }

  /** Committed claims, with their numbers. */
  list(offset: number, limit: number): readonly (Claim & { readonly number: number })[] {
    return this.#claims
      .slice(offset, Math.min(offset + limit, this.#committedCount))
      .map((claim, index) => ({ ...claim, number: offset + index + 1 }));
  }

  /** Once open it stays so, though the wall clock be set back. */
  #opensBy(nowWallMs: number): boolean {
    const { opensAtWallMs } = this.#terms;
    this.#isOpen ||= opensAtWallMs !== null && nowWallMs >= opensAtWallMs;
    return this.#isOpen;
  }
}
