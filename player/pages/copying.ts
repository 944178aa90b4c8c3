/** Buttons that copy a text, also on pages that came without https, where browsers have no clipboard to offer. */
import { setText } from './elements.ts';

export type CopyWords = { readonly copied: string; readonly failed: string };

const ENGLISH: CopyWords = { copied: 'Copied', failed: 'Select and copy' };

const copy = async (text: string): Promise<boolean> => {
  if ('clipboard' in navigator) {
    return navigator.clipboard.writeText(text).then(
      () => true,
      () => false,
    );
  }
  const field = document.createElement('textarea');
  field.value = text;
  document.body.append(field);
  field.select();
  const isDone = document.execCommand('copy');
  field.remove();
  return isDone;
};

/** What `read` gives when it is pressed. */
export const offerCopying = (button: HTMLElement, read: () => string, words: CopyWords = ENGLISH): void => {
  button.addEventListener('click', () => {
    void copy(read()).then((isDone) => {
      setText(button, isDone ? words.copied : words.failed);
      button.focus();
    });
  });
};
