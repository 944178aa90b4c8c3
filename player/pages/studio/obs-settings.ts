/** What is to be entered in OBS, row by row, from how the host reached this page. Pure. */
import type { StudioFacts } from '../../../server/api/contract/studio.ts';
import type { StudioTexts } from './texts.ts';

export type SettingRow = {
  readonly label: string;
  /** What is shown, unless it is a secret that is hidden. */
  readonly value: string;
  readonly canCopy: boolean;
  /** Shown in its place until the host asks to see it: a screen may be on air. */
  readonly hidden?: string;
};

export type Place = {
  /** The page's own address. */
  readonly url: URL;
  readonly facts: Pick<StudioFacts, 'name' | 'rtmpPort'>;
  /** Null: only the server knows it. */
  readonly streamKey: string | null;
};

export const streamRows = ({ url, facts, streamKey }: Place, texts: StudioTexts): SettingRow[] => [
  { label: texts.obsService, value: texts.obsCustom, canCopy: false },
  { label: texts.obsServer, value: `rtmp://${url.hostname}:${facts.rtmpPort}/live`, canCopy: true },
  streamKey === null
    ? { label: texts.obsKey, value: `${facts.name}?key=SECRET`, canCopy: false }
    : { label: texts.obsKey, value: streamKey, canCopy: true, hidden: `${facts.name}?key=••••••••` },
];

/** OBS 30 and later; its encoder settings are the same. */
export const whipRows = ({ url, facts, streamKey }: Place, texts: StudioTexts): SettingRow[] => [
  { label: texts.obsService, value: 'WHIP', canCopy: false },
  { label: texts.whipServer, value: new URL(`/whip/${facts.name}`, url).href, canCopy: true },
  streamKey === null
    ? { label: texts.whipToken, value: 'SECRET', canCopy: false }
    : { label: texts.whipToken, value: secretOf(streamKey), canCopy: true, hidden: '••••••••' },
];

/** What stands behind `?key=`. */
export const secretOf = (streamKey: string): string => streamKey.slice(streamKey.indexOf('=') + 1);

export const outputRows = (texts: StudioTexts): SettingRow[] => [
  { label: texts.encoder, value: texts.encoderValue, canCopy: false },
  { label: texts.rateControl, value: texts.rateControlValue, canCopy: false },
  { label: texts.keyframes, value: texts.keyframesValue, canCopy: false },
  { label: texts.preset, value: texts.presetValue, canCopy: false },
  { label: texts.tune, value: texts.tuneValue, canCopy: false },
  // Keyframes at cuts would break the rhythm; a buffer of half a second keeps them from bursting.
  { label: texts.x264Options, value: 'scenecut=0 bframes=0', canCopy: true },
  { label: texts.hardware, value: texts.hardwareValue, canCopy: false },
];
