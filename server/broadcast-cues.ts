/** Joins cues to the broadcasts they lie in: the hub's media drives them, the playlists' dates are theirs, keys of names say who may host. */
import type { CueDesk, CueOptions } from './cues/cue-desk.ts';
import { MediaWatch } from './cues/media-watch.ts';
import type { Broadcast } from './relay/broadcast.ts';
import { SOURCE_AUDIO, SOURCE_VIDEO } from './relay/broadcast.ts';
import type { Hub } from './relay/hub.ts';
import type { Rendition } from './relay/rendition.ts';
import type { Recorder } from './replay/recorder.ts';

export type BroadcastCueParts = {
  readonly desk: CueDesk;
  readonly settings: CueOptions;
  readonly hub: Hub;
  /** What playlists of a name add to media time for program dates; undefined while there are none. */
  readonly programOffsetMs: (name: string) => number | undefined;
};

/** What has fired goes into the broadcast's recording, and so does what becomes of it. */
export const recordCues = (desk: CueDesk, recorder: Pick<Recorder, 'onCue'>): void => {
  desk.listen(({ name, broadcastId, event }) => {
    const isFired = event.type === 'fired' || event.type === 'carried';
    const cue = isFired || event.type === 'edited' || event.type === 'withdrawn' ? event.cue : undefined;
    if (broadcastId !== undefined && cue !== undefined) {
      const isForgotten = event.type === 'withdrawn' && event.isForgotten;
      recorder.onCue({ id: broadcastId, name }, { cue, isForgotten });
    }
  });
};

/** From now on every broadcast of the hub has its cues. */
export const joinCues = ({ desk, settings, hub, programOffsetMs }: BroadcastCueParts): void => {
  hub.listen({
    onBroadcastStarted: (broadcast) => {
      const { name, id, timeline } = broadcast;
      const watch = new MediaWatch({
        broadcastId: id,
        encoder: settings,
        wallMsAt: (mediaMs) => timeline.wallMsAt(mediaMs),
        programOffsetMs: () => programOffsetMs(name),
        frameRateFps: () => broadcast.renditions.get(SOURCE_VIDEO)?.facts.frameRateFps,
      });
      desk.attach(name, watch);
      followSource(broadcast, desk);
    },
  });
};

const followSource = (broadcast: Broadcast, desk: CueDesk): void => {
  const follow = (rendition: Rendition): void => {
    if (rendition.id === SOURCE_VIDEO || rendition.id === SOURCE_AUDIO) {
      rendition.subscribe({ onUnit: (unit) => desk.onUnit(broadcast.name, unit) });
    }
  };
  broadcast.listen({
    onRenditionAdded: follow,
    onStateChanged: (state) => {
      if (state === 'ended') {
        desk.end(broadcast.name);
      }
    },
  });
};
