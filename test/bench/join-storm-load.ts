/**
 * Viewers who all come in the same moment, as a process of their own: `node test/bench/join-storm-load.ts JSON`. Each posts its offer, comes back when it is told
 * to, and leaves with its first packet of video. Prints `{"ready":true}`; at each line of its input all of them come, and once they left it says one line of JSON.
 */
import { request } from 'node:http';
import { createInterface } from 'node:readline';
import { Prng } from '../../server/base/prng.ts';
import type { HttpAnswer } from '../../server/base/http-exchange.ts';
import { passMs, within } from '../support/wait.ts';
import { VIDEO_PT, offerSdp } from '../support/whep-client.ts';
import { WhepTransport } from '../support/whep-transport.ts';

export type JoinStormOptions = {
  readonly port: number;
  readonly path: string;
  readonly count: number;
  readonly addressCount: number;
};

export type JoinStormReport = {
  readonly joinedCount: number;
  /** Answers that said "later". */
  readonly sentAwayCount: number;
  readonly attemptMaxCount: number;
  readonly lastJoinedMs: number;
  readonly failures: readonly string[];
};

const ATTEMPT_MAX_COUNT = 20;
const PICTURE_MAX_MS = 15_000;
/** As a player does. */
const JITTER_MS = 1_000;
const options = JSON.parse(process.argv[2] ?? '{}') as JoinStormOptions;
const prng = new Prng(7);
const NOBODY = { joinedCount: 0, sentAwayCount: 0, attemptMaxCount: 0, lastJoinedMs: 0 };
const tally = { ...NOBODY };
const failures: string[] = [];

const ask = async (method: string, path: string, { body = '', localAddress = '127.0.0.1' }): Promise<HttpAnswer> =>
  new Promise((resolve, reject) => {
    const asked = request(
      {
        host: '127.0.0.1',
        port: options.port,
        path,
        method,
        localAddress,
        headers: { 'content-type': 'application/sdp' },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => {
          const headers = response.headers as Record<string, string>;
          resolve({ status: response.statusCode ?? 0, headers, body: Buffer.concat(chunks).toString() });
        });
      },
    );
    asked.on('error', reject);
    asked.end(body);
  });

const postUntilIn = async (offer: string, localAddress: string): Promise<HttpAnswer> => {
  for (let attempt = 1; ; attempt += 1) {
    tally.attemptMaxCount = Math.max(tally.attemptMaxCount, attempt);
    const answer = await ask('POST', options.path, { body: offer, localAddress });
    if (answer.status !== 503 || attempt === ATTEMPT_MAX_COUNT) {
      return answer;
    }
    tally.sentAwayCount += 1;
    await passMs(Number(answer.headers['retry-after']) * 1_000 + prng.nextRatio() * JITTER_MS);
  }
};

const join = async (index: number, startedAtMs: number): Promise<void> => {
  const localAddress = `127.0.7.${1 + (index % options.addressCount)}`;
  let isPlaying = false;
  try {
    const transport = await WhepTransport.connect({
      offer: (own) => offerSdp(own),
      post: async (offer) => postUntilIn(offer, localAddress),
      mediaHost: '127.0.0.1',
      isCrowd: true,
      onMedia: (datagram) => {
        isPlaying ||= ((datagram[1] ?? 0) & 0x7f) === VIDEO_PT;
      },
    });
    await within(PICTURE_MAX_MS, 'a packet of video', () => isPlaying);
    tally.joinedCount += 1;
    tally.lastJoinedMs = performance.now() - startedAtMs;
    await ask('DELETE', transport.answer.headers['location'] ?? '', {});
    transport.close();
  } catch (error) {
    failures.push(String(error));
  }
};

console.log(JSON.stringify({ ready: true }));
const lines = createInterface({ input: process.stdin });
for await (const _line of lines) {
  Object.assign(tally, NOBODY);
  failures.splice(0);
  const startedAtMs = performance.now();
  await Promise.all(Array.from({ length: options.count }, async (_, index) => join(index, startedAtMs)));
  console.log(JSON.stringify({ ...tally, failures: failures.slice(0, 5) } satisfies JoinStormReport));
}
process.exit(0);
