/** The link as a process of its own, so that nobody's work delays its packets: started by `emulated-link.ts`, which it obeys and outlives never. */
import { appendFileSync } from 'node:fs';
import { messageOf } from '../../../server/base/errors.ts';
import type { LinkCall, LinkCounts, LinkReply, LinkRequest } from './link-counts.ts';
import { LinkPorts } from './link-ports.ts';
import { LinkPump } from './link-pump.ts';
import { raisePriority } from './raise-priority.ts';
import { SmallBuffers } from './small-buffers.ts';

type RunningLink = { readonly pump: LinkPump; readonly ports: LinkPorts };

let running: RunningLink | undefined;

const start = (request: Extract<LinkRequest, { kind: 'start' }>): RunningLink => {
  const pump = new LinkPump(request.plan, request.seed);
  const { logFile } = request;
  const tell = (event: string, fields: object): void => {
    if (logFile !== undefined) {
      appendFileSync(logFile, `${JSON.stringify({ event, atWallMs: Date.now(), ...fields })}\n`);
    }
  };
  return { pump, ports: new LinkPorts(pump, buffers, tell) };
};

const countsOf = ({ pump, ports }: RunningLink): LinkCounts => ({
  ...pump.counts(),
  ...ports.counts(),
  scheduling,
  hasSmallBuffers: buffers.isAvailable,
});

const answer = async (request: LinkRequest): Promise<unknown> => {
  if (request.kind === 'start') {
    running = start(request);
    return undefined;
  }
  if (running === undefined) {
    throw new Error('the link has not been started');
  }
  switch (request.kind) {
    case 'through':
      return running.ports.through(request.url);
    case 'relay':
      return running.ports.portOf(request);
    case 'counts':
      return countsOf(running);
    case 'series':
      return running.pump.series();
    case 'restart':
      running.pump.restart();
  }
  return undefined;
};

const reply = (message: LinkReply): void => {
  process.send?.(message);
};

process.on('message', ({ id, request }: LinkCall) => {
  answer(request).then(
    (value) => reply({ id, value }),
    (error: unknown) => reply({ id, fault: messageOf(error) }),
  );
});

const scheduling = raisePriority();
const buffers = new SmallBuffers(scheduling);
process.on('exit', () => buffers.close());

// Its owner ended, orderly or not.
process.on('disconnect', () => process.exit(0));
