/** Plays one recording on a stage: the same face to the element as `playback.ts`, with nothing live behind it. */
import type { Chapter } from '../server/api/contract/cues.ts';
import type { PlayerClock } from './clock.ts';
import { CueBoard, type CueView } from './cues/cue-board.ts';
import { CueFollower } from './cues/cue-follower.ts';
import type { ChapterMark, MediaPlayer } from './media-player.ts';
import type { SeekTimeline } from './playout/seek-timeline.ts';
import type { PlayerView } from './rewind-machine.ts';
import type { PlayerStatus } from './state-machine.ts';
import type { ReplayAddresses } from './transport/addresses.ts';
import { fetchChapters } from './transport/fetch-chapters.ts';
import { replayPlaylist, replayStoryboard } from './transport/find-replay.ts';
import type { PlaybackSample } from './transport/playback-sample.ts';
import { Storyboard, type Thumbnail } from './transport/storyboard.ts';
import { TimeshiftPlayback, type TimeshiftEvent } from './transport/timeshift.ts';
import type { Stage } from './ui/stage.ts';

export type ReplayPlaybackOptions = {
  readonly addresses: ReplayAddresses;
  readonly stage: Stage;
  readonly clock: PlayerClock;
  onView(view: PlayerView): void;
  /** Once a second while there is a picture. */
  onSample(sample: PlaybackSample): void;
  /** With each frame. */
  onCues(view: CueView): void;
  /** Once, when they are there. */
  onChapters(chapters: readonly Chapter[]): void;
};

const STATUS = {
  ...{ picture: 'playing', stalled: 'buffering', rebuilding: 'buffering', ended: 'ended', gone: 'gone' },
} as const satisfies Record<TimeshiftEvent['type'], PlayerStatus>;
const TICK_MS = 250;
const SAMPLE_EVERY_MS = 1000;

export class ReplayPlayback implements MediaPlayer {
  readonly #options: ReplayPlaybackOptions;
  readonly #video: HTMLVideoElement;
  readonly #session: TimeshiftPlayback;
  readonly #storyboard: Storyboard;
  readonly #cueBoard = new CueBoard();
  readonly #cues: CueFollower;
  #chapters: readonly ChapterMark[] = [];
  #isClosed = false;
  #status: PlayerStatus = 'connecting';
  #isShown = false;
  #timer: ReturnType<typeof setInterval> | undefined;
  #sampledAtMs = 0;

  constructor(options: ReplayPlaybackOptions) {
    this.#options = options;
    const { addresses, stage, clock } = options;
    this.#video = stage.newVideo({ isViewers: true });
    this.#session = new TimeshiftPlayback({
      ...{ source: 'replay', video: this.#video, clock, startAtWallMs: null },
      playlistUrl: replayPlaylist(addresses.doors, addresses.id),
      place: { kind: 'offset', atMs: addresses.startS * 1000 },
      onEvent: (event) => this.#onEvent(event),
    });
    this.#storyboard = new Storyboard({
      findUrl: async () => replayStoryboard(addresses.doors, addresses.id),
      endMs: () => this.#session.durationMs ?? 0,
    });
    this.#cues = new CueFollower({
      ...{ stage, clock, board: this.#cueBoard },
      placeOf: ({ mediaTimeS }) => ({ kind: 'offset', atMs: mediaTimeS * 1000 }),
      momentNow: () => ({ serverWallMs: null, isPast: true, isOver: this.#status === 'gone' }),
      onView: (view) => options.onCues(view),
    });
  }

  start(): void {
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.#setStatus('connecting');
    void this.#session.start();
    void this.#loadChapters();
  }

  close(): void {
    this.#isClosed = true;
    clearInterval(this.#timer);
    this.#cues.close();
    this.#options.stage.remove(this.#video);
    this.#session.close();
  }

  seek(positionMs: number): void {
    this.#session.seek({ kind: 'offset', atMs: positionMs });
    if (this.#status === 'ended') {
      this.#setStatus('playing');
      this.#options.stage.play();
    }
  }

  /** There is no live edge: to the end. */
  goLive(): void {
    this.seek(this.#session.durationMs ?? 0);
  }

  /** Play after the end begins again. */
  resume(): void {
    if (this.#status === 'ended') {
      this.seek(0);
    }
  }

  setRate(ratio: number): void {
    this.#session.setRate(ratio);
  }

  step(frameCount: number): void {
    this.#session.step(frameCount);
  }

  timeline(): SeekTimeline | null {
    const endMs = this.#session.durationMs;
    const positionMs = this.#session.positionMs;
    return endMs === null ? null : { startMs: 0, endMs, positionMs, isLive: false, isAtEdge: false };
  }

  showInterest(): void {
    this.#storyboard.want(this.#options.clock.nowMs());
  }

  thumbnailAt(positionMs: number): Thumbnail | null {
    return this.#storyboard.at(positionMs);
  }

  chapters(): readonly ChapterMark[] {
    return this.#chapters;
  }

  /** A replay has a timeline of its own. */
  mediaMs(): null {
    return null;
  }

  /** Only the main picture is recorded. */
  renditions(): null {
    return null;
  }

  chooseRendition(): void {
    // Nothing to choose from.
  }

  async #loadChapters(): Promise<void> {
    const { addresses } = this.#options;
    const chapters = await fetchChapters(addresses.doors, addresses.id);
    if (!this.#isClosed) {
      this.#chapters = chapters.filter(({ title }) => title !== '');
      this.#cueBoard.takeChapters(chapters);
      this.#cues.refresh();
      this.#options.onChapters(chapters);
    }
  }

  #onEvent({ type }: TimeshiftEvent): void {
    if (type === 'picture') {
      this.#isShown = true;
      this.#options.stage.show(this.#video);
    } else if (type === 'rebuilding') {
      this.#options.stage.hold(this.#video);
    }
    this.#setStatus(STATUS[type]);
  }

  #setStatus(status: PlayerStatus): void {
    this.#status = status;
    const transport = this.#isShown ? 'replay' : null;
    this.#options.onView({ status, transport, fallbackReason: null, isSwitching: false });
  }

  #tick(): void {
    this.#cues.tick();
    const sample = this.#session.sample();
    const nowMs = this.#options.clock.nowMs();
    if (sample !== null && nowMs - this.#sampledAtMs >= SAMPLE_EVERY_MS - TICK_MS / 2) {
      this.#sampledAtMs = nowMs;
      this.#options.onSample(sample);
    }
  }
}
