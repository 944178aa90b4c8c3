/** Cues on the host's page: the list, the one large button, and the form. What is decided is in `cue-desk` and `cue-form`; here it is shown and asked. */
import type { CueAt, CueList, HostedCue } from '../../../server/api/contract/cues-host.ts';
import type { DropStatus } from '../../../server/api/contract/drops.ts';
import { playerClock } from '../../clock.ts';
import { byId, make, setText } from '../elements.ts';
import { CueDesk, countText, remainingText } from './cue-desk.ts';
import { CueDialog } from './cue-dialog.ts';
import { wordsOf, type CueWords } from './cue-form.ts';
import { Declined, type StudioApi } from './studio-api.ts';
import type { StudioTexts } from './texts.ts';
import { fill } from './texts.ts';

export type CuePartOptions = {
  readonly api: StudioApi;
  readonly texts: StudioTexts;
  readonly language: string;
  /** Media time of the picture that the preview shows live; null while it shows none, or it is not known. */
  readonly previewMediaMs: () => number | null;
  readonly mayHaveDrops: boolean;
};

const COUNTDOWNS_S = [3, 5, 10] as const;
/** What counts down is written this often, and asked about this often once it is due. */
const TICK_MS = 100;
const DUE_ASK_EVERY_MS = 300;

export class CuePart {
  readonly #options: CuePartOptions;
  readonly #desk = new CueDesk();
  readonly #dialog: CueDialog;
  readonly #delayPlace: string;
  readonly #go = byId('bar-go') as HTMLButtonElement;
  readonly #now = byId('bar-now') as HTMLButtonElement;
  readonly #byPreview = byId('cue-by-preview') as HTMLInputElement;
  readonly #byPreviewPlace: string;
  readonly #delay = byId('cue-delay') as HTMLInputElement;
  readonly #timer: ReturnType<typeof setInterval>;
  #seconds: number = COUNTDOWNS_S[0];
  /** Of what is on; of what was, the last that was told. */
  readonly #claimedCounts = new Map<string, number>();
  #shownLists = '';
  #askedAtMs = 0;
  #takenSentAtMs = 0;
  #lastDeed: Promise<unknown> = Promise.resolve();
  #deedCount = 0;
  /** Of cues that were counted down here: said aloud once they show. */
  #announcedId: string | null = null;

  constructor(options: CuePartOptions) {
    this.#options = options;
    const { texts, api, mayHaveDrops } = options;
    this.#dialog = new CueDialog({ texts, mayHaveDrops, onSave: async (words, cue) => this.#save(words, cue) });
    this.#delayPlace = `sluice-studio-delay/${api.name}`;
    this.#delay.value = localStorage.getItem(this.#delayPlace) ?? '';
    this.#delay.onchange = (): void => this.#onDelay();
    this.#onDelay();
    this.#byPreviewPlace = `sluice-studio-by-preview/${api.name}`;
    this.#byPreview.checked = localStorage.getItem(this.#byPreviewPlace) !== null;
    this.#byPreview.onchange = (): void => this.#onByPreview();
    this.#offerSeconds();
    this.#go.title = 'Ctrl+Enter';
    this.#go.onclick = (): void => this.#onGo();
    this.#now.onclick = (): void => this.#onNow();
    byId('cue-add').onclick = (): void => this.#dialog.open();
    document.addEventListener('keydown', this.#onKey);
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  close(): void {
    clearInterval(this.#timer);
    document.removeEventListener('keydown', this.#onKey);
  }

  /** What is on viewers' screens, in words. */
  get onWords(): string {
    const { on } = this.#desk.sight(playerClock.nowMs());
    return on.map((cue) => titleOf(cue)).join(', ');
  }

  /** How many have gone of what there is to be had; a drop that says nothing just now is asked about again. */
  async #refreshDrops(): Promise<void> {
    const { api } = this.#options;
    const { on } = this.#desk.sight(playerClock.nowMs());
    const gone = [...this.#claimedCounts.keys()].filter((id) => this.#desk.find(id) === null);
    gone.forEach((id) => this.#claimedCounts.delete(id));
    for (const { id } of on.filter(({ stock }) => stock !== undefined)) {
      const path = `/api/broadcasts/${api.name}/drops/${encodeURIComponent(id)}`;
      const status = await api.ask<DropStatus>(path).catch(() => null);
      if (status !== null && status.state !== 'armed') {
        this.#claimedCounts.set(id, status.claimedCount);
      }
    }
    this.#renderTimes();
  }

  /** Asks for the list. Rejects as `StudioApi` does. */
  async refresh(): Promise<void> {
    const sentAtMs = playerClock.nowMs();
    this.#askedAtMs = sentAtMs;
    const list = await this.#options.api.ask<CueList>(this.#path());
    // One that was asked for earlier may come later.
    if (sentAtMs < this.#takenSentAtMs) {
      return;
    }
    this.#takenSentAtMs = sentAtMs;
    // The clock was read about half-way.
    this.#desk.take(list, (sentAtMs + playerClock.nowMs()) / 2);
    this.#render();
    void this.#refreshDrops();
  }

  readonly #onKey = (event: KeyboardEvent): void => {
    if (event.ctrlKey && event.key === 'Enter' && !this.#dialog.isOpen) {
      event.preventDefault();
      this.#onGo();
    }
  };

  #path(id?: string, deed = ''): string {
    const list = `/api/broadcasts/${this.#options.api.name}/cues`;
    return id === undefined ? list : `${list}/${encodeURIComponent(id)}${deed}`;
  }

  // ---- deeds

  #onGo(): void {
    const { next, armed } = this.#desk.sight(playerClock.nowMs());
    if (next !== null && armed === null && !this.#go.disabled && this.#deedCount === 0) {
      this.#say(fill(this.#options.texts.saidArmed, { title: titleOf(next), seconds: this.#seconds }));
      void this.#fire(next, { countdownMs: this.#seconds * 1_000 });
    }
  }

  /** The small button: at once, or, while it counts, stop. */
  #onNow(): void {
    const { next, armed } = this.#desk.sight(playerClock.nowMs());
    if (armed !== null) {
      void this.#stop(armed);
    } else if (next !== null && this.#deedCount === 0) {
      void this.#fire(next, 'now');
    }
  }

  async #fire(cue: HostedCue, at: CueAt): Promise<void> {
    const [sawMediaMs, delayMs] = [this.#sawMediaMs(), this.#delayMs()];
    const byDelay = delayMs === null ? {} : { encoderDelayMs: delayMs };
    const body = { at, ...(sawMediaMs === null ? byDelay : { sawMediaMs }) };
    this.#announcedId = cue.id;
    await this.#do(async () => this.#options.api.ask(this.#path(cue.id, '/fire'), { method: 'POST', body }));
  }

  async #stop(cue: HostedCue): Promise<void> {
    this.#announcedId = null;
    const body = { ...wordsOf(cue), at: null };
    const why = await this.#do(async () => this.#options.api.ask(this.#path(cue.id), { method: 'PUT', body }));
    if (why === '') {
      this.#desk.choose(cue.id);
      this.#render();
      this.#say(this.#options.texts.saidStopped);
    }
  }

  async #withdraw(cue: HostedCue): Promise<void> {
    await this.#do(async () => this.#options.api.ask(this.#path(cue.id), { method: 'DELETE' }));
  }

  async #save(words: CueWords, cue: HostedCue | null): Promise<string> {
    return this.#do(async () =>
      cue === null
        ? this.#options.api.ask(this.#path(), { method: 'POST', body: words })
        : this.#options.api.ask(this.#path(cue.id), { method: 'PUT', body: words }),
    );
  }

  /** One after the other. Resolves to why it was not done, which is said too; empty when it was. */
  async #do(deed: () => Promise<unknown>): Promise<string> {
    const mine = this.#lastDeed.then(async () => this.#perform(deed));
    this.#lastDeed = mine;
    this.#deedCount += 1;
    return mine.finally(() => (this.#deedCount -= 1));
  }

  async #perform(deed: () => Promise<unknown>): Promise<string> {
    try {
      await deed();
      this.#trouble('');
      await this.refresh();
      return '';
    } catch (error) {
      const { texts } = this.#options;
      const isNotLive = error instanceof Declined && error.code === 'CUE_NOT_LIVE';
      const refusal = error instanceof Declined ? fill(texts.declined, { why: error.message }) : texts.noAnswer;
      const why = isNotLive ? texts.goNotLive : refusal;
      this.#trouble(why);
      return why;
    }
  }

  // ---- the encoder's delay

  #delayMs(): number | null {
    const { value } = this.#delay;
    return value === '' || !this.#delay.checkValidity() ? null : Number(value);
  }

  /** Null: the host goes by what is before the camera. */
  #sawMediaMs(): number | null {
    const mediaMs = this.#byPreview.checked ? this.#options.previewMediaMs() : null;
    return mediaMs === null ? null : Math.max(0, Math.round(mediaMs));
  }

  #onByPreview(): void {
    if (this.#byPreview.checked) {
      localStorage.setItem(this.#byPreviewPlace, '1');
    } else {
      localStorage.removeItem(this.#byPreviewPlace);
    }
  }

  #onDelay(): void {
    const delayMs = this.#delayMs();
    this.#desk.correct(delayMs);
    if (delayMs === null) {
      localStorage.removeItem(this.#delayPlace);
    } else {
      localStorage.setItem(this.#delayPlace, String(delayMs));
    }
  }

  // ---- showing

  #tick(): void {
    const nowMs = playerClock.nowMs();
    const { armed } = this.#desk.sight(nowMs);
    if (armed === null) {
      return;
    }
    const remainingMs = this.#desk.remainingMs(armed, nowMs, this.#sawMediaMs());
    this.#renderBar();
    this.#renderTimes();
    if (remainingMs !== null && remainingMs < 0 && nowMs - this.#askedAtMs > DUE_ASK_EVERY_MS) {
      this.refresh().catch(() => undefined);
    }
  }

  #render(): void {
    this.#renderLists();
    this.#renderBar();
    this.#renderTimes();
    const { texts } = this.#options;
    const announced = this.#announcedId === null ? null : this.#desk.find(this.#announcedId);
    if (announced?.state === 'fired') {
      this.#announcedId = null;
      this.#say(fill(texts.saidShown, { title: titleOf(announced) }));
    }
    const { clock } = this.#desk;
    byId('cue-timing').hidden = clock === null;
    setText(byId('cue-timing-why'), fill(texts.timingWhy, { delay: Math.round(clock?.encoderDelayMs ?? 0) }));
  }

  #renderBar(): void {
    const { texts } = this.#options;
    const nowMs = playerClock.nowMs();
    const { armed, next } = this.#desk.sight(nowMs);
    const isLive = this.#desk.clock !== null;
    const shown = armed ?? next;
    const remainingMs = armed === null ? null : this.#desk.remainingMs(armed, nowMs, this.#sawMediaMs());
    byId('cue-bar').classList.toggle('counting', armed !== null);
    setText(
      byId('bar-title'),
      shown === null ? texts.goNothing : fill(armed === null ? texts.goNext : texts.goShows, { title: titleOf(shown) }),
    );
    setText(byId('bar-why'), shown === null || isLive ? '' : texts.goNotLive);
    const idle = fill(texts.goCountdown, { seconds: this.#seconds });
    setText(this.#go, armed === null ? idle : remainingMs === null ? '…' : countText(remainingMs));
    this.#go.disabled = armed !== null || next === null || !isLive;
    setText(this.#now, armed === null ? texts.goNow : texts.goStop);
    this.#now.disabled = armed === null && (next === null || !isLive);
  }

  /** Built anew only when something changed; what had the focus has it again. */
  #renderLists(): void {
    const { current, past, next } = this.#desk.sight(playerClock.nowMs());
    const told = JSON.stringify([current, past, next?.id]);
    if (told === this.#shownLists) {
      return;
    }
    this.#shownLists = told;
    const { activeElement } = document;
    const focus = activeElement instanceof HTMLElement ? activeElement.dataset['focus'] : undefined;
    byId('cue-current').replaceChildren(...current.map((cue) => this.#item(cue, cue.id === next?.id)));
    byId('cue-past').replaceChildren(...past.map((cue) => this.#item(cue, false)));
    byId('cue-past-part').hidden = past.length === 0;
    byId('cues-none').hidden = current.length > 0;
    if (focus !== undefined) {
      document.querySelector<HTMLElement>(`[data-focus="${CSS.escape(focus)}"]`)?.focus();
    }
  }

  #item(cue: HostedCue, isNext: boolean): HTMLElement {
    const { texts } = this.#options;
    const { id, state, price = '', picture, mode, stock } = cue;
    const words = make(
      'div',
      'cue-words',
      make('strong', '', titleOf(cue)),
      ...(price === '' ? [] : [make('span', 'cue-price', price)]),
      make('small', 'cue-state'),
      ...(mode === 'clock' ? [make('small', '', texts.cueClock)] : []),
      ...(stock === undefined ? [] : [make('small', 'cue-stock')]),
    );
    const item = make(
      'li',
      `cue-item ${state}${isNext ? ' next' : ''}`,
      ...pictureOf(picture),
      words,
      this.#buttons(cue, isNext),
    );
    item.dataset['id'] = id;
    return item;
  }

  #buttons(cue: HostedCue, isNext: boolean): HTMLElement {
    const { texts } = this.#options;
    const { id, state } = cue;
    const button = (text: string, deed: string, act: (pressed: HTMLButtonElement) => void): HTMLButtonElement => {
      const made = make('button', 'copy', text) as HTMLButtonElement;
      made.type = 'button';
      made.dataset['focus'] = `${deed} ${id}`;
      made.setAttribute('aria-label', `${text}: ${titleOf(cue)}`);
      made.addEventListener('click', () => act(made));
      return made;
    };
    const edit = button(texts.cueEdit, 'edit', () => this.#dialog.open(cue));
    const again = button(texts.cueAgain, 'again', () => void this.#save(wordsOf(cue), null));
    if (state === 'prepared') {
      const choose = button(isNext ? texts.cueNext : texts.cueChoose, 'choose', () => this.#choose(id));
      choose.setAttribute('aria-pressed', String(isNext));
      const remove = button(texts.cueRemove, 'remove', (pressed) => {
        // Not by one touch: it may be the wrong one, in a hurry.
        if (pressed.classList.contains('sure')) {
          void this.#withdraw(cue);
        } else {
          pressed.classList.add('sure');
          setText(pressed, texts.cueRemoveSure);
        }
      });
      return make('div', 'cue-buttons', choose, edit, remove);
    }
    if (state === 'fired' && this.#desk.isOn(cue, playerClock.nowMs())) {
      return make(
        'div',
        'cue-buttons',
        button(texts.cueTakeOff, 'off', () => void this.#withdraw(cue)),
        edit,
        again,
      );
    }
    return make('div', 'cue-buttons', ...(state === 'armed' ? [] : [again]));
  }

  #choose(id: string): void {
    this.#desk.choose(id);
    this.#render();
  }

  #renderTimes(): void {
    const nowMs = playerClock.nowMs();
    for (const item of document.querySelectorAll<HTMLElement>('.cue-item')) {
      const cue = this.#desk.find(item.dataset['id'] ?? '');
      const place = item.querySelector<HTMLElement>('.cue-state');
      if (cue !== null && place !== null) {
        setText(place, this.#stateWords(cue, nowMs));
      }
      const stock = item.querySelector<HTMLElement>('.cue-stock');
      if (cue !== null && stock !== null) {
        setText(stock, this.#stockWords(cue));
      }
    }
  }

  #stateWords(cue: HostedCue, nowMs: number): string {
    const { texts } = this.#options;
    const remainingMs = this.#desk.remainingMs(cue, nowMs, this.#sawMediaMs());
    if (remainingMs !== null) {
      return fill(texts.cueArmed, { time: remainingText(remainingMs) });
    }
    if (cue.firedAtWallMs === null) {
      return '';
    }
    const time = new Date(cue.firedAtWallMs).toLocaleTimeString(this.#options.language);
    return fill(this.#desk.isOn(cue, nowMs) ? texts.cueOn : texts.cueOver, { time });
  }

  #stockWords({ id, stock = 0 }: HostedCue): string {
    const { texts } = this.#options;
    const claimed = this.#claimedCounts.get(id);
    return claimed === undefined
      ? fill(texts.cueStock, { count: stock })
      : fill(texts.cueClaimed, { claimed, count: stock });
  }

  #offerSeconds(): void {
    const { texts } = this.#options;
    const place = byId('bar-seconds');
    place.setAttribute('aria-label', texts.goLength);
    place.replaceChildren(
      ...COUNTDOWNS_S.map((seconds) => {
        const input = document.createElement('input');
        Object.assign(input, {
          type: 'radio',
          name: 'seconds',
          value: String(seconds),
          checked: seconds === this.#seconds,
        });
        input.addEventListener('change', () => {
          this.#seconds = seconds;
          this.#renderBar();
        });
        return make('label', 'second', input, make('span', '', fill(texts.durationSeconds, { count: seconds })));
      }),
    );
  }

  #say(text: string): void {
    setText(byId('cue-said'), text);
  }

  #trouble(text: string): void {
    byId('cue-trouble').hidden = text === '';
    setText(byId('cue-trouble'), text);
  }
}

const titleOf = ({ title, kind }: HostedCue): string => title ?? kind;

const pictureOf = (url: string | undefined): HTMLElement[] => {
  if (url === undefined) {
    return [];
  }
  const picture = document.createElement('img');
  Object.assign(picture, {
    className: 'cue-picture',
    alt: '',
    referrerPolicy: 'no-referrer',
    loading: 'lazy',
    src: url,
  });
  return [picture];
};
