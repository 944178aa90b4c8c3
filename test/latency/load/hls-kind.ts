/** HLS players for the crowd: what is summed over them. */
import { HlsViewer } from './hls-viewer.ts';
import { KindTally, type CrowdViewer, type ViewerKind } from './viewer-kind.ts';

/** A player that got nothing for so long is black; a shorter life says nothing. */
const BLACK_AFTER_MS = 3_000;

export const createHlsKind = (options: { url: string; bearer?: string }): ViewerKind => {
  const tally = new KindTally();
  const open = (onEnd: (code: string) => void): CrowdViewer => {
    const viewer = new HlsViewer({ ...options, onEnd });
    return {
      start: async () => viewer.start(),
      close: async () => viewer.close(),
      vanish: () => viewer.close(),
      resetCounts: () => viewer.resetCounts(),
      fold: (livedMs) => fold(tally, viewer, livedMs),
      get progress() {
        return { packetCount: viewer.counts.requestCount, byteCount: viewer.counts.byteCount };
      },
    };
  };
  return { open, tally, localPorts: () => [] };
};

const fold = (tally: KindTally, viewer: HlsViewer, livedMs: number): void => {
  const { join, counts } = viewer;
  tally.stage('first playlist', join.multivariantMs);
  tally.stage('playlists of renditions', join.playlistsMs);
  tally.stage('first media', join.firstMediaMs);
  tally.stage('would play', join.playingMs);
  if (livedMs <= 0) {
    // Gone before the window: it joined, and that is all that counts.
    return;
  }
  const isBlack = livedMs >= BLACK_AFTER_MS && counts.partCount + counts.segmentCount === 0;
  const { agesMs } = viewer;
  const fastestMs = agesMs.reduce((least, ageMs) => Math.min(least, ageMs), Number.POSITIVE_INFINITY);
  const ageSumMs = agesMs.reduce((sum, ageMs) => sum + ageMs, 0);
  tally.count({
    ...{ ...counts, ...viewer.playback(), blackCount: isBlack ? 1 : 0 },
    ...{ ageSumMs, agedCount: agesMs.length },
  });
  agesMs.forEach((ageMs) => tally.delay('media', ageMs - fastestMs));
  tally.delays('fetch', viewer.fetchBuckets);
};
