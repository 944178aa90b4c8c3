/** WHEP viewers for the crowd: what is summed over them. */
import { CrowdReader } from './crowd-reader.ts';
import { KindTally, type CrowdViewer, type ViewerKind } from './viewer-kind.ts';
import { WhepViewer } from './whep-viewer.ts';

/** A viewer that saw nothing for so long is black; a shorter life says nothing. */
const BLACK_AFTER_MS = 3_000;

export const createWhepKind = (options: { url: string; bearer?: string; lossRatio?: number }): ViewerKind => {
  const tally = new KindTally();
  const viewers = new Set<WhepViewer>();
  const reader = CrowdReader.open();
  const open = (onEnd: (code: string) => void): CrowdViewer => {
    const viewer = new WhepViewer({
      ...{ whepUrl: options.url, onEnd, lossRatio: options.lossRatio ?? 0, reader },
      ...(options.bearer === undefined ? {} : { bearer: options.bearer }),
    });
    viewers.add(viewer);
    return {
      start: async () => viewer.start(),
      close: async () => viewer.close(),
      vanish: () => viewer.vanish(),
      resetCounts: () => viewer.resetCounts(),
      fold: (livedMs) => {
        viewers.delete(viewer);
        fold(tally, viewer, livedMs);
      },
      get progress() {
        return viewer.counts;
      },
    };
  };
  return { open, tally, localPorts: () => [...viewers].map((viewer) => viewer.localPort) };
};

const fold = (tally: KindTally, viewer: WhepViewer, livedMs: number): void => {
  const { join, counts } = viewer;
  tally.stage('POST to answer', join.answerMs);
  tally.stage('ICE', join.iceMs);
  tally.stage('DTLS', join.dtlsMs);
  tally.stage('POST to first packet', join.firstPacketMs);
  tally.stage('POST to first keyframe', join.firstKeyframeMs);
  tally.stage('POST to first whole frame', join.firstFrameMs);
  if (livedMs <= 0) {
    // Gone before the window: it joined, and that is all that counts.
    return;
  }
  tally.count({ ...counts, blackCount: livedMs >= BLACK_AFTER_MS && counts.frameCount === 0 ? 1 : 0 });
  viewer.frameDelaysMs().forEach((delayMs) => tally.delay('frame', delayMs));
};
