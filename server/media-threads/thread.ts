/**
 * A media thread: its own UDP port, WHEP sessions, retransmission rings, pacing and controllers, over a mirror of the hub. Started by `media-thread.ts`
 * of the main thread; ends when it is told to, or with the process.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { assert } from '../base/assert.ts';
import { clockWithZero } from '../base/clock.ts';
import { WorldError, messageOf } from '../base/errors.ts';
import { LinkCaptures } from '../learning/link-captures.ts';
import { createLog } from '../observability/log.ts';
import { Metrics } from '../observability/metrics.ts';
import { WebRtcOut } from '../relay/webrtc/webrtc-out.ts';
import { createWhepEndpoint } from '../relay/webrtc/whep-endpoint.ts';
import { WebRtcPort } from '../webrtc-transport/webrtc-port.ts';
import { HubMirror } from './hub-mirror.ts';
import { LearnerCopy } from './learner-copy.ts';
import { MirroredAudience } from './mirrored-audience.ts';
import { RequestDoor } from './request-door.ts';
import { SessionTeller } from './session-teller.ts';
import type { Call, CallName, Calls, FromThread, ThreadOrder, ToThread } from './thread-messages.ts';
import { RingReader } from './unit-ring.ts';

const TELL_EVERY_MS = 1_000;
/** Units at a time, before datagrams have their turn. */
const DRAIN_MAX_COUNT = 32;

const main = parentPort;
assert(main !== null, 'a media thread is started by the main thread');
const order = workerData as ThreadOrder;
const { settings, congestion, policies } = order;
const post = (message: FromThread): void => main.postMessage(message, []);

const clock = clockWithZero(order.clockZeroMs);
const log = createLog({ level: order.logLevel }).child({ thread: order.number });
const metrics = new Metrics({ collectDefaults: false });
const dropped = metrics.counter('media_thread_units_dropped_total', 'Access units that a media thread did not take', [
  'reason',
]);
const mirror = new HubMirror({
  gopCache: order.gopCache,
  clock,
  onDropped: (count, reason) => dropped.inc({ reason }, count),
});
const reader = new RingReader(order.memory, order.position);
const audience = new MirroredAudience();
const captures = new LinkCaptures(order.capture, { clock, log });
const learner = new LearnerCopy({ policies, log, post: (note) => post({ kind: 'note', note }) });

const openPort = async (): Promise<WebRtcPort> => {
  try {
    return await WebRtcPort.open(order.port, { clock, log, metrics });
  } catch (error) {
    const code = error instanceof WorldError ? error.code : 'MEDIA_THREAD_FAILED';
    post({ kind: 'refused', code, detail: error instanceof WorldError ? error.detail : messageOf(error) });
    throw error;
  }
};

const port = await openPort();
const out = new WebRtcOut({
  ...{ settings, congestion, policies, port, clock, log, metrics },
  openCapture: () => captures.open(),
  guides: learner,
});
/** Of broadcasts that lack something, as it was last told. */
const lacks = new Map<string, string>();
const door = new RequestDoor(
  createWhepEndpoint({
    ...{ out, clock, audience },
    findBroadcast: (name) => mirror.find(name),
    lacking: (name) => lacks.get(name),
  }),
);
const teller = new SessionTeller(out, post);

type Answers = {
  [Name in CallName]: (
    ask: Calls[Name]['ask'],
    callId: number,
  ) => Calls[Name]['answer'] | Promise<Calls[Name]['answer']>;
};

const answers: Answers = {
  http: async ({ request, name, lack }, callId) => {
    noteLack(name, lack);
    return door.answer(request, callId);
  },
  pull: async ({ streamId }) => door.pull(streamId),
  leave: async ({ streamId }) => door.leave(streamId),
  timeline: ({ sessionId }) => out.find(sessionId)?.timeline() ?? [],
  metrics: async () => metrics.snapshot(),
  selfTest: async () => port.selfTest(),
  close: async ({ reason }) => {
    out.close(reason);
    port.close(reason);
    await captures.settled();
    return undefined;
  },
};

/** Anybody may ask for any name, so nothing is kept of those that lack nothing. */
const noteLack = (name: string, lack: string | undefined): void => {
  if (lack === undefined) {
    lacks.delete(name);
  } else {
    lacks.set(name, lack);
  }
};

const onCall = async (call: Call, callId: number): Promise<void> => {
  try {
    post({ kind: 'answer', callId, value: await answers[call.name](call.ask as never, callId) });
  } catch (error) {
    log.error('media-thread.call.failed', { call: call.name, error: error instanceof Error ? error.stack : '' });
    post({ kind: 'fault', callId, detail: messageOf(error) });
  }
};

const onMessage = (message: ToThread): void => {
  switch (message.kind) {
    case 'call':
      void onCall(message.call, message.callId);
      break;
    case 'abort':
      door.abort(message.callId);
      break;
    case 'news':
      audience.tell(message.name, message.news);
      if (message.news === undefined) {
        lacks.delete(message.name);
      }
      break;
    case 'smoothness': {
      const broadcast = mirror.find(message.name);
      if (broadcast !== undefined) {
        out.setSmoothness(broadcast, message.smoothnessRatio);
      }
      break;
    }
    case 'watch':
      out.watch(message.sessionId, message.renditionId);
      break;
    case 'report':
      out.find(message.sessionId)?.onPlayerReport(message.totals);
      break;
    case 'learning':
      learner.take(message.snapshot, message.holdoutRatio);
      break;
    case 'hub':
      mirror.onMessage(message.hub);
      break;
  }
};

/** What was said before a unit was written is heard before the unit is looked at. */
const hearWaiting = (): void => {
  for (let next = receiveMessageOnPort(main); next !== undefined; next = receiveMessageOnPort(main)) {
    onMessage(next.message as ToThread);
  }
};

main.on('message', onMessage);
setInterval(() => teller.tell(), TELL_EVERY_MS);
post({ kind: 'ready', endpoints: port.endpoints });

for (;;) {
  await reader.written();
  do {
    hearWaiting();
    // Datagrams and messages have their turn between.
  } while (mirror.drain(reader, DRAIN_MAX_COUNT) && (await nextTurn(true)));
}
