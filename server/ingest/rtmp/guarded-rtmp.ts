/**
 * The RTMP conversation of one connection: node-media-server's protocol class, with a guard at each place where it trusts its
 * peer (research of November 2026: it can be crashed, filled up and hijacked before anybody logged in). Of the base are kept:
 * the handshake, the sorting of messages, the control and status messages and the chunks that go out. Ours are: chunks that
 * come in, AMF0, the order of commands, and the answer to `publish`, which waits until somebody said yes.
 */
import type { RtmpPacket } from 'node-media-server/src/protocol/rtmp.js';
import Rtmp from 'node-media-server/src/protocol/rtmp.js';
import { ProtocolError } from '../../base/errors.ts';
import type { AmfObject, AmfValue } from '../../media/flv/amf0.ts';
import { isAmfObject, readAmf0, writeAmf0 } from '../../media/flv/amf0.ts';
import type { FlvTagType } from '../../media/flv/flv-tag.ts';
import type { ByteBudget } from './byte-budget.ts';
import { ChunkReader } from './chunk-reader.ts';

export type RtmpLimits = {
  /** One message of a publisher: more than a keyframe of 4K. */
  readonly messageMaxBytes: number;
  /** One message of anybody else, and any command or script message. */
  readonly commandMaxBytes: number;
  readonly chunkStreamMaxCount: number;
  /** Half-received messages of one publisher. */
  readonly connectionBufferedMaxBytes: number;
  /** All that somebody may send before the publish is accepted. */
  readonly beforePublishMaxBytes: number;
};

/** What the session is told. Called from within `feed`; must not throw. */
export type RtmpListener = {
  onOutput(bytes: Buffer): void;
  /** Answer with `acceptPublish` or `refusePublish`; until then nothing more is read. */
  onPublishAsked(request: { readonly name: string; readonly key: string | undefined }): void;
  /** Only after `acceptPublish`. The body is a view of a reused buffer. */
  onMedia(tag: { readonly type: FlvTagType; readonly timestampTs32: number; readonly body: Buffer }): void;
  onUnpublish(): void;
};

/** `asking`: publish was asked for, and the answer is awaited. `over`: it said goodbye or was turned away; bytes are thrown away. */
export type RtmpPhase = 'handshake' | 'connecting' | 'connected' | 'asking' | 'publishing' | 'over';

/** What an RTMP status says when something is refused, with words for the streamer. */
export type RtmpRefusal = { readonly status: string; readonly code: string; readonly detail: string };

export const APP = 'live';
const NAME_PATTERN = /^[A-Za-z0-9_-]{1,64}$/u;

const RTMP_VERSION = 3;
const C0_BYTES = 1;
const C1_BYTES = 1_536;
const HANDSHAKE_DONE = 3;
const MESSAGE_SET_CHUNK_SIZE = 1;
const MESSAGE_ABORT = 2;
const MESSAGE_WINDOW_ACK_SIZE = 5;
const MESSAGE_SET_PEER_BANDWIDTH = 6;
const MESSAGE_AMF3_DATA = 15;
const MESSAGE_AMF3_COMMAND = 17;
const EVENT_STREAM_BEGIN = 0;
const EVENT_PING_REQUEST = 6;
const EVENT_PING_RESPONSE = 7;
const WINDOW_BYTES = 2_500_000;
const WINDOW_MIN_BYTES = 16_384;
const STREAM_MAX_COUNT = 8;
const COMMAND_CHUNK_STREAM = 3;
const TEXT_MAX_LENGTH = 256;

/** Enhanced RTMP v2: reconnect 1, multitrack 2, ModEx 4, nanosecond offset 8. We read multitrack's first track and ModEx. */
const CAPS_EX = 0x02 | 0x04;
const FOUR_CCS = ['avc1', 'hvc1', 'av01', 'Opus', 'mp4a'];
/** `fourCcInfoMap`: 1 can decode, 2 can encode, 4 can forward. */
const CAN_FORWARD = 4;

/**
 * The base's constructor allocates 1 MiB for an FLV reader that nobody here uses, before the peer has sent a byte. Its methods
 * are inherited without running it; the state they need is declared by the class below.
 */
const RtmpMethods = ((): typeof Rtmp => {
  const Methods = function rtmpMethods(): void {};
  Methods.prototype = Rtmp.prototype;
  return Methods as unknown as typeof Rtmp;
})();

export class GuardedRtmp extends RtmpMethods {
  override handshakePayload = Buffer.alloc(C1_BYTES);
  override handshakeState = 0;
  override handshakeBytes = 0;
  override parserPacket: RtmpPacket = {
    header: { fmt: 0, cid: 0, timestamp: 0, length: 0, type: 0, stream_id: 0 },
    clock: 0,
    payload: Buffer.alloc(0),
  };
  override outChunkSize = 0xffff;
  override streams = 0;
  override onOutputCallback: (bytes: Buffer) => void;

  readonly #limits: RtmpLimits;
  readonly #listener: RtmpListener;
  readonly #chunks: ChunkReader;
  #phase: RtmpPhase = 'handshake';
  #publishStreamId = 0;
  #isChunkSizeAnnounced = false;
  #rxBytes = 0;
  #ackedBytes = 0;
  #windowBytes = WINDOW_BYTES;
  #encoderName: string | undefined;

  constructor(options: { limits: RtmpLimits; budget: ByteBudget; listener: RtmpListener }) {
    super();
    this.#limits = options.limits;
    this.#listener = options.listener;
    this.onOutputCallback = (bytes) => options.listener.onOutput(bytes);
    this.#chunks = new ChunkReader({
      budget: options.budget,
      limits: {
        messageMaxBytes: this.#limits.commandMaxBytes,
        bufferedMaxBytes: 2 * this.#limits.commandMaxBytes,
        chunkStreamMaxCount: this.#limits.chunkStreamMaxCount,
      },
    });
  }

  get phase(): RtmpPhase {
    return this.#phase;
  }

  get rxBytes(): number {
    return this.#rxBytes;
  }

  /** What the connect command called itself: `FMLE/3.0 (compatible; FMSc/1.0)`, `Lavf…`. */
  get encoderName(): string | undefined {
    return this.#encoderName;
  }

  /**
   * Reads up to `messageMaxCount` messages and gives how many bytes were used; the caller offers the rest again later. Fewer are
   * used, too, when `publish` was asked: until the answer. Throws `ProtocolError`, after which only `close` may be called.
   */
  feed(bytes: Buffer, messageMaxCount: number): number {
    let offset = this.#readHandshake(bytes);
    let messageCount = 0;
    while (offset < bytes.byteLength && messageCount < messageMaxCount && this.#phase !== 'asking') {
      if (this.#phase === 'over') {
        offset = bytes.byteLength;
        break;
      }
      const result = this.#chunks.read(bytes, offset);
      this.#countBytes(result.offset - offset);
      offset = result.offset;
      if (result.message !== undefined) {
        messageCount += 1;
        const { type, streamId, timestampTs32, payload } = result.message;
        const header = { ...this.parserPacket.header, type, stream_id: streamId, length: payload.byteLength };
        this.parserPacket = { header, clock: timestampTs32, payload };
        this.packetHandler();
      }
    }
    this.#acknowledge();
    return offset;
  }

  /** All at once, however many messages. Kept because the base has it. */
  override parserData(bytes: Buffer): null {
    this.feed(bytes, Number.POSITIVE_INFINITY);
    return null;
  }

  /** Chunks are read by `ChunkReader`; the base's reader must never run. */
  override chunkRead(): never {
    throw new TypeError('chunks are read by feed()');
  }

  /** The answer to `onPublishAsked`: media may come. */
  acceptPublish(): void {
    if (this.#phase !== 'asking') {
      return;
    }
    this.#phase = 'publishing';
    this.#chunks.setLimits({
      messageMaxBytes: this.#limits.messageMaxBytes,
      bufferedMaxBytes: this.#limits.connectionBufferedMaxBytes,
      chunkStreamMaxCount: this.#limits.chunkStreamMaxCount,
    });
    this.sendStreamStatus(EVENT_STREAM_BEGIN, this.#publishStreamId);
    this.sendStatusMessage(this.#publishStreamId, 'status', 'NetStream.Publish.Start', 'Publishing.');
  }

  /** Says no, or that it is over, in the words of RTMP. What comes after is thrown away; the caller closes the connection. */
  turnAway(refusal: RtmpRefusal): void {
    const phase = this.#phase;
    this.#phase = 'over';
    if (phase === 'over' || phase === 'handshake') {
      return;
    }
    this.#announceChunkSize();
    const description = `${refusal.detail} (${refusal.code})`;
    this.sendStatusMessage(this.#publishStreamId, 'error', refusal.status, description);
  }

  /** Gives back its buffers. */
  close(): void {
    this.#phase = 'over';
    this.#chunks.close();
  }

  override controlHandler(): void {
    const { header, payload } = this.parserPacket;
    const isBandwidth = header.type === MESSAGE_SET_PEER_BANDWIDTH;
    if (payload.byteLength < (isBandwidth ? 5 : 4)) {
      throw new ProtocolError('RTMP_CONTROL_INVALID', `control message ${header.type} has ${payload.byteLength} bytes`);
    }
    const value = payload.readUInt32BE();
    if (header.type === MESSAGE_SET_CHUNK_SIZE) {
      this.#chunks.setChunkSize(value);
    } else if (header.type === MESSAGE_ABORT) {
      this.#chunks.abort(value);
    } else if (header.type === MESSAGE_WINDOW_ACK_SIZE) {
      // Half the window, so that the peer never waits; a floor, so that it cannot make us answer every byte.
      this.#windowBytes = Math.max(WINDOW_MIN_BYTES, Math.min(value, 2 * WINDOW_BYTES) / 2);
    }
  }

  /** User control messages (Adobe RTMP 1.0, section 6.2): a ping is answered, the rest means nothing to a server. */
  override eventHandler(): void {
    const { payload } = this.parserPacket;
    if (payload.byteLength < 2) {
      throw new ProtocolError('RTMP_CONTROL_INVALID', `user control message has ${payload.byteLength} bytes`);
    }
    if (payload.readUInt16BE() === EVENT_PING_REQUEST && payload.byteLength >= 6) {
      this.sendStreamStatus(EVENT_PING_RESPONSE, payload.readUInt32BE(2));
    }
  }

  override invokeHandler(): void {
    const { header, payload } = this.parserPacket;
    this.#checkCommandSize(payload);
    const values = readAmf0(payload.subarray(header.type === MESSAGE_AMF3_COMMAND ? 1 : 0));
    const [name, transaction] = values;
    if (typeof name !== 'string') {
      throw new ProtocolError('RTMP_COMMAND_INVALID', 'a command without a name');
    }
    this.#onCommand(name, typeof transaction === 'number' ? transaction : 0, values);
  }

  override dataHandler(): void {
    const { header, clock, payload } = this.parserPacket;
    if (this.#phase !== 'publishing') {
      throw new ProtocolError('RTMP_MEDIA_BEFORE_PUBLISH', `media in phase ${this.#phase}`);
    }
    if (header.type === 8 || header.type === 9) {
      this.#listener.onMedia({ type: header.type, timestampTs32: clock, body: payload });
      return;
    }
    this.#checkCommandSize(payload);
    const body = header.type === MESSAGE_AMF3_DATA ? payload.subarray(1) : payload;
    this.#listener.onMedia({ type: 18, timestampTs32: clock, body });
  }

  /** With our own AMF0 writer: the base's knows few commands and prints to the console about others. */
  override sendInvokeMessage(streamId: number, values: readonly AmfValue[]): void {
    const payload = writeAmf0(values);
    const header = { fmt: 0, cid: COMMAND_CHUNK_STREAM, timestamp: 0, length: payload.byteLength, type: 20 };
    this.onOutputCallback(Rtmp.chunksCreate({ header: { ...header, stream_id: streamId }, clock: 0, payload }));
  }

  override sendStatusMessage(streamId: number, level: string, code: string, description: string): void {
    const status = new Map<string, AmfValue>([
      ['level', level],
      ['code', code],
      ['description', description],
    ]);
    this.sendInvokeMessage(streamId, ['onStatus', 0, null, status]);
  }

  #readHandshake(bytes: Buffer): number {
    let offset = 0;
    while (this.handshakeState < HANDSHAKE_DONE && offset < bytes.byteLength && this.#phase === 'handshake') {
      if (this.handshakeState === 0 && bytes[offset] !== RTMP_VERSION) {
        throw new ProtocolError('RTMP_VERSION_UNSUPPORTED', `C0 is ${bytes[offset]}, expected ${RTMP_VERSION}`);
      }
      // Piece by piece, so that the base never sees bytes beyond the handshake.
      const wantedBytes = this.handshakeState === 0 ? C0_BYTES : C1_BYTES - this.handshakeBytes;
      const piece = bytes.subarray(offset, offset + wantedBytes);
      super.parserData(piece);
      offset += piece.byteLength;
      this.#countBytes(piece.byteLength);
    }
    if (this.handshakeState === HANDSHAKE_DONE && this.#phase === 'handshake') {
      this.#phase = 'connecting';
    }
    return offset;
  }

  #countBytes(bytes: number): void {
    this.#rxBytes += bytes;
    if (this.#phase !== 'publishing' && this.#rxBytes > this.#limits.beforePublishMaxBytes) {
      throw new ProtocolError(
        'RTMP_CHATTER_TOO_LONG',
        `${this.#rxBytes} bytes without a publish, at most ${this.#limits.beforePublishMaxBytes} are taken`,
      );
    }
  }

  #acknowledge(): void {
    if (this.#rxBytes - this.#ackedBytes >= this.#windowBytes && this.#phase === 'publishing') {
      this.#ackedBytes = this.#rxBytes;
      this.sendACK(this.#rxBytes % 2 ** 32);
    }
  }

  #checkCommandSize(payload: Buffer): void {
    if (payload.byteLength > this.#limits.commandMaxBytes) {
      throw new ProtocolError(
        'RTMP_MESSAGE_TOO_LARGE',
        `a command or script of ${payload.byteLength} bytes, at most ${this.#limits.commandMaxBytes} are taken`,
      );
    }
  }

  #onCommand(name: string, transaction: number, values: readonly AmfValue[]): void {
    if (this.#phase === 'connecting') {
      this.#onConnect(name, transaction, values[2]);
      return;
    }
    switch (name) {
      case 'connect':
        throw new ProtocolError('RTMP_COMMAND_ORDER', 'connect a second time');
      case 'createStream':
        this.#onCreateStream(transaction);
        return;
      case 'publish':
        this.#onPublish(values[3]);
        return;
      case 'play':
      case 'play2':
        throw new ProtocolError('RTMP_PLAY_UNSUPPORTED', 'this server plays over WebRTC and LL-HLS: open /watch/NAME');
      case 'deleteStream':
      case 'closeStream':
      case 'FCUnpublish':
        this.#onUnpublish();
        return;
      case 'getStreamLength':
        this.sendInvokeMessage(0, ['_result', transaction, null, 0]);
        return;
      case 'FCPublish':
      case 'releaseStream':
      case '_checkbw':
        this.sendInvokeMessage(0, ['_result', transaction, null, undefined]);
        return;
      default:
    }
  }

  #onConnect(name: string, transaction: number, command: AmfValue): void {
    if (name !== 'connect' || command === undefined || !isAmfObject(command)) {
      throw new ProtocolError('RTMP_COMMAND_ORDER', 'the first command must be connect, with an object');
    }
    const app = command.get('app');
    const appName = typeof app === 'string' ? app.split('?', 1)[0]?.replaceAll(/^\/|\/$/gu, '') : undefined;
    if (appName !== APP) {
      this.#refuseApp(transaction);
    }
    const flashVersion = command.get('flashVer');
    this.#encoderName = typeof flashVersion === 'string' ? flashVersion.slice(0, TEXT_MAX_LENGTH) : undefined;
    this.#phase = 'connected';
    this.sendWindowACK(WINDOW_BYTES);
    this.setPeerBandwidth(WINDOW_BYTES, 2);
    this.#announceChunkSize();
    const encoding = command.get('objectEncoding');
    this.sendInvokeMessage(0, connectResult(transaction, typeof encoding === 'number' ? encoding : 0));
  }

  /** The base cuts every message into chunks of `outChunkSize`; a refusal may be the first the peer hears, and longer than 128 bytes. */
  #announceChunkSize(): void {
    if (!this.#isChunkSizeAnnounced) {
      this.#isChunkSizeAnnounced = true;
      this.setChunkSize(this.outChunkSize);
    }
  }

  #refuseApp(transaction: number): never {
    this.#announceChunkSize();
    const detail = `the address must be rtmp://HOST/${APP}, with the stream name apart`;
    const status = new Map<string, AmfValue>([
      ['level', 'error'],
      ['code', 'NetConnection.Connect.InvalidApp'],
      ['description', detail],
    ]);
    this.sendInvokeMessage(0, ['_error', transaction, null, status]);
    throw new ProtocolError('RTMP_APP_UNKNOWN', detail);
  }

  #onCreateStream(transaction: number): void {
    this.streams += 1;
    if (this.streams > STREAM_MAX_COUNT) {
      throw new ProtocolError('RTMP_STREAMS_TOO_MANY', `createStream more than ${STREAM_MAX_COUNT} times`);
    }
    this.sendInvokeMessage(0, ['_result', transaction, null, this.streams]);
  }

  #onPublish(target: AmfValue): void {
    if (this.#phase !== 'connected') {
      throw new ProtocolError(
        'RTMP_COMMAND_ORDER',
        `publish in phase ${this.#phase}; one connection publishes one stream`,
      );
    }
    const text = typeof target === 'string' ? target : '';
    const queryAt = text.indexOf('?');
    const name = queryAt < 0 ? text : text.slice(0, queryAt);
    this.#publishStreamId = this.parserPacket.header.stream_id;
    if (!NAME_PATTERN.test(name)) {
      throw new ProtocolError('RTMP_NAME_INVALID', 'the stream name must be 1 to 64 of A-Z a-z 0-9 _ -');
    }
    this.#phase = 'asking';
    const key = queryAt < 0 ? undefined : (new URLSearchParams(text.slice(queryAt + 1)).get('key') ?? undefined);
    this.#listener.onPublishAsked({ name, key });
  }

  #onUnpublish(): void {
    if (this.#phase !== 'publishing') {
      return;
    }
    this.sendStatusMessage(this.#publishStreamId, 'status', 'NetStream.Unpublish.Success', 'Not publishing any more.');
    this.#phase = 'over';
    this.#listener.onUnpublish();
  }
}

/** The reply to `connect`, with what enhanced RTMP asks for (v1: `fourCcList`; v2: `videoFourCcInfoMap`, `capsEx`). */
const connectResult = (transaction: number, objectEncoding: number): AmfValue[] => {
  const infoMap = (fourCcs: readonly string[]): AmfObject =>
    new Map(fourCcs.map((fourCc) => [fourCc, CAN_FORWARD] as const));
  const properties = new Map<string, AmfValue>([
    ['fmsVer', 'FMS/3,0,1,123'],
    ['capabilities', 31],
  ]);
  const information = new Map<string, AmfValue>([
    ['level', 'status'],
    ['code', 'NetConnection.Connect.Success'],
    ['description', 'Connection succeeded.'],
    ['objectEncoding', objectEncoding],
    ['fourCcList', FOUR_CCS],
    ['videoFourCcInfoMap', infoMap(['avc1', 'hvc1', 'av01'])],
    ['audioFourCcInfoMap', infoMap(['Opus', 'mp4a'])],
    ['capsEx', CAPS_EX],
  ]);
  return ['_result', transaction, properties, information];
};
