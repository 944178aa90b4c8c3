/** The modelled TCP connection over the link's model, both in virtual time: what it carries, how it repairs, how it stays bounded. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { LinkModel, type LinkModelOptions } from '../../latency/link/link-model.ts';
import { TCP_HEADER_BYTES, VirtualTcp, type Transmission } from '../../latency/link/virtual-tcp.ts';

const PERFECT: LinkModelOptions = {
  capacity: undefined,
  queueMaxBytes: Infinity,
  delayMs: 20,
  jitterMs: 0,
  lossRatio: 0,
  lossBurstCount: undefined,
  reorderRatio: 0,
  reorderMaxCount: 3,
};

const constant = (rateBps: number): LinkModelOptions['capacity'] => ({
  steps: [{ durationMs: 1_000, rateBps }],
  isLooped: false,
});

/** A sender that always has `backlogBytes` more (or writes by itself), and a reader of a given speed. */
class Transfer {
  readonly tcp = new VirtualTcp();
  readonly down: LinkModel;
  readonly up: LinkModel;
  nowMs = 0;
  /** Bytes in order at the far side, whenever they came. */
  readonly arrivals: { atMs: number; bytes: number }[] = [];
  deliveredBytes = 0;
  writtenBytes = 0;
  heldBytes = 0;
  isReading = true;
  #packets: ((atMs: number) => void)[] = [];

  constructor(options: Partial<LinkModelOptions> & { upLossRatio?: number }, seed = 1) {
    this.down = new LinkModel({ ...PERFECT, ...options }, { seed, name: 'down' });
    this.up = new LinkModel({ ...PERFECT, lossRatio: options.upLossRatio ?? 0 }, { seed, name: 'up' });
  }

  write(bytes: number): void {
    this.writtenBytes += bytes;
    this.tcp.write(bytes, this.nowMs);
    this.#flush();
  }

  /** Runs until then; keeps the backlog filled when one is asked for. */
  run(untilMs: number, backlogBytes = 0): void {
    for (;;) {
      if (this.tcp.unsentBytes < backlogBytes) {
        this.write(backlogBytes);
      }
      const atMs = Math.min(this.down.nextAtMs, this.up.nextAtMs, this.tcp.nextAtMs);
      if (atMs > untilMs) {
        this.nowMs = untilMs;
        return;
      }
      this.nowMs = Math.max(this.nowMs, atMs);
      this.#step();
    }
  }

  read(): void {
    this.heldBytes = 0;
    const ack = this.tcp.onRead(0);
    if (ack !== undefined) {
      this.#put(this.up, TCP_HEADER_BYTES, () => this.tcp.onAck(ack, this.nowMs));
    }
  }

  #step(): void {
    for (const model of [this.down, this.up]) {
      for (let handle = model.take(this.nowMs); handle >= 0; handle = model.take(this.nowMs)) {
        this.#packets[handle]!(this.nowMs);
      }
    }
    const due = this.tcp.onTimer(this.nowMs);
    if (due !== undefined) {
      this.#send(due);
    }
    this.#flush();
  }

  #flush(): void {
    for (let next = this.tcp.transmit(this.nowMs); next !== undefined; next = this.tcp.transmit(this.nowMs)) {
      this.#send(next);
    }
  }

  #send(transmission: Transmission): void {
    this.#put(this.down, transmission.segment.bytes + TCP_HEADER_BYTES, () => this.#onArrival(transmission));
  }

  #onArrival(transmission: Transmission): void {
    const { inOrderBytes, ack } = this.tcp.onSegment(transmission, this.heldBytes);
    this.deliveredBytes += inOrderBytes;
    this.heldBytes += this.isReading ? 0 : inOrderBytes;
    if (inOrderBytes > 0) {
      this.arrivals.push({ atMs: this.nowMs, bytes: inOrderBytes });
    }
    if (ack !== undefined) {
      this.#put(this.up, TCP_HEADER_BYTES, () => this.tcp.onAck(ack, this.nowMs));
    }
  }

  #put(model: LinkModel, bytes: number, onArrival: () => void): void {
    this.#packets.push(onArrival);
    model.send(this.#packets.length - 1, bytes, this.nowMs);
  }
}

/** Of the payload, as a share of what the capacity leaves beside the headers. */
const useRatio = (transfer: Transfer, rateBps: number, fromMs: number, toMs: number): number => {
  const bytes = transfer.arrivals
    .filter(({ atMs }) => atMs > fromMs && atMs <= toMs)
    .reduce((sum, arrival) => sum + arrival.bytes, 0);
  return (bytes * 8_000) / (toMs - fromMs) / ((rateBps * 1_460) / 1_500);
};

test('a bulk transfer fills the link, less its headers, within 2 %', () => {
  for (const [rateBps, queueMs] of [
    [800_000, 250],
    [3_000_000, 250],
    [20_000_000, 60],
    [60_000_000, 100],
  ] as const) {
    const transfer = new Transfer({ capacity: constant(rateBps), queueMaxBytes: (rateBps * queueMs) / 8_000 });
    transfer.run(12_000, 100_000);
    const ratio = useRatio(transfer, rateBps, 4_000, 12_000);
    assert.ok(Math.abs(ratio - 1) < 0.02, `${ratio} of ${rateBps} bit/s`);
    assert.equal(transfer.tcp.timeoutCount, 0, `time-outs at ${rateBps} bit/s`);
  }
});

test('whatever is lost, everything written arrives, and arrives once', () => {
  for (const lossRatio of [0.01, 0.1, 0.3]) {
    const transfer = new Transfer({ lossRatio, upLossRatio: lossRatio, reorderRatio: 0.05, jitterMs: 5 }, 7);
    for (let index = 0; index < 20; index += 1) {
      transfer.write(20_000);
      transfer.run(transfer.nowMs + 30);
    }
    transfer.run(transfer.nowMs + 1_800_000);
    assert.equal(transfer.deliveredBytes, transfer.writtenBytes, `at a loss of ${lossRatio}`);
    assert.ok(transfer.tcp.isIdle);
  }
});

test('a lost segment delays what follows by a round trip or a probe, not a time-out', () => {
  const transfer = new Transfer({ lossRatio: 0.01 }, 3);
  // 30 pictures a second of 8 kB each, as HTTP-FLV would carry.
  const delaysMs: number[] = [];
  for (let index = 0; index < 300; index += 1) {
    const sentAtMs = transfer.nowMs;
    const wantedBytes = transfer.writtenBytes + 8_000;
    transfer.write(8_000);
    transfer.run(sentAtMs + 33);
    while (transfer.deliveredBytes < wantedBytes) {
      transfer.run(transfer.nowMs + 1);
    }
    delaysMs.push(transfer.nowMs - sentAtMs);
  }
  const slowCount = delaysMs.filter((delayMs) => delayMs > 33).length;
  assert.ok(slowCount >= 5, `${slowCount} pictures waited for a repair`);
  assert.ok(Math.max(...delaysMs) < 260, `${Math.max(...delaysMs)} ms`);
  assert.equal(transfer.tcp.timeoutCount, 0);
});

test('under 1 % loss and 40 ms round trip throughput is near what the response function of CUBIC and Reno allows', () => {
  const transfer = new Transfer({ lossRatio: 0.01 });
  transfer.run(120_000, 100_000);
  const rateBps = (transfer.deliveredBytes * 8) / 120;
  // RFC 9438 5.1: about 1.2 / sqrt(p) segments a round trip where Reno's rule holds, which here means 3.5 Mbit/s.
  assert.ok(rateBps > 2_500_000 && rateBps < 7_000_000, `${rateBps} bit/s`);
});

test('the first flight is ten segments, and each round trip doubles it', () => {
  const transfer = new Transfer({ delayMs: 50 });
  transfer.up.restart(0);
  transfer.write(1_000_000);
  transfer.run(51);
  assert.equal(transfer.deliveredBytes, 10 * 1_460);
  transfer.run(51 + 72);
  assert.equal(transfer.deliveredBytes, 30 * 1_460);
});

test('an outage of three seconds ends in a time-out with back-off, and then goes on', () => {
  const steps = [
    { durationMs: 2_000, rateBps: 3_000_000 },
    { durationMs: 3_000, rateBps: 0 },
    { durationMs: 60_000, rateBps: 3_000_000 },
  ];
  const transfer = new Transfer({ capacity: { steps, isLooped: false }, queueMaxBytes: 60_000 });
  transfer.run(20_000, 100_000);
  const { timeoutCount } = transfer.tcp;
  assert.ok(timeoutCount >= 2 && timeoutCount <= 6, `${timeoutCount} time-outs`);
  assert.ok(useRatio(transfer, 3_000_000, 8_000, 20_000) > 0.97);
});

test('a reader that stops stops the sender at its window, and one that reads on gets the rest', () => {
  const transfer = new Transfer({ upLossRatio: 0.2 });
  transfer.isReading = false;
  transfer.run(30_000, 100_000);
  assert.ok(transfer.deliveredBytes > 6_000_000 && transfer.deliveredBytes < 6_600_000, `${transfer.deliveredBytes}`);
  transfer.isReading = true;
  transfer.read();
  transfer.run(60_000, 0);
  assert.equal(transfer.deliveredBytes, transfer.writtenBytes);
});

test('the queue stays within its bound under a bulk transfer', () => {
  const down = { capacity: constant(5_000_000), queueMaxBytes: 150_000 };
  const alone = new Transfer(down);
  alone.run(10_000, 100_000);
  assert.ok(alone.down.counts().queueDelayMs.max <= 240.1, `${alone.down.counts().queueDelayMs.max} ms`);
  assert.ok(alone.down.counts().droppedByQueueCount > 0);
});
