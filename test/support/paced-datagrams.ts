/**
 * Datagrams sent at a pace and received again in one process, with their own time in them. How long the process was away from its sockets
 * is told beside, so that a busy machine is not taken for the fault of what is measured.
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';

export type Arrived = { readonly index: number; readonly atMs: number; readonly delayMs: number };

export type PacedRun = {
  readonly sentCount: number;
  readonly arrived: readonly Arrived[];
  /** The pause between two turns of the loop in which the 95th of 100 instants fell: about 1.2 ms where nobody was late. */
  readonly pauseMs: number;
};

export type PacedOptions = {
  /** Where the sink's address is reached by way of what is measured. */
  readonly portThrough: (sinkPort: number) => Promise<number>;
  readonly sizeBytes: number;
  readonly packetsPerS: number;
  readonly durationMs: number;
  /** Waited after the last one. */
  readonly tailMs: number;
};

const RECEIVE_BUFFER_BYTES = 4_000_000;

export const runPaced = async (options: PacedOptions): Promise<PacedRun> => {
  const sink = await openSink();
  const sender = createSocket('udp4');
  try {
    const port = await options.portThrough(sink.port);
    const startedAtMs = performance.now();
    const wantedCount = Math.round((options.packetsPerS * options.durationMs) / 1000);
    const pausesMs: number[] = [];
    let sentCount = 0;
    for (let nowMs = startedAtMs; nowMs < startedAtMs + options.durationMs + options.tailMs;) {
      const dueCount = Math.ceil(((nowMs - startedAtMs) * options.packetsPerS) / 1000);
      for (; sentCount < Math.min(wantedCount, dueCount); sentCount += 1) {
        sender.send(stamped(sentCount, options.sizeBytes), port, '127.0.0.1');
      }
      await new Promise((resolve) => setTimeout(resolve, 1));
      pausesMs.push(performance.now() - nowMs);
      nowMs = performance.now();
    }
    return { sentCount, arrived: sink.arrived, pauseMs: pauseAt(pausesMs, 0.95) };
  } finally {
    sink.socket.close();
    sender.close();
  }
};

/** The pause that holds the instant at this share of all time, pauses sorted by length. */
const pauseAt = (pausesMs: readonly number[], ratio: number): number => {
  let leftMs = pausesMs.reduce((sum, pauseMs) => sum + pauseMs, 0) * ratio;
  const sorted = pausesMs.toSorted((a, b) => a - b);
  return (
    sorted.find((pauseMs) => {
      leftMs -= pauseMs;
      return leftMs <= 0;
    }) ?? Number.NaN
  );
};

/** The p-th of these delays. */
export const delayAt = (arrived: readonly Arrived[], ratio: number): number => {
  const sorted = arrived.map(({ delayMs }) => delayMs).toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * ratio))] ?? Number.NaN;
};

/** Slope of a least-squares line: units of y for each of x. What single points are late by averages out. */
export const slope = (points: readonly { readonly x: number; readonly y: number }[]): number => {
  const meanX = points.reduce((sum, { x }) => sum + x, 0) / points.length;
  const meanY = points.reduce((sum, { y }) => sum + y, 0) / points.length;
  const above = points.reduce((sum, { x, y }) => sum + (x - meanX) * (y - meanY), 0);
  return above / points.reduce((sum, { x }) => sum + (x - meanX) ** 2, 0);
};

const stamped = (index: number, sizeBytes: number): Buffer => {
  const datagram = Buffer.alloc(sizeBytes);
  datagram.writeDoubleBE(performance.now(), 0);
  datagram.writeUInt32BE(index, 8);
  return datagram;
};

const openSink = async (): Promise<{ socket: Socket; port: number; arrived: Arrived[] }> => {
  const socket = createSocket('udp4');
  const arrived: Arrived[] = [];
  socket.on('message', (datagram) => {
    const atMs = performance.now();
    arrived.push({ index: datagram.readUInt32BE(8), atMs, delayMs: atMs - datagram.readDoubleBE(0) });
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  socket.setRecvBufferSize(RECEIVE_BUFFER_BYTES);
  return { socket, port: socket.address().port, arrived };
};
