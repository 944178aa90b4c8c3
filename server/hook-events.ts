/** What webhooks are told of broadcasts, recordings and cues. */
import type { CueDesk } from './cues/cue-desk.ts';
import type { Broadcast } from './relay/broadcast.ts';
import type { Hub } from './relay/hub.ts';
import type { RecordingSummary } from './replay/recording.ts';
import type { RecordingStore } from './replay/recording-store.ts';
import { toEntry } from './replay/library.ts';
import type { Clock } from './base/clock.ts';
import type { Webhooks } from './webhooks/webhooks.ts';

export const announceEvents = (
  webhooks: Webhooks,
  parts: { hub: Hub; recordings: RecordingStore; desk: Pick<CueDesk, 'listen'>; clock: Clock },
): void => {
  parts.hub.listen({ onBroadcastStarted: (broadcast) => announceBroadcast(webhooks, broadcast, parts.clock) });
  parts.desk.listen(({ name, broadcastId, event }) => {
    if (event.type === 'fired') {
      webhooks.tell('cue.fired', { name, broadcastId, cue: event.cue });
    }
  });
  parts.recordings.listen({
    onStarted: (summary) => webhooks.tell('recording.started', started(summary)),
    onReady: (summary) => {
      const { playlistUrl, downloadUrl, endedAtWallMs, durationMs, sizeBytes } = toEntry(summary);
      webhooks.tell('recording.ready', {
        ...started(summary),
        ...{ endedAtWallMs, durationMs, sizeBytes, replayUrl: `/replay/${summary.id}`, playlistUrl, downloadUrl },
      });
    },
  });
};

const started = ({ id, name, startedAtWallMs }: RecordingSummary): Record<string, unknown> => ({
  recordingId: id,
  name,
  startedAtWallMs: Math.round(startedAtWallMs),
});

/** An encoder that drops and returns within the grace time is no news. */
const announceBroadcast = (webhooks: Webhooks, broadcast: Broadcast, clock: Clock): void => {
  const startedAtWallMs = Math.round(broadcast.startedAtWallMs);
  const named = { name: broadcast.name, broadcastId: broadcast.id, startedAtWallMs };
  let wasLive = false;
  broadcast.listen({
    onStateChanged: (state) => {
      if (state === 'live' && !wasLive) {
        wasLive = true;
        webhooks.tell('publish', named);
      }
      if (state === 'ended' && wasLive) {
        webhooks.tell('unpublish', { ...named, durationMs: Math.round(clock.wallMs() - startedAtWallMs) });
      }
    },
  });
};
