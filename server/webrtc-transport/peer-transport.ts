/**
 * One peer's transport on the shared port: ICE-lite credentials, the address or TCP connection it proved to own, DTLS, the
 * keys, and its liveness. It ends once, with a reason. What travels over it (RTP, RTCP) is the owner's business.
 */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import { Closer } from '../base/closer.ts';
import { ProtocolError } from '../base/errors.ts';
import type { RtcpChannel, RtcpReceiver } from './datagram-reader.ts';
import type { BatchedPeer } from './packet-batch.ts';
import type { Path } from './path.ts';
import type { IceCredentials } from './sdp-offer.ts';
import type { MasterKey } from './srtp.ts';
import { SrtcpContext, SrtpProtector } from './srtp.ts';
import { SrtpOpener } from './srtp-opener.ts';
import type { StunMessage } from './stun.ts';
import { hasValidIntegrity } from './stun.ts';
import type { DtlsFingerprint, SrtpKeys } from './dtls.ts';
import type { DtlsIdentity } from './dtls-handshake.ts';
import { DtlsHandshake } from './dtls-handshake.ts';

export type PeerListener = {
  /** Keys are there and a path is: media may flow. Once. */
  onConnected(): void;
  /** A decrypted RTCP compound. A view that is valid during the call. */
  onRtcp(compound: Buffer): void;
  /** A decrypted RTP packet, the listener's to keep. Left out: none is expected, and what comes is dropped. */
  onRtp?(packet: Buffer): void;
  onClosed(reason: string): void;
};

type OpenChannel = (keys: { local: MasterKey; remote: MasterKey }, receiver: RtcpReceiver) => RtcpChannel | undefined;

export type PeerLimits = {
  /** Without valid STUN or RTCP for this long, the peer is gone (RFC 7675 in spirit: a lite agent sends no checks of its own). */
  readonly livenessMaxMs: number;
  readonly connectMaxMs: number;
};

const PATH_MAX_COUNT = 8;

export class PeerTransport {
  readonly #clock: Clock;
  readonly #limits: PeerLimits;
  readonly #dtls: DtlsHandshake;
  readonly #openedAtMs: number;
  readonly #paths = new Map<string, Path>();
  readonly #closer = new Closer();
  readonly #openBatched: ((key: MasterKey) => BatchedPeer | undefined) | undefined;
  readonly #openChannel: OpenChannel | undefined;
  readonly #onEnded: (peer: PeerTransport, pathKeys: readonly string[]) => void;
  #listener: PeerListener | undefined;
  #credentials: IceCredentials;
  #credentialsBefore: IceCredentials | undefined;
  #path: Path | undefined;
  #lastHeardAtMs: number;
  #connectedAtMs: number | undefined;
  /** Of what leaves; from the end of the handshake on. */
  #localKey: MasterKey | undefined;
  #protector: SrtpProtector | undefined;
  #batched: BatchedPeer | undefined;
  #rtcpOut: Pick<SrtcpContext, 'protect'> | undefined;
  #rtcpIn: { unprotect(datagram: Buffer): Buffer | undefined } | undefined;
  /** Both of these, where the port has a native back end that knows the peer's cipher. */
  #channel: RtcpChannel | undefined;
  /** Only where the owner expects media. */
  #rtpIn: SrtpOpener | undefined;
  #rejectedCount = 0;

  constructor(options: {
    clock: Clock;
    limits: PeerLimits;
    identity: DtlsIdentity;
    remoteFingerprints: readonly DtlsFingerprint[];
    /** Fresh ones when left out. */
    credentials?: IceCredentials | undefined;
    /** Its place in the port's batch, where there is one. */
    openBatched?: ((key: MasterKey) => BatchedPeer | undefined) | undefined;
    /** Who reads its RTCP, where there is one. */
    openChannel?: OpenChannel | undefined;
    /** Told at the end, before the owner, which paths no longer belong to it. */
    onEnded: (peer: PeerTransport, pathKeys: readonly string[]) => void;
  }) {
    this.#clock = options.clock;
    this.#onEnded = options.onEnded;
    this.#openBatched = options.openBatched;
    this.#openChannel = options.openChannel;
    this.#limits = options.limits;
    this.#openedAtMs = options.clock.nowMs();
    this.#lastHeardAtMs = this.#openedAtMs;
    this.#credentials = options.credentials ?? newCredentials();
    this.#dtls = new DtlsHandshake({
      identity: options.identity,
      remoteFingerprints: options.remoteFingerprints,
      listener: {
        onOutgoing: (datagram) => this.#path?.send(datagram, 0, datagram.byteLength),
        onKeys: (keys) => this.#takeKeys(keys),
        onEnd: (reason) => this.close(reason),
      },
    });
  }

  /** Who is told; set once by the owner, before the answer leaves. */
  listen(listener: PeerListener): void {
    this.#listener = listener;
  }

  get credentials(): IceCredentials {
    return this.#credentials;
  }

  /** Fragments under which STUN may ask for this peer: those before a restart stay valid until the new ones are used. */
  get ufrags(): readonly string[] {
    return this.#credentialsBefore === undefined
      ? [this.#credentials.ufrag]
      : [this.#credentials.ufrag, this.#credentialsBefore.ufrag];
  }

  get isConnected(): boolean {
    return this.#connectedAtMs !== undefined && !this.#closer.isClosed;
  }

  get isClosed(): boolean {
    return this.#closer.isClosed;
  }

  /** The path in use: the one the peer nominated last. */
  get path(): Path | undefined {
    return this.#path;
  }

  /** Encrypts outgoing RTP; undefined until connected. */
  get protector(): SrtpProtector | undefined {
    // Whose packets all go by the native back end needs none.
    if (this.#protector === undefined && this.#localKey !== undefined) {
      this.#protector = new SrtpProtector(this.#localKey);
    }
    return this.#protector;
  }

  /** Its number in the port's batch of packets; undefined: what goes over the path in use must be encrypted by `protector` and sent by itself. */
  get batchedId(): number | undefined {
    return this.#path === undefined ? undefined : this.#batched?.towards(this.#path);
  }

  /** Datagrams that failed authentication or made no sense. */
  get rejectedCount(): number {
    return this.#rejectedCount;
  }

  /** New credentials for an ICE restart; media goes on over the old path meanwhile. */
  restartIce(): IceCredentials {
    this.#credentialsBefore = this.#credentials;
    this.#credentials = newCredentials();
    return this.#credentials;
  }

  /** The password that signs the answer, when the request is signed with it too; undefined when it is a stranger's. */
  acceptStun(message: StunMessage, ufrag: string): string | undefined {
    const known = [this.#credentials, this.#credentialsBefore].find((credentials) => credentials?.ufrag === ufrag);
    if (known === undefined || !hasValidIntegrity(message, known.password)) {
      this.#rejectedCount += 1;
      return undefined;
    }
    return known.password;
  }

  /** A path over which the peer proved that it knows the password. Returns the key of a path that had to make room. */
  bindPath(path: Path, isNominated: boolean): string | undefined {
    this.#lastHeardAtMs = this.#clock.nowMs();
    const isNew = !this.#paths.has(path.key);
    const bound = this.#paths.get(path.key) ?? path;
    this.#paths.delete(path.key);
    this.#paths.set(path.key, bound);
    if (isNew) {
      this.#channel?.bind(bound);
    }
    if (this.#path === undefined || isNominated) {
      this.#path = bound;
    }
    this.#connectIfReady();
    return isNew && this.#paths.size > PATH_MAX_COUNT ? this.#dropOldestPath() : undefined;
  }

  /** A TCP connection ended. */
  losePath(key: string): void {
    const lost = this.#paths.get(key);
    if (lost !== undefined) {
      this.#channel?.unbind(lost);
    }
    this.#paths.delete(key);
    if (this.#path?.key === key) {
      this.#path = [...this.#paths.values()].at(-1);
    }
  }

  onDtls(datagram: Buffer): void {
    this.#dtls.onDatagram(datagram, this.#clock.nowMs());
  }

  /** RTP or RTCP, told apart as RFC 5761 4 has it. */
  onMedia(datagram: Buffer): void {
    const type = datagram[1] ?? 0;
    const isRtcp = type >= 192 && type <= 223;
    let plain: Buffer | undefined;
    try {
      plain = isRtcp ? this.#rtcpIn?.unprotect(datagram) : this.#rtpIn?.open(datagram);
    } catch (error) {
      this.#reject(error);
      return;
    }
    if (plain === undefined) {
      this.#rejectedCount += 1;
    } else if (isRtcp) {
      this.#onRtcp(plain);
    } else {
      this.#lastHeardAtMs = this.#clock.nowMs();
      this.#listener?.onRtp?.(plain);
    }
  }

  /** Encrypts and sends a compound RTCP packet; nothing happens before the keys are there. */
  sendRtcp(compound: Buffer): void {
    if (this.#rtcpOut !== undefined && this.#path !== undefined) {
      const datagram = this.#rtcpOut.protect(compound);
      this.#path.send(datagram, 0, datagram.byteLength);
    }
  }

  /** To be called about once a second. */
  checkLiveness(): void {
    const nowMs = this.#clock.nowMs();
    this.#dtls.onTimer(nowMs);
    if (this.#connectedAtMs === undefined && nowMs - this.#openedAtMs > this.#limits.connectMaxMs) {
      this.close('connect_timeout');
    } else if (this.#connectedAtMs !== undefined && nowMs - this.#lastHeardAtMs > this.#limits.livenessMaxMs) {
      this.close('consent_lost');
    }
  }

  /** May be called twice. The listener is told while RTCP can still be sent. */
  close(reason: string): void {
    if (!this.#closer.close(reason)) {
      return;
    }
    this.#onEnded(this, [...this.#paths.keys()]);
    this.#listener?.onClosed(reason);
    this.#batched?.close();
    this.#channel?.close();
    this.#dtls.close();
    for (const path of this.#paths.values()) {
      path.close();
    }
    this.#paths.clear();
    this.#path = undefined;
  }

  #onRtcp(compound: Buffer): void {
    this.#lastHeardAtMs = this.#clock.nowMs();
    this.#listener?.onRtcp(compound);
  }

  #takeKeys(keys: SrtpKeys): void {
    const local = { profile: keys.profile, key: keys.localKey, salt: keys.localSalt };
    this.#localKey = local;
    this.#batched = this.#openBatched?.(local);
    const remote: MasterKey = { profile: keys.profile, key: keys.remoteKey, salt: keys.remoteSalt };
    this.#channel = this.#openChannel?.(
      { local, remote },
      {
        onOpened: (compound) => this.#onRtcp(compound),
        onRefused: () => {
          this.#rejectedCount += 1;
        },
      },
    );
    for (const path of this.#paths.values()) {
      this.#channel?.bind(path);
    }
    this.#rtcpOut = this.#channel ?? new SrtcpContext(local);
    this.#rtcpIn = this.#channel ?? new SrtcpContext(remote);
    this.#rtpIn = this.#listener?.onRtp === undefined ? undefined : new SrtpOpener(remote);
    this.#connectIfReady();
  }

  #connectIfReady(): void {
    if (this.#connectedAtMs === undefined && this.#localKey !== undefined && this.#path !== undefined) {
      this.#connectedAtMs = this.#clock.nowMs();
      this.#listener?.onConnected();
    }
  }

  #dropOldestPath(): string | undefined {
    const oldest = [...this.#paths.values()].find((path) => path !== this.#path);
    if (oldest !== undefined) {
      this.#channel?.unbind(oldest);
      this.#paths.delete(oldest.key);
      oldest.close();
    }
    return oldest?.key;
  }

  #reject(error: unknown): void {
    if (!(error instanceof ProtocolError)) {
      throw error;
    }
    this.#rejectedCount += 1;
  }
}

/** 96 and 192 random bits, in characters that ICE allows. */
export const newCredentials = (): IceCredentials => ({
  ufrag: randomBytes(12).toString('hex'),
  password: randomBytes(24).toString('hex'),
});
