/** What can be set about WebRTC out, and what holds when it is not. */
import type { IceServer } from '../../webrtc-transport/ice-server-link.ts';

export type WebRtcOutOptions = {
  /** Playout delay asked of near viewers (round trip below 20 ms, no loss); at least 10. */
  readonly playoutDelayMs: number;
  /** Playout delay asked of everybody else. */
  readonly playoutDelayFarMs: number;
  /** How long in all the browser may hold pictures back so that they stay with the sound, which it buffers as it sees fit. */
  readonly followSoundMaxMs: number;
  /** How much later than its picture sound is to be heard: pictures wait that much less for it. Nobody notices up to 125 ms (ITU-R BT.1359). */
  readonly soundLagMs: number;
  /** From a viewer's first picture to its first sound. */
  readonly soundStartsAfterMs: number;
  readonly sessionMaxCount: number;
  /** New sessions a second; `auto`: what their handshakes leave of one core for those who watch. */
  readonly joinsPerS: number | 'auto';
  /** Joins that may wait for their turn; beyond, 503. `auto`: those of five seconds. */
  readonly joinQueueMaxCount: number | 'auto';
  /** POSTs and PATCHes a minute from one address. */
  readonly requestsPerMinute: number;
  /** STUN and TURN servers for `Link: rel="ice-server"`. */
  readonly iceServers: readonly IceServer[];
  /** How long packets are kept for retransmission. */
  readonly retransmitWindowMs: number;
};

export const WEBRTC_OUT_DEFAULTS: WebRtcOutOptions = {
  playoutDelayMs: 20,
  playoutDelayFarMs: 100,
  followSoundMaxMs: 250,
  soundLagMs: 25,
  soundStartsAfterMs: 500,
  sessionMaxCount: 1_000,
  joinsPerS: 'auto',
  joinQueueMaxCount: 'auto',
  requestsPerMinute: 120,
  iceServers: [],
  retransmitWindowMs: 1_000,
};
