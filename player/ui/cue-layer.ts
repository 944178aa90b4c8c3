/**
 * Cues as a viewer sees them: a card for what can be bought, a line for what is said, and the seconds until what is announced. Texts go in as text only;
 * links and pictures are http(s) already (`cues/read-cue.ts`). Told at each frame, it touches the page only when something is different.
 */
import type { Cue } from '../../server/api/contract/cues.ts';
import type { ClaimState } from '../claims/claim-desk.ts';
import type { CueCount, CueView } from '../cues/cue-board.ts';
import { claimButton, claimWords, showClaim } from './claim-button.ts';
import type { Texts } from './texts.ts';

export type CueLayerOptions = {
  /** Holds `.cue-cards`, `.toasts`, `.countdown` and `.said`. */
  readonly root: ParentNode;
  readonly texts: () => Texts;
  /** A card that had the focus is gone. */
  onFocusLost(): void;
  /** How the claim of a cue with a stock stands; null: nothing can be claimed here. */
  readonly claimOf: (cue: Cue) => ClaimState | null;
  onClaim(cue: Cue): void;
};

type Drawn = { readonly element: HTMLElement; readonly cue: Cue; readonly claim: HTMLElement };

/** More would hide the picture; narrow players show one. */
const CARD_MAX_COUNT = 2;
const TOAST_MAX_COUNT = 2;
/** From here on the seconds stand in the middle, large. */
const LARGE_FROM_S = 3;

export class CueLayer {
  readonly #options: CueLayerOptions;
  readonly #cards: HTMLElement;
  readonly #toasts: HTMLElement;
  readonly #countdown: HTMLElement;
  readonly #seconds: HTMLElement;
  readonly #words: HTMLElement;
  readonly #said: HTMLElement;
  readonly #drawn = new Map<string, Drawn>();
  /** Put away by the viewer, or drawn by the page itself; of those that are on. */
  readonly #closed = new Set<string>();
  #on: readonly Cue[] = [];
  #counted = '';
  #announcedId: string | null = null;

  constructor(options: CueLayerOptions) {
    this.#options = options;
    this.#cards = this.#find('.cue-cards');
    this.#toasts = this.#find('.toasts');
    this.#countdown = this.#find('.countdown');
    this.#seconds = this.#find('.count-seconds');
    this.#words = this.#find('.count-words');
    this.#said = this.#find('.said');
    this.label();
  }

  /** In the language of now. */
  label(): void {
    this.#cards.setAttribute('aria-label', this.#options.texts().shownNow);
    this.#drawn.forEach((drawn) => this.#fill(drawn));
  }

  /** What a claim came to is on its card and, but for what is usual, said. */
  showClaim({ id }: Cue, state: ClaimState): void {
    const drawn = this.#drawn.get(id);
    if (drawn !== undefined) {
      this.#fillClaim(drawn);
      this.#say(state.type === 'granted' || state.type === 'refused' ? claimWords(state, this.#options.texts()) : '');
    }
  }

  render({ on, counts }: Pick<CueView, 'on' | 'counts'>): void {
    if (on.length !== this.#on.length || on.some((cue, place) => cue !== this.#on[place])) {
      this.#on = on;
      const ids = new Set(on.map(({ id }) => id));
      this.#closed.forEach((id) => ids.has(id) || this.#closed.delete(id));
      this.#draw();
    }
    this.#count(counts[0] ?? null);
  }

  /** Is not drawn, or not any longer; until it is shown again after it was hidden. */
  leave(id: string): void {
    this.#closed.add(id);
    this.#draw();
  }

  // ---- cards and lines

  #draw(): void {
    const seen = this.#on.filter(({ id }) => !this.#closed.has(id));
    const cards = seen.filter(({ kind }) => kind === 'product').slice(-CARD_MAX_COUNT);
    const toasts = seen.filter(({ kind, title }) => kind === 'message' && title !== undefined).slice(-TOAST_MAX_COUNT);
    const wanted = new Set([...cards, ...toasts].map(({ id }) => id));
    for (const [id, { element }] of this.#drawn) {
      if (!wanted.has(id)) {
        this.#drawn.delete(id);
        this.#remove(element);
      }
    }
    cards.forEach((cue) => this.#put(cue, this.#cards));
    toasts.forEach((cue) => this.#put(cue, this.#toasts));
  }

  /** An element stays while its cue does: an edit must not take it from under a finger. */
  #put(cue: Cue, parent: HTMLElement): void {
    const drawn = this.#drawn.get(cue.id);
    if (drawn?.cue === cue) {
      return;
    }
    const element = drawn?.element ?? make('div', cue.kind === 'product' ? 'cue-card' : 'toast');
    const claim = drawn?.claim ?? claimButton(() => this.#claim(cue.id));
    const put = { element, cue, claim };
    this.#drawn.set(cue.id, put);
    this.#fill(put);
    if (drawn === undefined) {
      parent.append(element);
      this.#say(spoken(cue, this.#options.texts()));
    }
  }

  #fill(drawn: Drawn): void {
    const { element, cue, claim } = drawn;
    element.setAttribute('part', cue.kind === 'product' ? 'cue-card' : 'toast');
    if (cue.kind !== 'product') {
      element.textContent = cue.title ?? '';
      return;
    }
    const focused = focusedIn(element);
    const hasClaim = this.#fillClaim(drawn);
    const body = productBody(cue, this.#options.texts());
    element.replaceChildren(body, ...(hasClaim ? [claim] : []), this.#closeButton(cue.id));
    if (focused === claim && hasClaim) {
      claim.focus();
    } else if (focused !== null) {
      body.focus();
    }
  }

  /** False where there is nothing to be claimed. */
  #fillClaim({ cue, claim }: Drawn): boolean {
    const state = cue.stock === undefined ? null : this.#options.claimOf(cue);
    if (state !== null) {
      showClaim(claim, { cue, state, texts: this.#options.texts() });
    }
    return state !== null;
  }

  #claim(id: string): void {
    const drawn = this.#drawn.get(id);
    if (drawn !== undefined) {
      this.#options.onClaim(drawn.cue);
    }
  }

  #closeButton(id: string): HTMLElement {
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'cue-close';
    button.setAttribute('part', 'cue-close');
    button.setAttribute('aria-label', this.#options.texts().putAway);
    button.title = this.#options.texts().putAway;
    button.textContent = '×';
    button.addEventListener('click', () => this.leave(id));
    return button;
  }

  #remove(element: HTMLElement): void {
    const focused = focusedIn(element);
    element.remove();
    if (focused !== null) {
      this.#options.onFocusLost();
    }
  }

  // ---- seconds until

  #count(count: CueCount | null): void {
    const seconds = count === null ? 0 : Math.ceil(count.remainingMs / 1000);
    const counted = count === null ? '' : `${count.mark.id} ${seconds}`;
    if (counted === this.#counted) {
      return;
    }
    this.#counted = counted;
    this.#countdown.hidden = count === null;
    const isLarge = seconds <= LARGE_FROM_S;
    this.#countdown.classList.toggle('large', isLarge);
    this.#words.textContent = isLarge ? '' : this.#options.texts().nextIn;
    // A new element each second: its animation begins anew.
    const digit = make('span', 'count-digit');
    digit.setAttribute('part', 'countdown-digit');
    digit.textContent = isLarge ? String(seconds) : this.#options.texts().seconds(seconds);
    this.#seconds.replaceChildren(digit);
    if (count !== null && count.mark.id !== this.#announcedId) {
      this.#announcedId = count.mark.id;
      this.#say(`${this.#options.texts().nextIn} ${this.#options.texts().spokenTime(seconds * 1000)}`);
    }
  }

  /** Said once each, whatever moves on screen. */
  #say(text: string): void {
    this.#said.textContent = text;
  }

  #find(selector: string): HTMLElement {
    const found = this.#options.root.querySelector<HTMLElement>(selector);
    if (found === null) {
      throw new Error(`the template has no ${selector}`);
    }
    return found;
  }
}

const make = (tag: string, className: string): HTMLElement => {
  const element = document.createElement(tag);
  element.className = className;
  return element;
};

/** A link in a tab of its own where there is something to go to; else at least to be reached by keys. */
const productBody = (cue: Cue, texts: Texts): HTMLElement => {
  const body = document.createElement(cue.link === undefined ? 'div' : 'a');
  body.className = 'cue-body';
  if (body instanceof HTMLAnchorElement && cue.link !== undefined) {
    body.href = cue.link;
    body.target = '_blank';
    body.rel = 'noopener';
  } else {
    body.tabIndex = 0;
    body.setAttribute('role', 'group');
  }
  body.setAttribute('aria-label', spoken(cue, texts) + (cue.link === undefined ? '' : `, ${texts.newTab}`));
  body.append(...pictureOf(cue), wordsOf(cue, texts));
  return body;
};

const pictureOf = ({ picture }: Cue): HTMLElement[] => {
  if (picture === undefined) {
    return [];
  }
  const image = document.createElement('img');
  image.className = 'cue-picture';
  image.setAttribute('part', 'cue-picture');
  image.alt = '';
  image.decoding = 'async';
  image.draggable = false;
  image.addEventListener('error', () => image.remove());
  image.src = picture;
  return [image];
};

const wordsOf = (cue: Cue, texts: Texts): HTMLElement => {
  const words = make('span', 'cue-words');
  const lines = [
    ['cue-title', cue.title ?? texts.product],
    ['cue-price', [cue.price ?? '', cue.stock === undefined ? '' : texts.stock(cue.stock)].filter(isText).join(' · ')],
    ['cue-action', cue.link === undefined ? '' : texts.view],
  ] as const;
  for (const [name, text] of lines) {
    if (text !== '') {
      const line = make('span', name);
      line.setAttribute('part', name);
      line.textContent = text;
      words.append(line);
    }
  }
  return words;
};

const spoken = ({ kind, title, price, stock }: Cue, texts: Texts): string =>
  [title ?? (kind === 'product' ? texts.product : ''), price ?? '', stock === undefined ? '' : texts.stock(stock)]
    .filter(isText)
    .join(', ');

const isText = (text: string): boolean => text !== '';

const focusedIn = (element: HTMLElement): Element | null => {
  const root = element.getRootNode();
  const focused = root instanceof ShadowRoot ? root.activeElement : document.activeElement;
  return element.contains(focused) ? focused : null;
};
