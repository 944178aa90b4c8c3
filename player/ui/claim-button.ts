/** The button of a card that has a stock: what it says and how it looks in each state of a claim. The same element from the first state to the last: a focus stays. */
import type { Cue } from '../../server/api/contract/cues.ts';
import { mayClaim, type ClaimState } from '../claims/claim-desk.ts';
import type { Texts } from './texts.ts';

export const claimWords = (state: ClaimState, texts: Texts): string => {
  if (state.type === 'granted') {
    return texts.claimed({ number: state.ticket.number, isNew: state.isNew, isDemo: state.ticket.isDemo });
  }
  if (state.type === 'refused') {
    return texts.claimRefused[state.reason];
  }
  return state.type === 'asking' ? texts.claiming : texts.claim;
};

export const claimButton = (onPress: () => void): HTMLElement => {
  const button = document.createElement('button');
  button.type = 'button';
  button.addEventListener('click', onPress);
  return button;
};

/** Not `disabled`, which would take the focus, and the words with it, from who reads by ear. */
export const showClaim = (
  button: HTMLElement,
  { cue, state, texts }: { readonly cue: Cue; readonly state: ClaimState; readonly texts: Texts },
): void => {
  const name = state.type === 'refused' ? state.reason : state.type;
  const words = claimWords(state, texts);
  button.className = `cue-claim ${name}`;
  button.setAttribute('part', `cue-claim cue-claim-${name}`);
  button.setAttribute('aria-disabled', String(!mayClaim(state)));
  button.setAttribute('aria-label', [words, cue.title ?? texts.product].join(', '));
  button.textContent = words;
};
