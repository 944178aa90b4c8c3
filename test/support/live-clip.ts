/** Publishes an encoded clip into a broadcast in real time, over and over, as an encoder would. */
import type { Clock } from '../../server/base/clock.ts';
import type { PublisherFeed } from '../../server/media/stream-source.ts';
import type { EncodedClip } from './encoded-clip.ts';

/** The returned function stops it. Frames that fell due while the process was busy are sent at once. */
export const playLive = (clip: EncodedClip, feed: PublisherFeed, clock: Clock): (() => void) => {
  const startedAtMs = clock.nowMs();
  let count = 0;
  const timer = setInterval(() => {
    const dueCount = Math.floor(((clock.nowMs() - startedAtMs) * clip.fps) / 1000) + 1;
    while (count < dueCount) {
      const frame = clip.frames[count % clip.frames.length]!;
      const dtsTicks = Math.round((count * clip.track.timescaleHz) / clip.fps);
      feed.push({
        track: clip.track,
        dtsTicks,
        ptsTicks: dtsTicks,
        isKeyframe: frame.isKeyframe,
        payload: frame.payload,
        arrivedAtMs: clock.nowMs(),
        arrivedAtWallMs: clock.wallMs(),
      });
      count += 1;
    }
  }, 2);
  return () => clearInterval(timer);
};
