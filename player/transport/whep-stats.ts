/** What the player needs of a statistics report of WebRTC. Missing fields (not every browser has all) read as zero or null. Pure. */
export type WhepStats = {
  framesDecoded: number;
  framesDropped: number;
  /** Chrome's freeze rule (CONGESTION 2.1); pauses are gaps while the stream was inactive, and as bad to a viewer. */
  freezeCount: number;
  freezeMs: number;
  pauseMs: number;
  widthPx: number;
  heightPx: number;
  frameRateFps: number | null;
  audioSamplesReceived: number;
  /** Time that pictures spent in the buffer, all together, and how many did; their bits. */
  bufferDelayMs: number;
  bufferEmittedCount: number;
  receivedBytes: number;
  /** Capture time, by sender reports, of what plays now; milliseconds since 1900. */
  estimatedPlayoutNtpMs: number | null;
};

export const readWhepStats = (report: Iterable<readonly [string, unknown]>): WhepStats => {
  let video: Record<string, unknown> = {};
  let audio: Record<string, unknown> = {};
  for (const [, entry] of report) {
    const stats = entry as Record<string, unknown>;
    if (stats['type'] === 'inbound-rtp' && stats['kind'] === 'video') {
      video = stats;
    } else if (stats['type'] === 'inbound-rtp' && stats['kind'] === 'audio') {
      audio = stats;
    }
  }
  return {
    framesDecoded: number(video, 'framesDecoded') ?? 0,
    framesDropped: number(video, 'framesDropped') ?? 0,
    freezeCount: (number(video, 'freezeCount') ?? 0) + (number(video, 'pauseCount') ?? 0),
    freezeMs: (number(video, 'totalFreezesDuration') ?? 0) * 1000,
    pauseMs: (number(video, 'totalPausesDuration') ?? 0) * 1000,
    widthPx: number(video, 'frameWidth') ?? 0,
    heightPx: number(video, 'frameHeight') ?? 0,
    frameRateFps: number(video, 'framesPerSecond'),
    bufferDelayMs: (number(video, 'jitterBufferDelay') ?? 0) * 1000,
    bufferEmittedCount: number(video, 'jitterBufferEmittedCount') ?? 0,
    receivedBytes: number(video, 'bytesReceived') ?? 0,
    audioSamplesReceived: number(audio, 'totalSamplesReceived') ?? 0,
    estimatedPlayoutNtpMs: number(video, 'estimatedPlayoutTimestamp'),
  };
};

const number = (stats: Record<string, unknown>, key: string): number | null => {
  const value = stats[key];
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
};
