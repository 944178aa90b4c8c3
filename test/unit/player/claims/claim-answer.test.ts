// What a claim comes to, by the answers that the server gives and by those of who stands in front of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readClaimAnswer, type ClaimOutcome } from '../../../../player/claims/claim-answer.ts';

const TICKET = { drop: 'lamp', broadcast: 'shop', number: 7, ticket: 'a.b.c', isDemo: false };

const read = (status: number, body: unknown, retryAfter: string | null = null): ClaimOutcome =>
  readClaimAnswer({ status, retryAfter, body: typeof body === 'string' ? body : JSON.stringify(body) });

const reasonOf = (outcome: ClaimOutcome): string => (outcome.type === 'refused' ? outcome.reason : outcome.type);

test('a ticket is theirs, now or since before', () => {
  assert.deepEqual(read(201, TICKET), { type: 'granted', ticket: TICKET, isNew: true });
  assert.deepEqual(read(200, TICKET), { type: 'granted', ticket: TICKET, isNew: false });
});

test('each refusal of the server has its own word', () => {
  const reasons = [
    [401, 'VIEWER_TOKEN_MISSING', 'token-needed'],
    [401, 'VIEWER_TOKEN_EXPIRED', 'token-needed'],
    [403, 'DROP_NOT_OPEN', 'too-early'],
    [404, 'DROP_UNKNOWN', 'over'],
    [409, 'DROP_SOLD_OUT', 'sold-out'],
    [410, 'DROP_OVER', 'over'],
    [429, 'CLAIMS_TOO_MANY', 'limited'],
    [429, 'DROP_ADDRESS_FULL', 'full'],
    [503, 'DROP_JOURNAL_FAILED', 'failed'],
  ] as const;
  for (const [status, error, reason] of reasons) {
    assert.deepEqual(read(status, { error, detail: '' }, '2'), {
      ...{ type: 'refused', reason, code: error, retryAfterMs: 2_000 },
    });
  }
});

test('what is no answer of ours has failed, and is no ticket', () => {
  assert.equal(reasonOf(read(502, '<html>bad gateway</html>')), 'failed');
  assert.equal(reasonOf(read(429, 'slow down')), 'limited');
  assert.equal(reasonOf(read(200, 'true')), 'failed');
  assert.equal(reasonOf(read(201, { ...TICKET, ticket: 5 })), 'failed');
  assert.equal(reasonOf(read(200, null)), 'failed');
});

test('when to try again is seconds, and never more than a minute', () => {
  const retryOf = (header: string | null): number | null => {
    const outcome = read(503, {}, header);
    return outcome.type === 'refused' ? outcome.retryAfterMs : null;
  };
  assert.deepEqual(['1', '86400', 'Wed, 21 Oct 2026 07:28:00 GMT', '', '-3', null].map(retryOf), [
    ...[1_000, 60_000, null, null, null, null],
  ]);
});
