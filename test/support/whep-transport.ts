/**
 * What every WHEP receiver of ours shares: offer, answer, ICE as the controlling agent (lite and full peers), DTLS in whichever role the
 * answer leaves us, and the keys. Media passes through as it came: what a packet means is its owner's business.
 */
import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { isIP, isIPv6 } from 'node:net';
import { WorldError } from '../../server/base/errors.ts';
import { loadNative } from '../../server/native/native.ts';
import type { HttpAnswer } from '../../server/base/http-exchange.ts';
import { parseSdpOffer, type SdpOffer } from '../../server/webrtc-transport/sdp-offer.ts';
import {
  buildBindingRequest,
  buildBindingSuccess,
  hasValidIntegrity,
  isStun,
  parseStun,
  STUN_BINDING_REQUEST,
  STUN_BINDING_SUCCESS,
} from '../../server/webrtc-transport/stun.ts';
import type { SrtpKeys } from '../../server/webrtc-transport/dtls.ts';
import {
  createDtlsIdentity,
  DtlsHandshake,
  type DtlsIdentity,
  type DtlsListener,
} from '../../server/webrtc-transport/dtls-handshake.ts';
import { DtlsClientHandshake } from './dtls-client.ts';

const CONNECT_MAX_MS = 15_000;
/** Chrome's pace while nothing was answered. */
const CHECK_EVERY_MS = 50;
/** Chrome's pace afterwards; RFC 7675 wants 5 s. */
const CONSENT_EVERY_MS = 2_500;
const CHECK_PENDING_MAX_COUNT = 16;
const RTT_SMOOTHING = 1 / 8;
const RECEIVE_BUFFER_BYTES = 1_048_576;
/** RFC 8445 5.1.2.1: a peer-reflexive candidate. */
const PRIORITY_REFLEXIVE = 110 * 2 ** 24 + 65_535 * 2 ** 8 + 255;

export type WhepTransportOptions = {
  /** Writes the offer around what is ours of it. */
  readonly offer: (own: { ufrag: string; password: string; fingerprint: string }) => string;
  /** Posts it; the answer of the endpoint. */
  readonly post: (offer: string) => Promise<HttpAnswer>;
  /** Where media comes from, whatever the answer's candidates say: only their port counts then. Without it, the first candidate. */
  readonly mediaHost?: string;
  /** OpenSSL shakes hands where there is a native back end, for crowds: a tenth of the CPU. Without it werift, a second opinion on ours. */
  readonly isCrowd?: boolean;
  /** SRTP protection profiles offered (not of a crowd), best first: 7 is AEAD_AES_128_GCM, 1 is AES_CM_128_HMAC_SHA1_80. */
  readonly srtpProfiles?: readonly number[];
  /** Reads the socket in our place; see test/latency/load/crowd-reader.ts. What ends it; undefined: it cannot. */
  readonly readBy?: (socket: Socket, onDatagram: (datagram: Buffer, atMs: number) => void) => (() => void) | undefined;
  /** RTP and RTCP, still protected; may come before the keys. `atMs`: when it came. */
  readonly onMedia: (datagram: Buffer, atMs: number) => void;
  /** The peer ended DTLS. */
  readonly onEnd?: (reason: string) => void;
};

/** How long each stage took. */
export type WhepStages = { readonly answerMs: number; readonly iceMs: number; readonly dtlsMs: number };

const DTLS_TIMER_EVERY_MS = 500;

/** Certificates: one of the crowd's, one of all others'. */
const identities = new Map<boolean, Promise<DtlsIdentity>>();

const identityOf = async (isCrowd: boolean): Promise<DtlsIdentity> => {
  const identity = identities.get(isCrowd) ?? createDtlsIdentity(isCrowd ? loadNative().native?.dtls : undefined);
  identities.set(isCrowd, identity);
  return identity;
};

export class WhepTransport {
  /** As it came. */
  readonly answer: HttpAnswer;
  readonly answerSdp: string;
  /** Read by the server's own reader: an answer has the same lines. */
  readonly description: SdpOffer;
  readonly #options: WhepTransportOptions;
  readonly #own: { readonly ufrag: string; readonly password: string };
  readonly #socket: Socket;
  readonly #tieBreaker = randomBytes(8);
  readonly #pendingChecks = new Map<string, number>();
  /** Whom the socket is connected to: nobody else is heard. */
  #peer: { readonly address: string; readonly port: number } = { address: '', port: 0 };
  #endReading: (() => void) | undefined;
  #onReachable: () => void = () => undefined;
  #dtls: DtlsClientHandshake | DtlsHandshake | undefined;
  /** DTLS that came before ICE was done with: the peer may see us first. */
  readonly #earlyDtls: Buffer[] = [];
  #checks: NodeJS.Timeout | undefined;
  #dtlsTimer: NodeJS.Timeout | undefined;
  #keys: SrtpKeys | undefined;
  #rttMs: number | undefined;
  #heardAtMs = performance.now();
  #isClosed = false;
  #stages: WhepStages = { answerMs: 0, iceMs: 0, dtlsMs: 0 };

  private constructor(
    options: WhepTransportOptions,
    own: { readonly ufrag: string; readonly password: string },
    answer: HttpAnswer,
  ) {
    this.#options = options;
    this.#own = own;
    this.answer = answer;
    this.answerSdp = String(answer.body);
    this.description = parseSdpOffer(this.answerSdp);
    const family = isIPv6(options.mediaHost ?? '') ? 'udp6' : 'udp4';
    this.#socket = createSocket({ type: family, recvBufferSize: RECEIVE_BUFFER_BYTES });
    // A refused datagram is the peer's absence, which consent tells.
    this.#socket.on('error', () => undefined);
    this.#socket.on('message', (datagram) => this.#onDatagram(datagram, performance.now()));
  }

  /**
   * Resolves once DTLS is done. Rejects with `WorldError`: `ANSWER_<status>`, `ANSWER_UNREADABLE`, `NO_UDP_CANDIDATE`, `ICE_TIMEOUT`,
   * `DTLS_TIMEOUT`, `DTLS_FAILED`; or as `post` does. What was opened is closed then.
   */
  static async connect(options: WhepTransportOptions): Promise<WhepTransport> {
    const identity = await identityOf(options.isCrowd === true);
    const own = { ufrag: randomBytes(4).toString('hex'), password: randomBytes(16).toString('hex') };
    const startedAtMs = performance.now();
    const answer = await options.post(options.offer({ ...own, fingerprint: identity.fingerprint }));
    if (answer.status !== 201) {
      throw new WorldError(`ANSWER_${answer.status}`, String(answer.body ?? '').slice(0, 200));
    }
    const answeredAtMs = performance.now();
    let transport: WhepTransport;
    try {
      transport = new WhepTransport(options, own, answer);
    } catch (error) {
      throw new WorldError('ANSWER_UNREADABLE', String(error), error);
    }
    try {
      await transport.#reach();
      const reachedAtMs = performance.now();
      await transport.#secure(identity);
      transport.#stages = {
        answerMs: answeredAtMs - startedAtMs,
        iceMs: reachedAtMs - answeredAtMs,
        dtlsMs: performance.now() - reachedAtMs,
      };
      return transport;
    } catch (error) {
      transport.close();
      throw error;
    }
  }

  get stages(): WhepStages {
    return this.#stages;
  }

  get keys(): SrtpKeys {
    return this.#keys!;
  }

  /** Smoothed, from connectivity checks; undefined before the first. */
  get rttMs(): number | undefined {
    return this.#rttMs;
  }

  /** Since anything came from the peer. */
  get silentMs(): number {
    return performance.now() - this.#heardAtMs;
  }

  /** Our own UDP port. */
  get localPort(): number {
    return this.#isClosed ? 0 : this.#socket.address().port;
  }

  send(datagram: Buffer): void {
    if (!this.#isClosed) {
      this.#socket.send(datagram);
    }
  }

  /** No consent is given any more: as a machine that lost its network. */
  fallSilent(): void {
    clearInterval(this.#checks);
  }

  /** Says nothing to the peer. May be called twice. */
  close(): void {
    if (!this.#isClosed) {
      this.#isClosed = true;
      clearInterval(this.#checks);
      clearInterval(this.#dtlsTimer);
      this.#dtls?.close();
      this.#endReading?.();
      this.#socket.close();
    }
  }

  async #reach(): Promise<void> {
    const peer = await this.#peerAddress();
    this.#peer = peer;
    await new Promise<void>((resolve) => {
      this.#socket.connect(peer.port, peer.address, resolve);
    });
    this.#endReading = this.#options.readBy?.(this.#socket, (datagram, atMs) => this.#onDatagram(datagram, atMs));
    const reached = new Promise<void>((resolve) => {
      this.#onReachable = resolve;
    });
    this.#check();
    this.#checks = setInterval(() => this.#check(), CHECK_EVERY_MS);
    await beforeDeadline(reached, 'ICE_TIMEOUT', `no answer from ${peer.address}:${peer.port}`);
    clearInterval(this.#checks);
    this.#checks = setInterval(() => this.#check(), CONSENT_EVERY_MS);
  }

  /** Of the candidates, one at the host that was named; or the port of the first of them there. */
  async #peerAddress(): Promise<{ address: string; port: number }> {
    const { mediaHost } = this.#options;
    const host = mediaHost === undefined || isIP(mediaHost) !== 0 ? mediaHost : (await lookup(mediaHost, 4)).address;
    const candidates = [...this.answerSdp.matchAll(/^a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ/gimu)];
    const chosen = candidates.find(([, address]) => address === host) ?? candidates[0];
    if (chosen === undefined) {
      throw new WorldError('NO_UDP_CANDIDATE', 'the answer names no UDP candidate');
    }
    return { address: host ?? chosen[1]!, port: Number(chosen[2]) };
  }

  async #secure(identity: DtlsIdentity): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<SrtpKeys>();
    const listener: DtlsListener = {
      onOutgoing: (datagram) => this.send(datagram),
      onKeys: resolve,
      onEnd: (reason) => {
        reject(new WorldError('DTLS_FAILED', reason));
        this.#options.onEnd?.(reason);
      },
    };
    const options = { identity, remoteFingerprints: this.description.fingerprints, listener };
    if (this.description.setup === 'active') {
      this.#dtls = new DtlsHandshake(options);
    } else if (identity.native === undefined) {
      const client = new DtlsClientHandshake({ ...options, srtpProfiles: this.#options.srtpProfiles });
      this.#dtls = client;
      client.start();
    } else {
      const client = new DtlsHandshake({ ...options, role: 'client' });
      this.#dtls = client;
      this.#dtlsTimer = setInterval(() => client.onTimer(performance.now()), DTLS_TIMER_EVERY_MS);
      client.start(performance.now());
    }
    this.#earlyDtls.splice(0).forEach((datagram) => this.#dtls?.onDatagram(datagram, performance.now()));
    this.#keys = await beforeDeadline(promise, 'DTLS_TIMEOUT', 'the handshake was not done');
    clearInterval(this.#dtlsTimer);
  }

  #check(): void {
    const transactionId = randomBytes(12);
    const { ufrag, password } = this.description.ice;
    if (this.#pendingChecks.size >= CHECK_PENDING_MAX_COUNT) {
      this.#pendingChecks.clear();
    }
    this.#pendingChecks.set(transactionId.toString('hex'), performance.now());
    this.send(
      buildBindingRequest({
        ...{ transactionId, username: `${ufrag}:${this.#own.ufrag}`, password, hasUseCandidate: true },
        controlling: { tieBreaker: this.#tieBreaker, priority: PRIORITY_REFLEXIVE },
      }),
    );
  }

  #onDatagram(datagram: Buffer, atMs: number): void {
    this.#heardAtMs = atMs;
    const first = datagram[0] ?? 0;
    if (first >= 128 && first < 192) {
      this.#options.onMedia(datagram, atMs);
    } else if (first >= 20 && first < 64) {
      this.#onDtls(datagram);
    } else if (isStun(datagram)) {
      this.#onStun(datagram, atMs);
    }
  }

  #onDtls(datagram: Buffer): void {
    const own = Buffer.from(datagram);
    if (this.#dtls !== undefined) {
      this.#dtls.onDatagram(own, performance.now());
    } else if (this.#earlyDtls.length < CHECK_PENDING_MAX_COUNT) {
      this.#earlyDtls.push(own);
    }
  }

  #onStun(datagram: Buffer, atMs: number): void {
    const message = parseStun(datagram);
    if (message.type === STUN_BINDING_REQUEST && hasValidIntegrity(message, this.#own.password)) {
      this.send(buildBindingSuccess(message, { ...this.#peer, password: this.#own.password }));
      return;
    }
    const key = Buffer.from(message.transactionId).toString('hex');
    const sentAtMs = this.#pendingChecks.get(key);
    if (
      message.type === STUN_BINDING_SUCCESS &&
      sentAtMs !== undefined &&
      hasValidIntegrity(message, this.description.ice.password)
    ) {
      this.#pendingChecks.delete(key);
      const rttMs = atMs - sentAtMs;
      this.#rttMs = this.#rttMs === undefined ? rttMs : this.#rttMs + RTT_SMOOTHING * (rttMs - this.#rttMs);
      this.#onReachable();
    }
  }
}

const beforeDeadline = async <T>(promise: Promise<T>, code: string, detail: string): Promise<T> => {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new WorldError(code, `${detail} in ${CONNECT_MAX_MS} ms`)), CONNECT_MAX_MS);
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
};
