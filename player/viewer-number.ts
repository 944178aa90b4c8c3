/**
 * A number that this browser keeps, by which the server deals viewers to groups that it compares. One of 65,536, of this site alone and for a month: enough for
 * even shares, far too few to follow anybody by. Pure but for the storage it is handed.
 */
export type NumberStore = Pick<Storage, 'getItem' | 'setItem'>;

const KEY = 'sluice-viewer';
const KEPT_MS = 30 * 24 * 3_600_000;
const FORM = /^([0-9a-f]{4})@(\d{1,16})$/;

/** Four hexadecimal digits; `draw`: an integer below 65,536. Null where nothing can be kept: a number for one visit would deal unevenly. */
export const viewerNumber = (
  store: () => NumberStore,
  options: { wallMs: number; draw: () => number },
): string | null => {
  const { wallMs, draw } = options;
  try {
    const kept = FORM.exec(store().getItem(KEY) ?? '');
    const madeAtMs = Number(kept?.[2] ?? Number.NaN);
    if (kept?.[1] !== undefined && madeAtMs <= wallMs && wallMs - madeAtMs < KEPT_MS) {
      return kept[1];
    }
    const made = draw().toString(16).padStart(4, '0');
    store().setItem(KEY, `${made}@${Math.round(wallMs)}`);
    return made;
  } catch {
    // Storage is forbidden here: a frame of another site, or the viewer's wish.
    return null;
  }
};
