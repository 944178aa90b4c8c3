/** What drops offer to who arms and fires cues. */
import type { DropTerms } from './drop.ts';

export type DropRef = { readonly broadcast: string; readonly id: string };

/** What the host hears when a drop cannot be: `code` is stable, `detail` says what was expected. */
export type DropRefusal = { readonly code: DropRefusalCode; readonly detail: string };
export type DropRefusalCode =
  'DROP_ID_INVALID' | 'DROP_STOCK_INVALID' | 'DROPS_FULL' | 'SHOP_KEYS_ABSENT' | 'DROP_JOURNAL_DAMAGED';

/** `expectedAtWallMs`: when its cue is to fire, for those who are too early. */
export type DropWish = DropRef & DropTerms & { readonly expectedAtWallMs?: number };

/** For who arms and fires cues. All of it may be called again: after a restart of either side the same calls lead to the same state. */
export type DropDesk = {
  /** Why there can be no such drop; undefined: there can. */
  check(wish: DropRef & { readonly stock: number }): DropRefusal | undefined;
  /**
   * A cue with a stock was armed or edited. `opensAtWallMs` (`clock` mode, once its cue has fired): it opens by itself then; null: with `open`. A drop of the
   * same name and id that is not over goes on, with its tickets; else a new one begins.
   */
  prepare(wish: DropWish): DropRefusal | undefined;
  /** Another stock. What is over stays so: an edited text must not sell the same thing twice. Nothing happens where there is no drop yet. */
  restock(ref: DropRef, stock: number): void;
  /** Its cue has fired. */
  open(ref: DropRef): void;
  /** After a restart of the server: its cue is still on. */
  keep(ref: DropRef): void;
  /** Its cue was withdrawn, or is over: nobody gets a ticket any more; who has one may ask for it again for a while. */
  close(ref: DropRef, reason: 'withdrawn' | 'ended'): void;
};
