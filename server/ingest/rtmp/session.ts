/** One RTMP connection, one lifetime: bytes into `GuardedRtmp`, its media through the demuxer to the feed, one line at the end. */
import type { Socket } from 'node:net';
import type { Clock } from '../../base/clock.ts';
import { Closer } from '../../base/closer.ts';
import { ProtocolError, messageOf } from '../../base/errors.ts';
import type { FlvTagType } from '../../media/flv/flv-tag.ts';
import { FlvDemuxer } from '../../media/flv/flv-demuxer.ts';
import type { PublisherFeed } from '../../media/stream-source.ts';
import { ErrorTally } from '../../observability/error-tally.ts';
import type { Log } from '../../observability/log.ts';
import type { DoctorFinding } from '../finding.ts';
import { Doctor } from '../doctor.ts';
import type { PublishGate, PublishVerdict } from '../publish-gate.ts';
import type { ByteBudget } from './byte-budget.ts';
import { GuardedRtmp } from './guarded-rtmp.ts';
import type { OnFindings, RtmpServerOptions } from './options.ts';
import type { RtmpMetrics } from './rtmp-metrics.ts';
import { statusFor } from './statuses.ts';

export type RtmpSessionContext = {
  readonly options: RtmpServerOptions;
  readonly clock: Clock;
  readonly log: Log;
  readonly gate: PublishGate;
  readonly budget: ByteBudget;
  readonly metrics: RtmpMetrics;
  readonly tally: ErrorTally;
  readonly onFindings: OnFindings;
  readonly onClosed: (session: RtmpSession) => void;
};

export class RtmpSession {
  readonly remoteAddress: string;
  readonly #socket: Socket;
  readonly #context: RtmpSessionContext;
  readonly #rtmp: GuardedRtmp;
  readonly #closer = new Closer();
  readonly #openedAtMs: number;
  #log: Log;
  #pending: Buffer | undefined;
  #name: string | undefined;
  #feed: PublisherFeed | undefined;
  #demuxer: FlvDemuxer | undefined;
  #doctor: Doctor | undefined;
  /** Of pictures that could not be read. */
  #brokenTally: ErrorTally | undefined;
  #refusal: { readonly code: string; readonly detail: string } | undefined;
  #lastMediaAtMs = 0;
  #unitCount = 0;
  #droppedCount = 0;

  constructor(socket: Socket, context: RtmpSessionContext) {
    this.#socket = socket;
    this.#context = context;
    // An IPv4 peer on an IPv6 listener is the same peer.
    this.remoteAddress = (socket.remoteAddress ?? 'unknown').replace(/^::ffff:/u, '');
    this.#openedAtMs = context.clock.nowMs();
    this.#log = context.log.child({ remoteAddress: this.remoteAddress });
    this.#rtmp = new GuardedRtmp({
      limits: context.options,
      budget: context.budget,
      listener: {
        onOutput: (bytes) => this.#write(bytes),
        onPublishAsked: (request) => this.#onPublishAsked(request),
        onMedia: (tag) => this.#onMedia(tag),
        onUnpublish: () => this.close('unpublished'),
      },
    });
    this.#closer.own(() => this.#rtmp.close());
    socket.on('data', (bytes) => this.#onBytes(bytes));
    socket.on('end', () => this.close('peer_ended'));
    socket.on('error', (error: NodeJS.ErrnoException) => this.close(`socket_${(error.code ?? 'error').toLowerCase()}`));
    socket.on('close', () => this.close('peer_closed'));
    this.#log.debug('rtmp.session.accepted');
  }

  /** The name it publishes under, once accepted. */
  get publishedName(): string | undefined {
    return this.#feed === undefined ? undefined : this.#name;
  }

  get findings(): readonly DoctorFinding[] {
    return this.#doctor?.findings ?? [];
  }

  /** Why this server hung up; undefined when it did not. */
  get refusal(): { readonly code: string; readonly detail: string } | undefined {
    return this.#refusal;
  }

  get isClosed(): boolean {
    return this.#closer.isClosed;
  }

  /** To be called every `tickEveryMs`: time-outs, and the doctor's opinion. */
  tick(nowMs: number): void {
    const { handshakeTimeoutMs, publishTimeoutMs, idleTimeoutMs } = this.#context.options;
    const ageMs = nowMs - this.#openedAtMs;
    if (this.#rtmp.phase === 'publishing') {
      this.#consultDoctor(nowMs);
      if (nowMs - this.#lastMediaAtMs > idleTimeoutMs) {
        this.#refuse('RTMP_IDLE', `no media for ${idleTimeoutMs} ms`);
      }
    } else if (this.#rtmp.phase === 'handshake' && ageMs > handshakeTimeoutMs) {
      this.#refuse('RTMP_HANDSHAKE_TIMEOUT', `no handshake within ${handshakeTimeoutMs} ms`);
    } else if (ageMs > publishTimeoutMs) {
      this.#refuse('RTMP_PUBLISH_TIMEOUT', `no publish within ${publishTimeoutMs} ms`);
    }
  }

  /** Ends it. May be called twice; the first reason counts. */
  close(reason: string): void {
    this.#end(reason, `ended by the server: ${reason}`);
  }

  #refuse(code: string, detail: string): void {
    if (!this.#closer.isClosed) {
      this.#context.metrics.refused(code);
      this.#context.tally.add(code);
      this.#refusal = { code, detail };
      this.#end(code, detail);
    }
  }

  #end(reason: string, detail: string): void {
    if (this.#closer.isClosed) {
      return;
    }
    // The peer is told before its conversation is closed; a dead one does not mind.
    this.#rtmp.turnAway({ status: statusFor(reason), code: reason, detail });
    if (!this.#closer.close(reason)) {
      return;
    }
    this.#pending = undefined;
    this.#feed?.close(reason);
    this.#context.metrics.closed();
    this.#logClosed(reason, detail);
    this.#letGo();
    this.#context.onClosed(this);
  }

  #logClosed(reason: string, detail: string): void {
    const fields = {
      reason,
      detail,
      durationMs: Math.round(this.#context.clock.nowMs() - this.#openedAtMs),
      rxBytes: this.#rtmp.rxBytes,
      units: this.#unitCount,
      dropped: this.#droppedCount,
    };
    // Whoever never came as far as naming a stream is only worth a line when somebody looks; they are tallied and counted.
    if (this.#name === undefined) {
      this.#log.debug('rtmp.session.closed', fields);
    } else {
      this.#log.info('rtmp.session.closed', fields);
    }
  }

  /** The refusal is sent and what still comes is thrown away, for a moment: a reset would take the refusal with it. */
  #letGo(): void {
    const socket = this.#socket;
    if (socket.destroyed) {
      return;
    }
    socket.end();
    socket.resume();
    const timer = setTimeout(() => socket.destroy(), this.#context.options.lingerMs);
    socket.once('close', () => clearTimeout(timer));
  }

  #write(bytes: Buffer): void {
    if (this.#socket.destroyed || this.#closer.isClosed) {
      return;
    }
    this.#socket.write(bytes);
    if (this.#socket.writableLength > this.#context.options.outputBufferedMaxBytes) {
      this.#socket.destroy();
      this.#refuse('RTMP_OUTPUT_FULL', 'answers are not read');
    }
  }

  #onBytes(bytes: Buffer): void {
    if (this.#closer.isClosed) {
      return;
    }
    this.#context.metrics.received(bytes.byteLength);
    this.#pending = this.#pending === undefined ? bytes : Buffer.concat([this.#pending, bytes]);
    this.#takeTurn();
  }

  /** Reads a bounded number of messages; what is left waits for the next turn of the event loop, with the socket paused. */
  #takeTurn(): void {
    const bytes = this.#pending;
    if (bytes === undefined || this.#closer.isClosed) {
      return;
    }
    this.#guard(() => {
      const usedBytes = this.#rtmp.feed(bytes, this.#context.options.turnMessageMaxCount);
      this.#pending = usedBytes < bytes.byteLength ? bytes.subarray(usedBytes) : undefined;
    });
    if (this.#closer.isClosed) {
      return;
    }
    if (this.#rtmp.phase === 'asking') {
      this.#socket.pause();
    } else if (this.#pending === undefined) {
      this.#socket.resume();
    } else {
      this.#socket.pause();
      setImmediate(() => this.#takeTurn());
    }
  }

  /** The peer's mistakes and ours end this session, never the process. */
  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (error instanceof ProtocolError) {
        this.#refuse(error.code, error.detail);
      } else {
        this.#log.error('rtmp.session.failed', {
          error: messageOf(error),
          stack: error instanceof Error ? error.stack : '',
        });
        this.#refuse('RTMP_INTERNAL', 'the server made a mistake');
      }
    }
  }

  #onPublishAsked(request: { readonly name: string; readonly key: string | undefined }): void {
    this.#name = request.name;
    this.#log = this.#log.child({ broadcast: request.name });
    void this.#ask(request).then((verdict) => this.#guard(() => this.#onVerdict(verdict)));
  }

  async #ask(request: { readonly name: string; readonly key: string | undefined }): Promise<PublishVerdict> {
    try {
      return await this.#context.gate({
        protocol: 'rtmp',
        name: request.name,
        key: request.key,
        remoteAddress: this.remoteAddress,
        close: (reason) => this.close(reason),
      });
    } catch (error) {
      this.#log.error('rtmp.gate.failed', { error: messageOf(error) });
      return { ok: false, code: 'PUBLISH_CHECK_FAILED', detail: 'the server could not check the key; try again' };
    }
  }

  #onVerdict(verdict: PublishVerdict): void {
    if (!verdict.ok) {
      this.#refuse(verdict.code, verdict.detail);
      return;
    }
    if (this.#closer.isClosed) {
      verdict.feed.close(this.#closer.reason ?? 'closed');
      return;
    }
    const { clock } = this.#context;
    const nowMs = clock.nowMs();
    this.#feed = verdict.feed;
    this.#demuxer = new FlvDemuxer();
    this.#doctor = new Doctor({ startedAtMs: nowMs });
    this.#brokenTally = new ErrorTally({ log: this.#log, clock, event: 'rtmp.publisher.broken' });
    this.#lastMediaAtMs = nowMs;
    this.#rtmp.acceptPublish();
    this.#log.info('rtmp.session.opened', { encoder: this.#rtmp.encoderName });
    this.#takeTurn();
    this.#socket.resume();
  }

  #onMedia(tag: { readonly type: FlvTagType; readonly timestampTs32: number; readonly body: Buffer }): void {
    if (this.#demuxer === undefined || this.#feed === undefined) {
      return;
    }
    const { clock } = this.#context;
    const arrivedAtMs = clock.nowMs();
    this.#lastMediaAtMs = arrivedAtMs;
    const demuxed = this.#demuxer.push({ ...tag, arrivedAtMs, arrivedAtWallMs: clock.wallMs() });
    if (demuxed.type === 'unit') {
      this.#unitCount += 1;
      this.#doctor?.onUnit(demuxed.unit);
      this.#feed.push(demuxed.unit);
    } else if (demuxed.type === 'metadata') {
      this.#doctor?.onMetadata(demuxed.values);
    } else if (demuxed.type === 'dropped') {
      this.#droppedCount += 1;
      this.#context.metrics.dropped(demuxed.reason);
      if (demuxed.fault !== undefined) {
        this.#brokenTally?.add(demuxed.fault.code);
      }
    }
  }

  #consultDoctor(nowMs: number): void {
    if (this.#doctor?.evaluate(nowMs) === true && this.#name !== undefined) {
      const { findings } = this.#doctor;
      this.#log.info('rtmp.publisher.findings', { findings });
      this.#context.onFindings(this.#name, findings);
    }
  }
}
