/** What was for sale in a replay: each with the moment it was shown in, and a way to it. */
import type { Chapter } from '../../server/api/contract/cues.ts';
import { clockText } from '../ui/time-text.ts';
import { make } from './elements.ts';

/** Rows for a list, by time. `onSeek`: milliseconds into the replay. */
export const productRows = (chapters: readonly Chapter[], onSeek: (atMs: number) => void): readonly HTMLElement[] =>
  chapters.filter(({ cue }) => cue.kind === 'product').map((chapter) => rowOf(chapter, onSeek));

const rowOf = ({ startMs, title, cue }: Chapter, onSeek: (atMs: number) => void): HTMLElement => {
  const name = cue.title ?? title;
  const at = make('button', 'moment', clockText(startMs));
  at.setAttribute('type', 'button');
  at.setAttribute('aria-label', `Go to ${name}, ${clockText(startMs)}`);
  at.addEventListener('click', () => onSeek(startMs));
  const words = make('span', 'product-words', make('strong', '', name), make('small', '', cue.price ?? ''));
  return make('li', 'product', at, pictureOf(cue.picture), words, ...linkTo(cue.link, name));
};

const pictureOf = (picture: string | undefined): HTMLElement => {
  const frame = make('span', 'product-picture');
  if (picture !== undefined) {
    const image = document.createElement('img');
    image.alt = '';
    image.loading = 'lazy';
    image.addEventListener('error', () => image.remove());
    image.src = picture;
    frame.append(image);
  }
  return frame;
};

const linkTo = (address: string | undefined, name: string): HTMLElement[] => {
  if (address === undefined) {
    return [];
  }
  const link = document.createElement('a');
  link.className = 'copy';
  link.href = address;
  link.target = '_blank';
  link.rel = 'noopener';
  link.textContent = 'View';
  link.setAttribute('aria-label', `View ${name}, opens in a new tab`);
  return [link];
};
