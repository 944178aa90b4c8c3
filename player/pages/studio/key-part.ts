/** The part of the host's page that says how to go live: rows to paste, the key behind dots, and a key anew for who came with the admin key. */
import type { WatchState } from '../../../server/api/contract/socket.ts';
import type { StudioFacts } from '../../../server/api/contract/studio.ts';
import { offerCopying } from '../copying.ts';
import { byId, make, setText } from '../elements.ts';
import type { SettingRow } from './obs-settings.ts';
import { outputRows, secretOf, streamRows, whipRows } from './obs-settings.ts';
import type { StudioApi } from './studio-api.ts';
import type { StudioTexts } from './texts.ts';
import { fill } from './texts.ts';

export type KeyPartOptions = { readonly api: StudioApi; readonly facts: StudioFacts; readonly texts: StudioTexts };

export class KeyPart {
  readonly #options: KeyPartOptions;
  readonly #details = byId('obs') as HTMLDetailsElement;
  readonly #makeKey = byId('make-key');
  #streamKey: string | null;
  #hasKey: boolean;
  #state: WatchState | undefined;

  constructor(options: KeyPartOptions) {
    const { api, facts, texts } = options;
    this.#options = options;
    this.#streamKey = facts.isAdmin || api.key === null ? null : `${facts.name}?key=${api.key}`;
    this.#hasKey = facts.hasKey;
    byId('output-rows').replaceChildren(...outputRows(texts).map((row) => this.#row(row)));
    byId('make-key-part').hidden = !facts.isAdmin;
    this.#makeKey.onclick = (): void => this.#onMakeKey();
    this.#render();
  }

  /** The publish key, as WHIP wants it; null: only the server knows it. */
  get secret(): string | null {
    return this.#streamKey === null ? null : secretOf(this.#streamKey);
  }

  /** Open for as long as nobody is live, where there is room for it, unless the host decides otherwise. */
  onState(state: WatchState): void {
    if (state !== this.#state) {
      const wasAbsent = this.#state === undefined || this.#state === 'absent';
      const isOffered = state === 'absent' && window.matchMedia('(min-width: 900px)').matches;
      this.#details.open = isOffered || (this.#details.open && !wasAbsent);
      this.#state = state;
    }
  }

  #render(): void {
    const { facts, texts } = this.#options;
    const place = { url: new URL(location.href), facts, streamKey: this.#streamKey };
    byId('whip-rows').replaceChildren(...whipRows(place, texts).map((row) => this.#row(row)));
    byId('stream-rows').replaceChildren(...streamRows(place, texts).map((row) => this.#row(row)));
    setText(this.#makeKey, this.#hasKey ? texts.makeKeyAnew : texts.makeKey);
    const unknown = this.#hasKey ? texts.obsKeyUnknown : texts.obsKeyless;
    const words = [this.#streamKey === null ? unknown : texts.obsKeyHint];
    if (facts.isLoopbackOpen) {
      words.push(fill(texts.obsLoopback, { name: facts.name }));
    }
    setText(byId('key-words'), words.join(' '));
  }

  #row({ label, value, canCopy, hidden }: SettingRow): HTMLElement {
    const { texts } = this.#options;
    const shown = make('code', '', hidden ?? value);
    const buttons: HTMLElement[] = [];
    if (hidden !== undefined) {
      const button = make('button', 'copy', texts.show);
      button.setAttribute('type', 'button');
      button.addEventListener('click', () => {
        const isHidden = shown.textContent === hidden;
        setText(shown, isHidden ? value : hidden);
        setText(button, isHidden ? texts.hide : texts.show);
      });
      buttons.push(button);
    }
    if (canCopy) {
      const button = make('button', 'copy', texts.copy);
      button.setAttribute('type', 'button');
      button.setAttribute('aria-label', `${texts.copy}: ${label}`);
      offerCopying(button, () => value, { copied: texts.copied, failed: texts.copyFailed });
      buttons.push(button);
    }
    return make(
      'div',
      '',
      make('dt', '', label),
      make('dd', '', canCopy ? shown : make('span', '', shown.textContent), ...buttons),
    );
  }

  /** A key that is in use is not taken away by one touch. */
  #onMakeKey(): void {
    const { api, facts, texts } = this.#options;
    const needsSecond = this.#hasKey && !this.#makeKey.classList.contains('sure');
    if (needsSecond) {
      this.#makeKey.classList.add('sure');
      setText(this.#makeKey, texts.makeKeyWarning);
      return;
    }
    api.ask<{ streamKey: string }>(`/api/keys/${facts.name}`, { method: 'POST' }).then(
      ({ streamKey }) => {
        this.#streamKey = streamKey;
        this.#hasKey = true;
        this.#makeKey.classList.remove('sure');
        this.#render();
      },
      () => setText(this.#makeKey, texts.noAnswer),
    );
  }
}
