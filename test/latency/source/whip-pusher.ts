/**
 * A WHIP publisher (RFC 9725) for encoders that speak RTP: offers H.264 (packetization mode 1) and Opus, takes their packets on loopback
 * UDP and sends them on by werift. PLI is not answered (there is a keyframe each GOP), NACK is. werift's own sender reports carry a
 * wrong NTP fraction and the time of sending; here they say when the source's picture or sound was made, on one clock for both.
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { MediaStreamTrack, RTCPeerConnection, RtcpSrPacket, RtpPacket, useH264, useOPUS } from 'werift';
import { systemClock } from '../../../server/base/clock.ts';
import { within } from '../../support/wait.ts';

const VIDEO_PAYLOAD_TYPE = 96;
const AUDIO_PAYLOAD_TYPE = 97;
const VIDEO_CLOCK_HZ = 90_000;
const AUDIO_CLOCK_HZ = 48_000;
const CONNECT_MAX_MS = 10_000;
/** A keyframe at 1080p leaves ffmpeg at once. */
const RECEIVE_BUFFER_BYTES = 4 * 2 ** 20;
/** Room for SRTP and header extensions in what any path carries. */
const PACKET_MAX_BYTES = 1_200;
const UNIX_TO_NTP_S = 2_208_988_800;

export type WhipPusher = {
  /** ffmpeg's output addresses. */
  readonly videoUrl: string;
  readonly audioUrl: string | undefined;
  /** When the encoder's time 0 was. Sender reports are told from here on. */
  begin(startAtWallMs: number): void;
  /** Deletes the resource. May be called twice. */
  close(): Promise<void>;
};

type Lane = {
  readonly track: MediaStreamTrack;
  readonly clockHz: number;
  readonly socket: Socket;
  firstTs32: number | undefined;
  lastTs32: number;
};

/** Rejects with the server's words when it refuses, and when no connection comes about within 10 s. */
export const startWhipPusher = async (options: { url: string; withSound: boolean }): Promise<WhipPusher> => {
  const peer = new RTCPeerConnection({
    codecs: {
      video: [useH264({ payloadType: VIDEO_PAYLOAD_TYPE })],
      audio: [useOPUS({ payloadType: AUDIO_PAYLOAD_TYPE })],
    },
    bundlePolicy: 'max-bundle',
    iceServers: [],
  });
  const lanes = [await openLane('video', VIDEO_CLOCK_HZ)];
  if (options.withSound) {
    lanes.push(await openLane('audio', AUDIO_CLOCK_HZ));
  }
  const pusher = new Pusher(peer, lanes);
  try {
    await pusher.connect(options.url);
    return pusher;
  } catch (error) {
    await pusher.close();
    throw error;
  }
};

const openLane = async (kind: 'video' | 'audio', clockHz: number): Promise<Lane> => {
  const socket = createSocket({ type: 'udp4', recvBufferSize: RECEIVE_BUFFER_BYTES });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return { track: new MediaStreamTrack({ kind }), clockHz, socket, firstTs32: undefined, lastTs32: 0 };
};

class Pusher implements WhipPusher {
  readonly #peer: RTCPeerConnection;
  readonly #lanes: readonly Lane[];
  readonly #laneOfSsrc = new Map<number, Lane>();
  #resourceUrl: string | undefined;
  #startAtWallMs: number | undefined;
  #isClosed = false;

  constructor(peer: RTCPeerConnection, lanes: readonly Lane[]) {
    this.#peer = peer;
    this.#lanes = lanes;
    for (const lane of lanes) {
      lane.socket.on('message', (datagram) => this.#forward(lane, datagram));
    }
  }

  get videoUrl(): string {
    return toRtpUrl(this.#lanes[0]!);
  }

  get audioUrl(): string | undefined {
    const lane = this.#lanes[1];
    return lane === undefined ? undefined : toRtpUrl(lane);
  }

  async connect(url: string): Promise<void> {
    for (const lane of this.#lanes) {
      const { sender } = this.#peer.addTransceiver(lane.track, { direction: 'sendonly' });
      this.#laneOfSsrc.set(sender.ssrc, lane);
    }
    await this.#peer.setLocalDescription(await this.#peer.createOffer());
    await within(CONNECT_MAX_MS, 'ICE gathers', () => this.#peer.iceGatheringState === 'complete');
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/sdp' },
      body: this.#peer.localDescription!.sdp,
    });
    const text = await response.text();
    if (response.status !== 201) {
      throw new Error(`WHIP answered ${response.status}: ${text}`);
    }
    const location = response.headers.get('location');
    this.#resourceUrl = location === null ? undefined : new URL(location, url).href;
    await this.#peer.setRemoteDescription({ type: 'answer', sdp: text });
    this.#correctReports();
    await within(CONNECT_MAX_MS, 'WHIP connects', () => this.#peer.connectionState === 'connected');
  }

  begin(startAtWallMs: number): void {
    this.#startAtWallMs = startAtWallMs;
  }

  async close(): Promise<void> {
    if (this.#isClosed) {
      return;
    }
    this.#isClosed = true;
    for (const lane of this.#lanes) {
      lane.socket.close();
    }
    if (this.#resourceUrl !== undefined) {
      await fetch(this.#resourceUrl, { method: 'DELETE' }).catch(() => undefined);
    }
    await this.#peer.close();
  }

  #forward(lane: Lane, datagram: Buffer): void {
    const packet = RtpPacket.deSerialize(datagram);
    lane.firstTs32 ??= packet.header.timestamp;
    lane.lastTs32 = packet.header.timestamp;
    lane.track.writeRtp(packet);
  }

  #correctReports(): void {
    for (const { sender } of this.#peer.getTransceivers()) {
      const transport = sender.dtlsTransport;
      const send = transport.sendRtcp.bind(transport);
      transport.sendRtcp = async (packets) => {
        for (const packet of packets) {
          if (packet instanceof RtcpSrPacket) {
            this.#correct(packet);
          }
        }
        return send(packets);
      };
    }
  }

  /** Both encoders began at one instant; so their first time stamps name it. */
  #correct(report: RtcpSrPacket): void {
    const lane = this.#laneOfSsrc.get(report.ssrc);
    if (lane?.firstTs32 === undefined) {
      return;
    }
    const startAtWallMs = this.#startAtWallMs ?? systemClock.wallMs();
    const elapsedMs = (((lane.lastTs32 - lane.firstTs32) >>> 0) * 1000) / lane.clockHz;
    report.senderInfo.ntpTimestamp = toNtp(startAtWallMs + elapsedMs);
    report.senderInfo.rtpTimestamp = lane.lastTs32;
  }
}

/** 32 bits of seconds since 1900, 32 bits of their fraction (RFC 5905, 6). */
const toNtp = (wallMs: number): bigint => {
  const seconds = Math.floor(wallMs / 1000);
  const fraction = Math.floor(((wallMs - seconds * 1000) / 1000) * 2 ** 32);
  return (BigInt(seconds + UNIX_TO_NTP_S) << 32n) | BigInt(fraction);
};

const toRtpUrl = (lane: Lane): string => `rtp://127.0.0.1:${lane.socket.address().port}?pkt_size=${PACKET_MAX_BYTES}`;
