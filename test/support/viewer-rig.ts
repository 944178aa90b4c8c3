/** One viewer's video flow in virtual time, with a controller that records what it is told and a socket that is a list. */
import type { Decision, SentPacket, SentPicture } from '../../server/congestion/controller.ts';
import type { AccessUnitSource } from '../../server/media/stream-source.ts';
import { Metrics } from '../../server/observability/metrics.ts';
import { FixedController } from '../../server/relay/webrtc/fixed-controller.ts';
import type { MediaSender } from '../../server/relay/webrtc/media-sender.ts';
import { OutMetrics } from '../../server/relay/webrtc/out-metrics.ts';
import { OutgoingStream } from '../../server/relay/webrtc/outgoing-stream.ts';
import { PacketOutlet } from '../../server/relay/webrtc/packet-outlet.ts';
import type { PacketisedFrame, PacketisedRendition } from '../../server/relay/webrtc/packetised-rendition.ts';
import { RtpClock } from '../../server/relay/webrtc/rtp-clock.ts';
import { MappingTeller, type RtpMapping } from '../../server/relay/webrtc/rtp-mapping.ts';
import { VideoFlow } from '../../server/relay/webrtc/video-flow.ts';
import type { PeerTransport } from '../../server/webrtc-transport/peer-transport.ts';

const PAYLOAD_BYTES = 1_200;

export type ViewerRig = {
  readonly flow: VideoFlow;
  nowMs: number;
  /** Of the path, as a slow TCP reader makes it. */
  isCongested: boolean;
  /** Video packets, first sendings only. */
  readonly packets: readonly { readonly seqExt: number; readonly ptsMs: number }[];
  /** What the controller was told of packets. */
  readonly sent: readonly SentPacket[];
  frame(ptsMs: number, isKeyframe?: boolean, payloadBytes?: number): PacketisedFrame;
  begin(gop: readonly PacketisedFrame[], options?: { edgeMs?: number }): void;
  offer(frame: PacketisedFrame): void;
  steer(
    decision: Partial<Pick<Decision, 'paceBps' | 'burstBytes' | 'isGopCut'>> & {
      probe?: { id: number; bytes: number; packetMaxBytes?: number };
    },
  ): void;
  advanceMs(durationMs: number): void;
  /** What the controller was told of pictures. */
  pictures(): readonly SentPicture[];
  /** Media times of the pictures that have begun to leave. */
  sentPictures(): readonly number[];
  /** What is added to media time for the wall clock. */
  wallOffsetMs: number;
  /** What the viewer is told of its stamps, in order. */
  readonly mappings: readonly RtpMapping[];
};

/** Tells nothing, so that the test steers. */
class Recorder extends FixedController {
  readonly sent: SentPacket[] = [];
  readonly pictures: SentPicture[] = [];

  override onPacketSent(packet: SentPacket): void {
    this.sent.push({ ...packet });
  }

  override onPicture(picture?: SentPicture): void {
    if (picture !== undefined) {
      this.pictures.push({ ...picture });
    }
  }
}

export const viewerRig = ({ hasRtx = true } = {}): ViewerRig => {
  const controller = new Recorder({ playoutDelayMs: 20, playoutDelayFarMs: 100 });
  const packets: { seqExt: number; ptsMs: number }[] = [];
  const ptsOf = new Map<Uint8Array, number>();
  const sender: MediaSender = {
    send: (_peer, { fields }, payload) => {
      const ptsMs = ptsOf.get(payload);
      if (ptsMs !== undefined) {
        packets.push({ seqExt: fields.seqExt, ptsMs });
      }
      return payload.byteLength;
    },
    flush: () => undefined,
  };
  const peer = { path: { isCongested: false } };
  const stream = new OutgoingStream({
    ssrc: 1,
    payloadType: 102,
    extensionIds: { transportSeq: 3, playoutDelay: 5 },
    rtx: hasRtx ? { ssrc: 2, payloadType: 103 } : undefined,
    clock: new RtpClock(90_000, 0),
  });
  const mappings: RtpMapping[] = [];
  const mapping = new MappingTeller();
  mapping.listen((one) => mappings.push(one));
  const flow: VideoFlow = new VideoFlow({
    stream,
    controller,
    outlet: new PacketOutlet({
      ...{ peer: peer as unknown as PeerTransport, sender, controller },
      metrics: new OutMetrics(new Metrics({ collectDefaults: false })),
    }),
    mapping,
    wallMsAt: (mediaMs) => mediaMs + rig.wallOffsetMs,
    retransmitWindowMs: 1_000,
    payloadTypes: new Map([['h264', 102]]),
  });
  const rig: ViewerRig = {
    flow,
    nowMs: 0,
    wallOffsetMs: 0,
    mappings,
    packets,
    sent: controller.sent,
    get isCongested() {
      return peer.path.isCongested;
    },
    set isCongested(isCongested) {
      peer.path.isCongested = isCongested;
    },
    frame: (ptsMs, isKeyframe = false, payloadBytes = 10_000) => {
      const count = Math.ceil(payloadBytes / PAYLOAD_BYTES);
      const payloads = Array.from({ length: count }, () => new Uint8Array(Math.ceil(payloadBytes / count)));
      payloads.forEach((payload) => ptsOf.set(payload, ptsMs));
      return {
        ...{ codec: 'h264' as const, payloads, payloadBytes: count * Math.ceil(payloadBytes / count) },
        ...{ ptsTicks: 90 * ptsMs, ptsMs, isKeyframe, arrivedAtMs: rig.nowMs },
      };
    },
    begin: (gop, { edgeMs = 0 } = {}) => {
      const rendition = { gop, mediaMsAt: (nowMs: number) => edgeMs + nowMs, source: {} as AccessUnitSource };
      flow.begin(rendition as unknown as PacketisedRendition, { renditionIndex: 0, isFromCache: true });
      flow.steer(controller.decide(rig.nowMs, flow.backlogBytes), rig.nowMs);
      flow.drain(rig.nowMs);
    },
    offer: (frame) => {
      flow.offer(frame, 0);
      flow.drain(rig.nowMs);
    },
    steer: ({ paceBps = Infinity, burstBytes = Infinity, isGopCut = false, probe }) =>
      flow.steer(
        {
          ...{ paceBps, burstBytes, isGopCut },
          probe: probe === undefined ? undefined : { packetMaxBytes: Infinity, ...probe, totalBps: 0, endsAtMs: 0 },
        },
        rig.nowMs,
      ),
    advanceMs: (durationMs) => {
      rig.nowMs += durationMs;
      if (flow.drain(rig.nowMs)) {
        flow.steer(controller.decide(rig.nowMs, flow.backlogBytes), rig.nowMs);
      }
    },
    pictures: () => controller.pictures,
    sentPictures: () => [...new Set(packets.map(({ ptsMs }) => ptsMs))],
  };
  return rig;
};
