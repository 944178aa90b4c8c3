/** One WHIP publisher, one lifetime: its transport's packets through the receiver to the feed, what it is to be told back, one line at the end. */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/errors.ts';
import type { PublisherFeed } from '../../media/stream-source.ts';
import type { Log } from '../../observability/log.ts';
import type { IceResource } from '../../webrtc-transport/ice-resource.ts';
import type { PeerTransport } from '../../webrtc-transport/peer-transport.ts';
import type { ReceivedMedia } from '../../webrtc-transport/sdp-receiving.ts';
import { Doctor } from '../doctor.ts';
import type { DoctorFinding } from '../finding.ts';
import { MediaReceiver } from './media-receiver.ts';
import type { Instant, ReceiverCounts } from './media-receiver.ts';
import type { WhipOptions } from './options.ts';
import { UplinkLoss } from './uplink-loss.ts';
import type { WhipMetrics } from './whip-metrics.ts';

export type WhipSessionOptions = {
  /** In the session's URL: 128 random bits. */
  readonly id: string;
  readonly name: string;
  readonly peer: PeerTransport;
  readonly ice: IceResource;
  readonly video: ReceivedMedia | undefined;
  readonly audio: ReceivedMedia | undefined;
  readonly feed: PublisherFeed;
  readonly settings: WhipOptions;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: WhipMetrics;
  readonly onClosed: (session: WhipSession) => void;
};

/** We ask for keyframes ourselves, so their rhythm is not the publisher's fault. */
const NOT_ITS_FAULT: ReadonlySet<string> = new Set(['KEYFRAME_INTERVAL_IRREGULAR']);
const NOTHING: ReceiverCounts = {
  ...{ packets: 0, bytes: 0, lost: 0, repaired: 0, late: 0 },
  ...{ nacks: 0, keyframesAsked: 0, picturesDropped: 0, malformed: 0 },
};

export class WhipSession {
  readonly id: string;
  readonly name: string;
  readonly ice: IceResource;
  readonly #options: WhipSessionOptions;
  readonly #receiver: MediaReceiver;
  readonly #doctor: Doctor;
  readonly #uplinkLoss = new UplinkLoss();
  readonly #openedAtMs: number;
  #counted = NOTHING;
  #unitCount = 0;
  #connectedAtMs: number | undefined;
  #isClosed = false;

  constructor(options: WhipSessionOptions) {
    const { id, name, ice, video, audio, settings, clock, peer } = options;
    this.#options = options;
    this.id = id;
    this.name = name;
    this.ice = ice;
    this.#openedAtMs = clock.nowMs();
    this.#doctor = new Doctor({ startedAtMs: this.#openedAtMs });
    this.#receiver = new MediaReceiver({ video, audio, options: settings, ssrc: randomBytes(4).readUInt32BE() });
    peer.listen({
      onConnected: () => {
        this.#connectedAtMs = clock.nowMs();
      },
      onRtp: (packet) =>
        this.#guard(() => {
          this.#receiver.onRtp(packet, this.#now());
          this.#pass();
        }),
      onRtcp: (compound) => this.#guard(() => this.#receiver.onRtcp(compound, clock.nowMs())),
      onClosed: (reason) => this.#onPeerClosed(reason),
    });
  }

  /** What the doctor says, worst first. */
  get findings(): readonly DoctorFinding[] {
    const found = this.#doctor.findings.filter(({ code }) => !NOT_ITS_FAULT.has(code));
    const loss = this.#uplinkLoss.finding;
    return loss === undefined ? found : loss.severity === 'info' ? [...found, loss] : [loss, ...found];
  }

  /** To be called every few milliseconds: what was waited for too long is given up, what is due is said. */
  tick(): void {
    if (this.#isClosed || this.#connectedAtMs === undefined) {
      return;
    }
    const at = this.#now();
    this.#guard(() => {
      this.#receiver.tick(at);
      this.#pass();
      this.#consultDoctor(at.nowMs);
    });
    const { idleTimeoutMs } = this.#options.settings;
    if (at.nowMs - (this.#receiver.lastMediaAtMs ?? this.#connectedAtMs) > idleTimeoutMs) {
      this.#options.metrics.refused('WHIP_IDLE');
      this.close('WHIP_IDLE');
    }
  }

  /** Ends it. May be called twice; the first reason counts. */
  close(reason: string): void {
    this.#options.peer.close(reason);
  }

  #now(): Instant {
    const { clock } = this.#options;
    return { nowMs: clock.nowMs(), wallMs: clock.wallMs() };
  }

  /** The peer's mistakes are counted where they are made; ours end this session, never the process. */
  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      const stack = error instanceof Error ? error.stack : '';
      this.#options.log.error('whip.session.failed', { error: messageOf(error), stack });
      this.#options.metrics.refused('WHIP_INTERNAL');
      this.close('WHIP_INTERNAL');
    }
  }

  #pass(): void {
    for (const unit of this.#receiver.takeUnits()) {
      this.#unitCount += 1;
      this.#doctor.onUnit(unit);
      this.#options.feed.push(unit);
    }
    const compound = this.#receiver.takeRtcp(this.#options.clock.nowMs());
    if (compound.byteLength > 0) {
      this.#options.peer.sendRtcp(compound);
    }
  }

  #consultDoctor(nowMs: number): void {
    if (this.#doctor.evaluate(nowMs)) {
      this.#options.log.info('whip.publisher.findings', { findings: this.findings });
    }
    this.#count();
    this.#uplinkLoss.observe(this.#counted, { nowMs, rttMs: this.#receiver.rttMs });
  }

  #count(): void {
    const { counts } = this.#receiver;
    this.#options.metrics.add(counts, this.#counted);
    this.#counted = counts;
  }

  #onPeerClosed(reason: string): void {
    if (this.#isClosed) {
      return;
    }
    this.#isClosed = true;
    const { feed, clock, log, peer, onClosed } = this.#options;
    feed.close(reason);
    this.#count();
    log.info('whip.session.closed', {
      reason,
      durationMs: Math.round(clock.nowMs() - this.#openedAtMs),
      connectMs: this.#connectedAtMs === undefined ? null : Math.round(this.#connectedAtMs - this.#openedAtMs),
      path: peer.path?.kind ?? 'none',
      rttMs: Math.round(this.#receiver.rttMs),
      units: this.#unitCount,
      ...this.#counted,
    });
    onClosed(this);
  }
}
