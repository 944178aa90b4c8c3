/** Every word a viewer can read or hear, in one table per language. */
import type { ClaimRefusal } from '../claims/claim-answer.ts';
import type { Source } from '../rewind-machine.ts';
import type { FallbackReason, PlayerStatus } from '../state-machine.ts';
import { spokenTime } from './time-text.ts';

export type Texts = {
  /** Shown over the picture; null where the picture speaks for itself. */
  readonly status: Readonly<Record<PlayerStatus, { readonly headline: string; readonly detail: string } | null>>;
  readonly fallback: Readonly<Record<FallbackReason, string>>;
  readonly transport: Readonly<Record<Source, string>>;
  readonly live: string;
  readonly unmute: string;
  readonly mute: string;
  readonly tapForSound: string;
  readonly volume: string;
  readonly play: string;
  readonly pause: string;
  readonly enterFullscreen: string;
  readonly leaveFullscreen: string;
  readonly player: string;
  readonly latency: string;
  readonly paused: string;
  readonly badSource: string;
  readonly seek: string;
  readonly goLive: string;
  readonly speed: string;
  readonly captions: string;
  readonly captionsOff: string;
  readonly enterSmallWindow: string;
  readonly rendition: string;
  readonly auto: string;
  readonly asSent: string;
  readonly health: string;
  readonly path: string;
  readonly picture: string;
  readonly bitrate: string;
  readonly stalls: string;
  readonly droppedFrames: string;
  readonly none: string;
  /** Name of the place where cues are. */
  readonly shownNow: string;
  readonly product: string;
  readonly view: string;
  readonly newTab: string;
  readonly putAway: string;
  /** Before a time. */
  readonly nextIn: string;
  readonly chapters: string;
  readonly seconds: (count: number) => string;
  readonly stock: (count: number) => string;
  /** What there is a stock of may be claimed. */
  readonly claim: string;
  readonly claiming: string;
  readonly claimed: (ticket: { readonly number: number; readonly isNew: boolean; readonly isDemo: boolean }) => string;
  readonly claimRefused: Readonly<Record<ClaimRefusal, string>>;
  /** A span for screen readers. */
  readonly spokenTime: (ms: number) => string;
  /** `place` of `whole`, both spoken. */
  readonly placeOf: (place: string, whole: string) => string;
  readonly behind: (span: string) => string;
};

export const ENGLISH: Texts = {
  status: {
    idle: null,
    playing: null,
    connecting: { headline: 'Connecting', detail: '' },
    buffering: { headline: 'Catching up', detail: '' },
    'waiting-for-host': { headline: 'Waiting for the host', detail: 'The broadcast starts here by itself.' },
    'host-reconnecting': {
      headline: 'The host is reconnecting',
      detail: 'Stay here, the picture comes back by itself.',
    },
    'server-reconnecting': { headline: 'Reconnecting to the server', detail: '' },
    ended: { headline: 'The broadcast has ended', detail: 'Thank you for watching.' },
    forbidden: {
      headline: 'This broadcast is not open to you',
      detail: 'Ask the host for a link that is still valid.',
    },
    gone: { headline: 'This replay cannot be played', detail: 'It is not there, or not any more.' },
  },
  fallback: {
    'no-webrtc': 'Playing over HLS',
    'no-picture': 'This browser got no picture over WebRTC; playing over HLS',
    refused: 'WebRTC is not to be had here just now; playing over HLS',
    'path-lost': 'The WebRTC connection was lost; playing over HLS',
  },
  transport: { whep: 'WebRTC', 'll-hls': 'LL-HLS', rewind: 'HLS, rewound', replay: 'HLS, replay' },
  live: 'Live',
  unmute: 'Turn sound on',
  mute: 'Turn sound off',
  tapForSound: 'Tap for sound',
  volume: 'Volume',
  play: 'Play',
  pause: 'Pause',
  enterFullscreen: 'Full screen',
  leaveFullscreen: 'Leave full screen',
  player: 'Video player',
  latency: 'Latency',
  paused: 'Paused',
  badSource: 'No broadcast of that name',
  seek: 'Position',
  goLive: 'Go to live',
  speed: 'Speed',
  captions: 'Captions',
  captionsOff: 'off',
  enterSmallWindow: 'Picture in picture',
  rendition: 'Quality',
  auto: 'Auto',
  asSent: 'as sent',
  health: 'Latency and health',
  path: 'Path',
  picture: 'Picture',
  bitrate: 'Bitrate',
  stalls: 'Stalls',
  droppedFrames: 'Dropped frames',
  none: 'none',
  shownNow: 'Shown now',
  product: 'Product',
  view: 'View',
  newTab: 'opens in a new tab',
  putAway: 'Put away',
  nextIn: 'Next in',
  chapters: 'Chapters',
  seconds: (count) => `${count} s`,
  stock: (count) => `only ${count}`,
  claim: 'Claim yours',
  claiming: 'One moment…',
  claimed: ({ number, isNew, isDemo }) =>
    `${isNew ? 'Yours' : 'Already yours'}: no. ${number}${isDemo ? ' (only a demo)' : ''}`,
  claimRefused: {
    'too-early': 'Not yet',
    'sold-out': 'Sold out',
    over: 'No longer to be had',
    limited: 'Too many at once: try again soon',
    full: 'No more for this connection',
    'token-needed': 'Sign in to the shop first',
    failed: 'That did not work: try again',
  },
  spokenTime,
  placeOf: (place, whole) => `${place} of ${whole}`,
  behind: (span) => `${span} behind live`,
};

const FPS_USUAL_MAX = 31;

/** `720p`, `720p60`: lines of the shorter side, and the rate where it is more than usual. */
export const linesText = (picture: { widthPx: number; heightPx: number; frameRateFps: number | null }): string => {
  const { widthPx, heightPx, frameRateFps } = picture;
  const rate = frameRateFps !== null && frameRateFps > FPS_USUAL_MAX ? Math.round(frameRateFps) : '';
  return `${Math.min(widthPx, heightPx)}p${rate}`;
};

export const bitrateText = (bitrateBps: number): string => {
  if (bitrateBps <= 0) {
    return '';
  }
  return bitrateBps < 995_000
    ? `${Math.max(10, Math.round(bitrateBps / 10_000) * 10)} kbit/s`
    : `${(bitrateBps / 1e6).toFixed(1)} Mbit/s`;
};

/** Latency in words: milliseconds below a second, else seconds with one decimal. */
export const latencyText = (latencyMs: number | null): string => {
  if (latencyMs === null || latencyMs < 0) {
    return '';
  }
  return latencyMs < 995 ? `${Math.round(latencyMs / 10) * 10} ms` : `${(latencyMs / 1000).toFixed(1)} s`;
};
