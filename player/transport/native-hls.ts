/** Safari plays HLS itself, on phones nothing else does; Chrome says it can as well, but not at low latency. */
export const playsNatively = (video: HTMLVideoElement): boolean =>
  navigator.vendor.startsWith('Apple') && video.canPlayType('application/vnd.apple.mpegurl') !== '';

type DatedVideo = HTMLVideoElement & { getStartDate?: () => Date };

/** Safari tells the program date time of the start of its timeline. */
const nativeStartMs = (video: DatedVideo): number | null => {
  const startMs = video.getStartDate?.().getTime();
  return startMs === undefined || Number.isNaN(startMs) ? null : startMs;
};

/** Unix milliseconds of a place in the element's time; null where the browser does not tell. */
export const nativeWallMs = (video: HTMLVideoElement, timeS: number): number | null => {
  const startMs = nativeStartMs(video);
  return startMs === null ? null : startMs + timeS * 1000;
};

/** The other way round, in seconds. */
export const nativeTimeS = (video: HTMLVideoElement, wallMs: number): number | null => {
  const startMs = nativeStartMs(video);
  return startMs === null ? null : (wallMs - startMs) / 1000;
};
