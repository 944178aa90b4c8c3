/** Entry of `/sluice-player.js`: makes `<sluice-player>` known to the page that loads it. */
import { SluicePlayer, type SluicePlayerEventMap } from './ui/element.ts';

declare global {
  // Augmenting the browser's own map is possible only for an interface.
  // oxlint-disable-next-line typescript/consistent-type-definitions
  interface HTMLElementTagNameMap {
    'sluice-player': SluicePlayer;
  }
  // oxlint-disable-next-line typescript/consistent-type-definitions
  interface HTMLElementEventMap extends SluicePlayerEventMap {}
}

if (customElements.get('sluice-player') === undefined) {
  customElements.define('sluice-player', SluicePlayer);
}

export { SluicePlayer };
export type { SluicePlayerEventMap };
