/** The menu of renditions: a button that names the one in force, and a list that opens above it, for pointers, fingers and keys (ARIA menu button). */
import type { RenditionChoice } from '../media-player.ts';
import { bitrateText, linesText, type Texts } from './texts.ts';

export type RenditionMenuOptions = {
  readonly frame: HTMLElement;
  readonly button: HTMLElement;
  readonly list: HTMLElement;
  readonly texts: () => Texts;
  onChoose(renditionId: string): void;
};

type Item = { readonly id: string; readonly label: string; readonly detail: string };

const AUTO = 'auto';

export class RenditionMenu {
  readonly #options: RenditionMenuOptions;
  #drawn = '';

  constructor(options: RenditionMenuOptions) {
    this.#options = options;
    const { frame, button, list } = options;
    button.addEventListener('click', () => (this.isOpen ? this.#close() : this.#open()));
    button.addEventListener('keydown', (event) => this.#onButtonKey(event));
    list.addEventListener('keydown', (event) => this.#onListKey(event));
    list.addEventListener('click', ({ target }) => this.#onPick(target));
    this.label();
    frame.addEventListener('pointerdown', (event) => {
      const path = event.composedPath();
      if (this.isOpen && !path.includes(list) && !path.includes(button)) {
        this.#close();
      }
    });
    frame.addEventListener('focusout', ({ relatedTarget }) => {
      const isInside =
        relatedTarget instanceof Node && (list.contains(relatedTarget) || button.contains(relatedTarget));
      if (this.isOpen && relatedTarget !== null && !isInside) {
        this.#close();
      }
    });
  }

  /** In the language of now. */
  label(): void {
    this.#options.list.setAttribute('aria-label', this.#options.texts().rendition);
    this.#drawn = '';
  }

  /** What is chosen, in words. */
  get chosenText(): string {
    return this.#options.button.textContent;
  }

  get isOpen(): boolean {
    return !this.#options.list.hidden;
  }

  /** `choice` null: there is nothing to choose. `shownLines`: of the picture on screen. To be called a few times a second. */
  render(choice: RenditionChoice | null, shownLines: number | null): void {
    const { button } = this.#options;
    button.hidden = choice === null;
    if (choice === null) {
      this.#close();
      return;
    }
    const texts = this.#options.texts();
    const items = itemsOf(choice, shownLines, texts);
    const drawn = JSON.stringify([choice.wantedId, items]);
    if (drawn === this.#drawn) {
      return;
    }
    this.#drawn = drawn;
    const wanted = items.find(({ id }) => id === choice.wantedId);
    button.textContent = wanted?.label ?? texts.auto;
    button.title = `${texts.rendition}: ${button.textContent}`;
    button.setAttribute('aria-label', button.title);
    this.#draw(items, wanted?.id ?? AUTO);
  }

  /** An item keeps its element while it is offered: a bitrate that changes every second must not take it from under a finger. */
  #draw(items: readonly Item[], wantedId: string): void {
    const focusedId = this.#items.find((item) => item.matches(':focus'))?.dataset['id'];
    const drawn = new Map(this.#items.map((element) => [element.dataset['id'], element]));
    const rows = items.map((item) => ({ ...item, element: drawn.get(item.id) ?? itemElement(item.id) }));
    const elements = rows.map(({ element }) => element);
    if (elements.length !== drawn.size || elements.some((element, place) => element !== this.#items[place])) {
      this.#options.list.replaceChildren(...elements);
    }
    for (const { id, label, detail, element } of rows) {
      const texts = [label, detail];
      [...element.children].forEach((child, place) => {
        child.textContent = texts[place] ?? '';
      });
      element.setAttribute('aria-checked', String(id === wantedId));
    }
    if (focusedId !== undefined && !this.#items.some((item) => item.matches(':focus'))) {
      (this.#items.find(({ dataset }) => dataset['id'] === focusedId) ?? this.#items[0])?.focus();
    }
  }

  get #items(): HTMLElement[] {
    return [...this.#options.list.querySelectorAll<HTMLElement>('[role=menuitemradio]')];
  }

  #open(): void {
    this.#options.list.hidden = false;
    this.#options.button.setAttribute('aria-expanded', 'true');
    this.#items.find((item) => item.getAttribute('aria-checked') === 'true')?.focus();
  }

  #close(): void {
    const hadFocus = this.#items.some((item) => item.matches(':focus'));
    this.#options.list.hidden = true;
    this.#options.button.setAttribute('aria-expanded', 'false');
    if (hadFocus) {
      this.#options.button.focus();
    }
  }

  #onPick(target: EventTarget | null): void {
    const id =
      target instanceof Element ? target.closest<HTMLElement>('[role=menuitemradio]')?.dataset['id'] : undefined;
    if (id !== undefined) {
      this.#close();
      this.#options.onChoose(id);
    }
  }

  #onButtonKey(event: KeyboardEvent): void {
    if (event.key === 'ArrowUp' || event.key === 'ArrowDown') {
      take(event);
      this.#open();
    }
  }

  /** While it is open its keys are its own. */
  #onListKey(event: KeyboardEvent): void {
    const items = this.#items;
    const place = items.findIndex((item) => item.matches(':focus'));
    const places: Readonly<Record<string, number>> = {
      ArrowDown: (place + 1) % items.length,
      ArrowUp: (place + items.length - 1) % items.length,
      Home: 0,
      End: items.length - 1,
    };
    const next = places[event.key];
    if (next !== undefined) {
      take(event);
      items[next]?.focus();
    } else if (event.key === 'Escape') {
      take(event);
      this.#close();
    } else if (event.key === 'Enter' || event.key === ' ') {
      take(event);
      this.#onPick(event.target);
    }
  }
}

const take = (event: KeyboardEvent): void => {
  event.preventDefault();
  event.stopPropagation();
};

const itemsOf = ({ renditions, wantedId }: RenditionChoice, shownLines: number | null, texts: Texts): Item[] => {
  const shown = wantedId === AUTO && shownLines !== null ? `${shownLines}p` : '';
  return [
    { id: AUTO, label: texts.auto, detail: shown },
    ...renditions.map(({ id, codec, bitrateBps, ...picture }) => {
      const detail = [id === 'main' ? texts.asSent : '', codec === 'av1' ? 'AV1' : '', bitrateText(bitrateBps)].filter(
        (text) => text !== '',
      );
      return { id, label: linesText(picture), detail: detail.join(' · ') };
    }),
  ];
};

const itemElement = (id: string): HTMLElement => {
  const item = document.createElement('button');
  item.type = 'button';
  item.tabIndex = -1;
  item.dataset['id'] = id;
  item.setAttribute('role', 'menuitemradio');
  item.append(document.createElement('span'), document.createElement('small'));
  return item;
};
