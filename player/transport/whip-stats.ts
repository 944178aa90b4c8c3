/** What a host wants to know of what the browser sends, from a statistics report of WebRTC. Pure. */
export type WhipStats = {
  /** Of picture and sound, header extensions and repeats included. */
  readonly sentBytes: number;
  /** What the browser's own estimate lets the picture have; null where it does not say. */
  readonly targetBps: number | null;
  readonly frameRateFps: number | null;
  readonly widthPx: number;
  readonly heightPx: number;
  readonly framesEncoded: number;
  readonly keyframesEncoded: number;
  /** Pictures the server asked to be begun anew. */
  readonly keyframesAskedCount: number;
  readonly repeatedPacketCount: number;
  readonly rttMs: number | null;
  /** 0…1 of the picture's packets, by the server's last report. */
  readonly lostRatio: number | null;
  /** Why the picture is smaller or slower than the camera's. */
  readonly limitedBy: 'none' | 'cpu' | 'bandwidth' | 'other';
};

export const readWhipStats = (report: Iterable<readonly [string, unknown]>): WhipStats => {
  const entries = [...report].map(([, entry]) => entry as Record<string, unknown>);
  const find = (type: string, kind: string): Record<string, unknown> =>
    entries.find((entry) => entry['type'] === type && entry['kind'] === kind) ?? {};
  const video = find('outbound-rtp', 'video');
  const audio = find('outbound-rtp', 'audio');
  const remote = find('remote-inbound-rtp', 'video');
  const rttS = number(remote, 'roundTripTime');
  const limit = video['qualityLimitationReason'];
  return {
    sentBytes: sum(video, 'bytesSent', 'headerBytesSent') + sum(audio, 'bytesSent', 'headerBytesSent'),
    targetBps: number(video, 'targetBitrate'),
    frameRateFps: number(video, 'framesPerSecond'),
    widthPx: number(video, 'frameWidth') ?? 0,
    heightPx: number(video, 'frameHeight') ?? 0,
    framesEncoded: number(video, 'framesEncoded') ?? 0,
    keyframesEncoded: number(video, 'keyFramesEncoded') ?? 0,
    keyframesAskedCount: sum(video, 'pliCount', 'firCount'),
    repeatedPacketCount: sum(video, 'retransmittedPacketsSent') + sum(audio, 'retransmittedPacketsSent'),
    rttMs: rttS === null ? null : rttS * 1000,
    lostRatio: number(remote, 'fractionLost'),
    limitedBy: limit === 'cpu' || limit === 'bandwidth' || limit === 'other' ? limit : 'none',
  };
};

const number = (stats: Record<string, unknown>, key: string): number | null => {
  const value = stats[key];
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
};

const sum = (stats: Record<string, unknown>, ...keys: readonly string[]): number =>
  keys.reduce((total, key) => total + (number(stats, key) ?? 0), 0);
