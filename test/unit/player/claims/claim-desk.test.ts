// One viewer's claims: one at a time for a cue, refused ones open again when they may, and nothing after the end.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cue } from '../../../../server/api/contract/cues.ts';
import type { ClaimAnswer } from '../../../../player/claims/claim-answer.ts';
import { ClaimDesk, mayClaim, type ClaimDeskOptions, type ClaimRequest } from '../../../../player/claims/claim-desk.ts';
import { within } from '../../../support/wait.ts';

const CUE: Cue = {
  ...{ id: 'lamp', mode: 'media', mediaMs: 5_000, programWallMs: 1e12, showAtWallMs: null },
  ...{ kind: 'product', durationMs: null, stock: 10 },
};

const GRANTED = { status: 201, retryAfter: null, body: '{"drop":"lamp","broadcast":"b","number":1,"ticket":"a.b.c"}' };
const refused = (status: number, error: string, retryAfter: string | null = null): ClaimAnswer => ({
  ...{ status, retryAfter, body: JSON.stringify({ error }) },
});

const deskOf = (answers: (ClaimAnswer | Error)[], options: Partial<ClaimDeskOptions> = {}) => {
  const states: string[] = [];
  const asked: ClaimRequest[] = [];
  const desk = new ClaimDesk({
    tokenOf: async () => 'token',
    send: async (request) => {
      asked.push(request);
      const answer = answers.shift();
      if (answer === undefined || answer instanceof Error) {
        throw answer ?? new Error('asked once too often');
      }
      return answer;
    },
    onChange: (_, state) => states.push(state.type === 'refused' ? state.reason : state.type),
    ...options,
  });
  return { desk, states, asked };
};

test('a claim is asked once, whoever presses how often, with the token of the shop', async () => {
  const { desk, states, asked } = deskOf([GRANTED]);
  await Promise.all([desk.claim(CUE), desk.claim(CUE)]);
  await desk.claim(CUE);
  assert.deepEqual(states, ['asking', 'granted']);
  assert.deepEqual(
    asked.map(({ viewerToken }) => viewerToken),
    ['token'],
  );
});

test('a claim without an answer is pressed again, one that stands refused is not', async () => {
  const { desk, states } = deskOf([new TypeError('no network'), refused(409, 'DROP_SOLD_OUT')]);
  await desk.claim(CUE);
  assert.ok(mayClaim(desk.stateOf(CUE)));
  await desk.claim(CUE);
  await desk.claim(CUE);
  assert.deepEqual(states, ['asking', 'failed', 'asking', 'sold-out']);
});

test('sold out ends with a larger stock, and is nothing to another showing of the id', async () => {
  const { desk } = deskOf([refused(409, 'DROP_SOLD_OUT')]);
  await desk.claim(CUE);
  assert.equal(mayClaim(desk.stateOf({ ...CUE, price: '¥9' })), false);
  assert.equal(desk.stateOf({ ...CUE, stock: 11 }).type, 'open');
  assert.equal(desk.stateOf({ ...CUE, mediaMs: 60_000 }).type, 'open');
});

test('who is early waits as long as the server says', async () => {
  const { desk, states } = deskOf([refused(403, 'DROP_NOT_OPEN', '0.05'), GRANTED]);
  await desk.claim(CUE);
  await desk.claim(CUE);
  assert.deepEqual(states, ['asking', 'too-early']);
  await within(5_000, 'it is open again', () => desk.stateOf(CUE).type === 'open');
  await desk.claim(CUE);
  assert.deepEqual(states, ['asking', 'too-early', 'open', 'asking', 'granted']);
});

test('a shop whose sign-in fails, and a page that is left, leave nothing behind', async () => {
  const without = deskOf([GRANTED], { tokenOf: async () => Promise.reject(new Error('signed out')) });
  await without.desk.claim(CUE);
  assert.deepEqual([without.states, without.asked.length], [['asking', 'failed'], 0]);

  const left = deskOf([GRANTED]);
  const claim = left.desk.claim(CUE);
  left.desk.close();
  await claim;
  await left.desk.claim(CUE);
  assert.deepEqual(left.states, ['asking']);
});
