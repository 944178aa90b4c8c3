/** Latency and health in numbers, for who asks: a small table over the picture. */
import type { PlayerView } from '../rewind-machine.ts';
import type { PlaybackSample } from '../transport/playback-sample.ts';
import { bitrateText, latencyText, type Texts } from './texts.ts';

export type HealthPanelOptions = {
  readonly panel: HTMLElement;
  readonly buttons: readonly HTMLElement[];
  readonly texts: () => Texts;
};

export type Health = {
  readonly view: PlayerView;
  readonly sample: PlaybackSample | null;
  /** What the viewer chose, in words. */
  readonly rendition: string;
};

const NONE = '–';

export class HealthPanel {
  readonly #options: HealthPanelOptions;
  #health: Health | null = null;

  constructor(options: HealthPanelOptions) {
    this.#options = options;
    options.buttons.forEach((button) => button.addEventListener('click', () => this.toggle()));
    this.label();
  }

  toggle(): void {
    const { panel, buttons } = this.#options;
    panel.hidden = !panel.hidden;
    buttons.forEach((button) => button.setAttribute('aria-expanded', String(!panel.hidden)));
    this.#draw();
  }

  /** In the language of now. */
  label(): void {
    const { panel, buttons, texts } = this.#options;
    panel.setAttribute('aria-label', texts().health);
    buttons.forEach((button) => {
      button.title = texts().health;
      button.setAttribute('aria-expanded', String(!panel.hidden));
    });
    this.#draw();
  }

  render(health: Health): void {
    this.#health = health;
    this.#draw();
  }

  #draw(): void {
    const { panel, texts } = this.#options;
    if (panel.hidden || this.#health === null) {
      return;
    }
    const rows = rowsOf(this.#health, texts());
    if (panel.children.length !== rows.length) {
      panel.replaceChildren(...rows.map(() => rowElement()));
    }
    rows.forEach((row, place) => {
      [...(panel.children[place]?.children ?? [])].forEach((cell, index) => {
        const text = row[index] ?? '';
        cell.textContent = cell.textContent === text ? cell.textContent : text;
      });
    });
  }
}

/** Names and values. */
const rowsOf = ({ view, sample, rendition }: Health, texts: Texts): readonly (readonly [string, string])[] => {
  const { latencyMs = null, targetLatencyMs = null, widthPx = 0, heightPx = 0 } = sample ?? {};
  const { frameRateFps = null, bitrateBps = null, stallCount = 0, stallMs = 0, framesDropped = 0 } = sample ?? {};
  const rate = frameRateFps === null ? '' : ` · ${Math.round(frameRateFps)} fps`;
  const held = targetLatencyMs === null ? '' : ` (${latencyText(targetLatencyMs)})`;
  const latency = latencyText(latencyMs);
  return [
    [texts.latency, latency === '' ? NONE : `${latency}${held}`],
    [texts.path, view.transport === null ? NONE : texts.transport[view.transport]],
    [texts.picture, widthPx > 0 ? `${widthPx} × ${heightPx}${rate}` : NONE],
    [texts.rendition, rendition === '' ? NONE : rendition],
    [texts.bitrate, bitrateBps === null ? NONE : bitrateText(bitrateBps)],
    [texts.stalls, stallCount === 0 ? texts.none : `${stallCount} · ${(stallMs / 1000).toFixed(1)} s`],
    [texts.droppedFrames, String(framesDropped)],
  ];
};

const rowElement = (): HTMLElement => {
  const row = document.createElement('div');
  row.append(document.createElement('dt'), document.createElement('dd'));
  return row;
};
