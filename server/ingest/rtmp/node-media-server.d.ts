/**
 * The part of node-media-server 4.4.3 that we stand on. It ships no types; these were read off its source. Its version is
 * pinned exactly, because what is overridden here is not its public interface.
 */
declare module 'node-media-server/src/protocol/rtmp.js' {
  export type RtmpHeader = {
    fmt: number;
    cid: number;
    timestamp: number;
    length: number;
    type: number;
    stream_id: number;
  };

  export type RtmpPacket = { header: RtmpHeader; clock: number; payload: Buffer };

  export default class Rtmp {
    handshakePayload: Buffer;
    /** 0 until C0 came, 1 until C1 is whole, 2 until C2 is whole, then 3. */
    handshakeState: number;
    handshakeBytes: number;
    parserPacket: RtmpPacket;
    inChunkSize: number;
    outChunkSize: number;
    streams: number;
    onOutputCallback: (bytes: Buffer) => void;

    static chunksCreate(packet: RtmpPacket): Buffer;

    parserData(bytes: Buffer): string | null;
    chunkRead(bytes: Buffer, offset: number, length: number): string | null;
    /** Sends `parserPacket` to the handler of its type. Types it does not know are passed over. */
    packetHandler(): void;
    controlHandler(): void;
    eventHandler(): void;
    invokeHandler(): void;
    dataHandler(): void;
    sendACK(size: number): void;
    sendWindowACK(size: number): void;
    setPeerBandwidth(size: number, type: number): void;
    setChunkSize(size: number): void;
    sendStreamStatus(event: number, streamId: number): void;
    sendInvokeMessage(streamId: number, values: unknown): void;
    sendStatusMessage(streamId: number, level: string, code: string, description: string): void;
  }
}
