/** Where siblings meet: who makes access units and who takes them. Protocol folders know these, not each other. */
import type { AccessUnit, SourceUnit } from './access-unit.ts';
import type { Track } from './track.ts';

/** Takes access units of one rendition, in decoding order, synchronously; it must not throw and must not block. */
export type AccessUnitSink = {
  onUnit(unit: AccessUnit): void;
  /** No unit follows. */
  onEnd?(reason: string): void;
};

/** One rendition, as outputs see it. */
export type AccessUnitSource = {
  readonly id: string;
  /** The parameters now in force; undefined until the first unit. */
  readonly track: Track | undefined;
  /** What is known of its structure so far. */
  readonly facts: StreamFacts;
  /** Where units come through another thread: when the one now being delivered entered the hub there. Monotonic clock. */
  readonly enteredHubAtMs?: number | undefined;
  /** Units from the last keyframe to now, oldest first; empty when nothing is cached. */
  cachedGop(): readonly AccessUnit[];
  /** Delivers from the next unit on. The returned function ends it and may be called twice. */
  subscribe(sink: AccessUnitSink): () => void;
};

/** What outputs and the repair decide by. Grows more certain as units pass. */
export type StreamFacts = {
  /** Pictures are shown in another order than they are decoded (B-frames). */
  readonly hasReordering: boolean;
  /** The longest distance between keyframes seen in the last minute, open GOP included; 0 before two pictures were seen. */
  readonly gopMaxMs: number;
  /** True once the encoder's rhythm shows: a whole GOP of about 1 s or more, two alike, or an open one over 2 s. Until then `gopMaxMs` says little. */
  readonly isGopKnown: boolean;
  readonly frameRateFps: number | undefined;
  /** Over the last 5 s. */
  readonly bitrateBps: number;
};

/** What a publisher's session is handed once it may publish. */
export type PublisherFeed = {
  /** Media in the order of arrival. Never throws; after `close` units are ignored. */
  push(unit: SourceUnit): void;
  /** The publisher is gone, whether it said goodbye or its connection just ended. May be called twice. */
  close(reason: string): void;
};
