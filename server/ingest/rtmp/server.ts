/** The RTMP door: a TCP listener, who may connect, and the clock tick that all sessions share. */
import type { AddressInfo, Server, Socket } from 'node:net';
import { createServer } from 'node:net';
import type { Clock } from '../../base/clock.ts';
import { WorldError, messageOf } from '../../base/errors.ts';
import { ErrorTally } from '../../observability/error-tally.ts';
import type { Log } from '../../observability/log.ts';
import type { Metrics } from '../../observability/metrics.ts';
import type { DoctorFinding } from '../finding.ts';
import type { PublishGate } from '../publish-gate.ts';
import { ByteBudget } from './byte-budget.ts';
import type { OnFindings, RtmpServerOptions } from './options.ts';
import { DEFAULT_RTMP_OPTIONS } from './options.ts';
import { Refusals } from './refusals.ts';
import type { RtmpMetrics } from './rtmp-metrics.ts';
import { createRtmpMetrics } from './rtmp-metrics.ts';
import { RtmpSession } from './session.ts';

export class RtmpServer {
  readonly #options: RtmpServerOptions;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #gate: PublishGate;
  readonly #onFindings: OnFindings;
  readonly #budget: ByteBudget;
  readonly #metrics: RtmpMetrics;
  readonly #tally: ErrorTally;
  readonly #sessions = new Set<RtmpSession>();
  readonly #sockets = new Set<Socket>();
  readonly #refusals = new Refusals();
  #server: Server | undefined;
  #ticker: NodeJS.Timeout | undefined;

  constructor(dependencies: {
    options?: Partial<RtmpServerOptions>;
    gate: PublishGate;
    clock: Clock;
    log: Log;
    metrics: Metrics;
    /** Told when a publisher's findings change, and with what is left of them (nothing, or why it was turned away) when it is gone. */
    onFindings?: OnFindings;
  }) {
    this.#options = { ...DEFAULT_RTMP_OPTIONS, ...dependencies.options };
    this.#gate = dependencies.gate;
    this.#clock = dependencies.clock;
    this.#log = dependencies.log;
    this.#onFindings = dependencies.onFindings ?? ((): void => undefined);
    this.#budget = new ByteBudget(this.#options.totalBufferedMaxBytes);
    this.#metrics = createRtmpMetrics(dependencies.metrics);
    this.#tally = new ErrorTally({ log: this.#log, clock: this.#clock, event: 'rtmp.refused' });
    dependencies.metrics.observedGauge(
      'rtmp_buffered_bytes',
      'Half-received RTMP messages in memory',
      () => this.#budget.usedBytes,
    );
  }

  /** The port it listens on; 0 before `listen`. */
  get port(): number {
    const address = this.#server?.address();
    return typeof address === 'object' && address !== null ? (address satisfies AddressInfo).port : 0;
  }

  get sessionCount(): number {
    return this.#sessions.size;
  }

  get bufferedBytes(): number {
    return this.#budget.usedBytes;
  }

  /** Why whoever published `name` was turned away within the last minute; and what the doctor says of who publishes it now. Worst first. */
  findings(name: string): readonly DoctorFinding[] {
    const session = [...this.#sessions].findLast((one) => one.publishedName === name);
    return [...this.#refusals.of(name, this.#clock.nowMs()), ...(session?.findings ?? [])];
  }

  /** Throws `WorldError` `RTMP_LISTEN_FAILED`. */
  async listen(): Promise<void> {
    const server = createServer({ noDelay: true, keepAlive: true, allowHalfOpen: true }, (socket) =>
      this.#onSocket(socket),
    );
    this.#server = server;
    const { host, port } = this.#options;
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => reject(new WorldError('RTMP_LISTEN_FAILED', messageOf(error), error)));
      server.listen({ host, port }, resolve);
    });
    server.removeAllListeners('error');
    server.on('error', (error) => this.#log.error('rtmp.server.failed', { error: messageOf(error) }));
    this.#ticker = setInterval(() => this.#tick(), this.#options.tickEveryMs);
    this.#log.info('rtmp.server.listening', { host, port: this.port });
  }

  /** Takes nobody any more and ends every session with `reason`. Resolves when all sockets are gone. May be called twice. */
  async close(reason: string): Promise<void> {
    clearInterval(this.#ticker);
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) {
      return;
    }
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const session of [...this.#sessions]) {
      session.close(reason);
    }
    await closed;
  }

  #tick(): void {
    const nowMs = this.#clock.nowMs();
    for (const session of [...this.#sessions]) {
      session.tick(nowMs);
    }
  }

  /** Sockets are counted, not sessions: one that lingers after a refusal still costs a descriptor. */
  #onSocket(socket: Socket): void {
    const { connectionMaxCount, connectionPerAddressMaxCount } = this.#options;
    const address = socket.remoteAddress ?? 'unknown';
    const fromAddressCount = [...this.#sockets].filter((other) => other.remoteAddress === address).length;
    if (this.#sockets.size >= connectionMaxCount || fromAddressCount >= connectionPerAddressMaxCount) {
      const code = this.#sockets.size >= connectionMaxCount ? 'RTMP_TOO_MANY' : 'RTMP_TOO_MANY_FROM_ADDRESS';
      this.#metrics.refused(code);
      this.#tally.add(code);
      socket.on('error', () => socket.destroy());
      socket.resetAndDestroy();
      return;
    }
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    this.#metrics.opened();
    const session = new RtmpSession(socket, {
      options: this.#options,
      clock: this.#clock,
      log: this.#log,
      gate: this.#gate,
      budget: this.#budget,
      metrics: this.#metrics,
      tally: this.#tally,
      onFindings: this.#onFindings,
      onClosed: (closed) => this.#onClosed(closed),
    });
    this.#sessions.add(session);
  }

  #onClosed(session: RtmpSession): void {
    this.#sessions.delete(session);
    const name = session.publishedName;
    if (name !== undefined && session.refusal !== undefined) {
      this.#refusals.note(name, session.refusal, this.#clock.nowMs());
    }
    if (name !== undefined && ![...this.#sessions].some((other) => other.publishedName === name)) {
      this.#onFindings(name, this.findings(name));
    }
  }
}
