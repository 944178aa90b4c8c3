/** A session whose media runs in another thread, as the rest of the server sees it. */
import type { PlayerTotals } from '../relay/webrtc/player-reports.ts';
import type { RtpMapping } from '../relay/webrtc/rtp-mapping.ts';
import type { TimelinePoint } from '../relay/webrtc/session-timeline.ts';
import type { SessionFacts, SessionView } from '../relay/webrtc/session-view.ts';

/** Where its thread is asked and told. */
export type SessionHome = {
  timelineOf(sessionId: string): Promise<readonly TimelinePoint[]>;
  report(sessionId: string, totals: PlayerTotals): void;
};

export class RemoteSession implements SessionView {
  readonly id: string;
  readonly secret: string;
  readonly name: string;
  readonly #home: SessionHome;
  readonly #listeners = new Set<(mapping: RtpMapping) => void>();
  #facts: SessionFacts;
  #mapping: RtpMapping | undefined;
  #lastTimeline: readonly TimelinePoint[] | undefined;

  constructor(home: SessionHome, opened: { id: string; secret: string; name: string; facts: SessionFacts }) {
    this.#home = home;
    this.id = opened.id;
    this.secret = opened.secret;
    this.name = opened.name;
    this.#facts = opened.facts;
  }

  get isConnected(): boolean {
    return this.#facts.isConnected;
  }

  get endReason(): string | undefined {
    return this.#facts.endReason;
  }

  get pathKind(): string {
    return this.#facts.pathKind;
  }

  get renditionId(): string | undefined {
    return this.#facts.renditionId;
  }

  get decision(): SessionFacts['decision'] {
    return this.#facts.decision;
  }

  get networkClass(): string | undefined {
    return this.#facts.networkClass;
  }

  get reported(): PlayerTotals | undefined {
    return this.#facts.reported;
  }

  get smoothnessRatio(): number {
    return this.#facts.smoothnessRatio;
  }

  /** Empty where its thread is gone, or gone with it. */
  async timeline(): Promise<readonly TimelinePoint[]> {
    return this.#lastTimeline ?? this.#home.timelineOf(this.id).catch(() => this.#lastTimeline ?? []);
  }

  onPlayerReport(totals: PlayerTotals): void {
    this.#home.report(this.id, totals);
  }

  listenMapping(listener: (mapping: RtpMapping) => void): () => void {
    this.#listeners.add(listener);
    if (this.#mapping !== undefined) {
      listener(this.#mapping);
    }
    return () => this.#listeners.delete(listener);
  }

  noteFacts(facts: SessionFacts): void {
    this.#facts = facts;
  }

  noteMapping(mapping: RtpMapping): void {
    this.#mapping = mapping;
    this.#listeners.forEach((listener) => listener(mapping));
  }

  /** `timeline`: its last one, as far as anybody knows it. */
  end(facts: Partial<SessionFacts>, timeline: readonly TimelinePoint[]): void {
    this.#facts = { ...this.#facts, ...facts, isConnected: false };
    this.#lastTimeline = timeline;
    this.#listeners.clear();
  }
}
