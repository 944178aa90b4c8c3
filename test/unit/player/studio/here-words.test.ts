// Publishing from the host's page: what is said, and what is tried again.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { WhipProblem } from '../../../../player/transport/whip.ts';
import { captureWords, isTriedAgain, viewWords } from '../../../../player/pages/studio/here-words.ts';
import { ENGLISH } from '../../../../player/pages/studio/texts.ts';

const refused = (retryAfterMs: number | null): WhipProblem => ({
  ...{ kind: 'refused', status: 503, code: 'WHIP_OVERLOADED', detail: 'too many publishers', retryAfterMs },
});

test('a network that flaps brings the host back; what others decided stays so', () => {
  assert.equal(isTriedAgain({ kind: 'path-lost' }, true), true);
  assert.equal(isTriedAgain({ kind: 'unreachable' }, true), true);
  assert.equal(isTriedAgain({ kind: 'path-lost' }, false), false, 'it never got through');
  assert.equal(isTriedAgain({ kind: 'ended-by-server' }, true), false, 'two would throw each other out for ever');
  assert.equal(isTriedAgain({ kind: 'no-h264' }, true), false);
  assert.equal(isTriedAgain(refused(1_000), false), true);
  assert.equal(isTriedAgain(refused(null), true), false);
  assert.equal(isTriedAgain(null, true), false);
});

test('each state has its words, a refusal those of the server', () => {
  assert.equal(viewWords({ state: 'live', problem: null }, 1_234_567, ENGLISH), 'You are live: 1.2 Mbit/s');
  assert.equal(viewWords({ state: 'live', problem: null }, null, ENGLISH), 'You are live: …');
  assert.equal(viewWords({ state: 'ended', problem: null }, null, ENGLISH), ENGLISH.hereEnded);
  assert.match(viewWords({ state: 'ended', problem: refused(null) }, null, ENGLISH), /too many publishers/);
  const kinds = ['unreachable', 'no-h264', 'path-lost', 'ended-by-server'] as const;
  const words = kinds.map((kind) => viewWords({ state: 'ended', problem: { kind } }, null, ENGLISH));
  assert.equal(new Set(words).size, kinds.length);
});

test('a camera that was refused is another thing than one that is not there', () => {
  assert.equal(captureWords(new DOMException('', 'NotAllowedError'), ENGLISH), ENGLISH.hereRefused);
  assert.equal(captureWords(new DOMException('', 'NotFoundError'), ENGLISH), ENGLISH.hereAbsent);
});
