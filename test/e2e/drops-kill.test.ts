/**
 * A drop while the server is killed again and again: a crowd over 64 connections claims what there is, the server ends by `kill -9` in the middle of it, three
 * times. There are exactly as many tickets as there were, nobody has two, no two have the same; each that a viewer was shown is in the journal, and
 * each in the journal is a genuine one that its subject is shown when it asks again.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'node:test';
import type { ClaimedTicket, DropClaims } from '../../server/api/contract/drops.ts';
import { Prng } from '../../server/base/prng.ts';
import { decodeJournal } from '../../server/drops/journal-format.ts';
import type { TicketKeySet } from '../../server/drops/ticket.ts';
import type { CrowdClaim } from '../support/claim-crowd.ts';
import { runCrowd } from '../support/claim-crowd.ts';
import { adminKeyOf, checkTicket, placeDrop, viewerToken } from '../support/drop-shop.ts';
import { SluiceProcess } from '../support/sluice-process.ts';

const IS_SOAK = process.env['SLUICE_SIZE'] === 'soak';
const SEED = Number(process.env['SLUICE_SEED'] ?? 20_261_126);
const STOCK = IS_SOAK ? 1_000 : 300;
const VIEWER_COUNT = IS_SOAK ? 50_000 : 1_500;
const CLAIM_COUNT = IS_SOAK ? 200_000 : 6_000;
const CONNECTION_COUNT = 64;
const KILL_COUNT = 3;
const REF = { broadcast: 'shop', id: 'shoes' };
const CLAIMS_PATH = '/api/broadcasts/shop/drops/shoes/claims';
const ANSWERS_EXPECTED = [200, 201, 409];
const UNLIMITED = { ticketsPerAddressMaxCount: 1_000_000, claimsPerAddressMaxPerS: 1_000_000 };

type Shown = { readonly number: number; readonly ticket: string };

/** What viewers have seen so far, over all runs of the server. */
class Witness {
  readonly shown = new Map<string, Shown>();
  readonly countByStatus = new Map<number, number>();
  answeredCount = 0;
  lostCount = 0;

  see(subject: string, status: number, body: Buffer): void {
    this.answeredCount += 1;
    this.countByStatus.set(status, (this.countByStatus.get(status) ?? 0) + 1);
    if (status === 409) {
      assert.equal(this.shown.get(subject), undefined, `${subject} has a ticket, and was told that there are none`);
      return;
    }
    assert.ok(ANSWERS_EXPECTED.includes(status), `status ${status}: ${body.toString()}`);
    const { number, ticket } = JSON.parse(body.toString()) as ClaimedTicket;
    const before = this.shown.get(subject);
    assert.equal(ticket, before?.ticket ?? ticket, `${subject} was shown another ticket`);
    this.shown.set(subject, { number, ticket });
  }
}

const subjectOf = (index: number): string => `customer ${index}`;

test(`exactly ${STOCK} tickets of ${CLAIM_COUNT} claims over ${KILL_COUNT} kills (seed ${SEED})`, async (t) => {
  const prng = new Prng(SEED);
  let sluice = await SluiceProcess.start({ config: { drops: UNLIMITED } });
  t.after(async () => sluice.stop());
  const dataDir = path.join(sluice.folder, 'data');
  await sluice.kill();
  const journal = await placeDrop(dataDir, { ...REF, stock: STOCK, opensAtWallMs: Date.now() });
  sluice = await sluice.restart();

  const expiresAtS = Math.ceil(Date.now() / 1000) + 7_200;
  const tokens = Array.from({ length: VIEWER_COUNT }, (_, index) =>
    viewerToken(subjectOf(index), { broadcast: REF.broadcast, expiresAtS }),
  );
  const subjects = new Map(tokens.map((token, index) => [token, subjectOf(index)]));
  const witness = new Witness();
  /** Asked again at once: whose answer was lost does not know whether it counted. */
  const unanswered: CrowdClaim[] = [];
  let sentCount = 0;
  let isStopping = false;
  const next = (): CrowdClaim | undefined => {
    const again = unanswered.pop();
    if (again !== undefined || isStopping || witness.answeredCount >= CLAIM_COUNT) {
      return again;
    }
    // First everybody once, in order; then anybody.
    const index = sentCount < VIEWER_COUNT ? sentCount : prng.nextIndex(VIEWER_COUNT);
    sentCount += 1;
    return { path: CLAIMS_PATH, token: tokens[index]!, keepsBody: true };
  };

  for (let round = 0; round <= KILL_COUNT; round += 1) {
    const killsAtShown =
      round === KILL_COUNT
        ? Number.POSITIVE_INFINITY
        : Math.round(((round + 0.5 * prng.nextRatio() + 0.5) * STOCK) / (KILL_COUNT + 1));
    let killed: Promise<void> | undefined;
    const lost: CrowdClaim[] = [];
    await runCrowd({
      port: sluice.ports.http,
      connectionCount: CONNECTION_COUNT,
      next: () => (killed === undefined ? next() : undefined),
      onAnswer: ({ token }, { status, body }) => {
        witness.see(subjects.get(token)!, status, body);
        if (witness.shown.size >= killsAtShown) {
          killed ??= sluice.kill();
        }
      },
      onLost: (claim) => {
        witness.lostCount += 1;
        lost.push(claim);
      },
    });
    unanswered.push(...lost);
    if (killsAtShown < Number.POSITIVE_INFINITY) {
      assert.ok(killed !== undefined, 'the kill came in the middle of the drop');
      await killed;
      t.diagnostic(
        `kill ${round + 1} with ${witness.shown.size} tickets shown, ${lost.length} claims without an answer`,
      );
      sluice = await sluice.restart();
    }
  }
  isStopping = true;
  t.diagnostic(`answers: ${JSON.stringify(Object.fromEntries(witness.countByStatus))}, ${witness.lostCount} lost`);
  assert.ok(witness.answeredCount >= CLAIM_COUNT);

  const claims = await listAll(sluice, await adminKeyOf(dataDir));
  assert.deepEqual(
    claims.map(({ number }) => number),
    Array.from({ length: STOCK }, (_, index) => index + 1),
  );
  assert.equal(new Set(claims.map(({ subject }) => subject)).size, STOCK, 'nobody has two');
  const holders = new Map(claims.map((claim) => [claim.subject, claim]));
  const keys = (await (await fetch(`${sluice.httpUrl}/api/drops/keys`)).json()) as TicketKeySet;
  for (const [subject, { number, ticket }] of witness.shown) {
    const read = checkTicket(ticket, keys);
    assert.deepEqual(
      [read.sub, read.number, read.jti],
      [subject, number, holders.get(subject)?.jti],
      `${subject}’s ticket is not lost`,
    );
  }

  // Also who never saw an answer is shown the ticket that the journal has.
  const holderTokens = [...subjects].filter(([, subject]) => holders.has(subject)).map(([token]) => token);
  await runCrowd({
    port: sluice.ports.http,
    connectionCount: CONNECTION_COUNT,
    next: () => {
      const token = holderTokens.pop();
      return token === undefined ? undefined : { path: CLAIMS_PATH, token, keepsBody: true };
    },
    onAnswer: ({ token }, { status, body }) => {
      assert.equal(status, 200);
      witness.see(subjects.get(token)!, status, body);
    },
    onLost: () => assert.fail('nobody is killed any more'),
  });
  assert.equal(witness.shown.size, STOCK);
  const jtis = [...witness.shown].map(([subject, { ticket }]) => {
    const { jti, number } = checkTicket(ticket, keys);
    assert.equal(number, holders.get(subject)?.number);
    return jti;
  });
  assert.equal(new Set(jtis).size, STOCK, 'no two tickets are the same');

  await sluice.kill();
  const { records, damage } = decodeJournal(await readFile(journal));
  assert.equal(damage, undefined);
  assert.equal(records.filter(({ type }) => type === 'claim').length, STOCK);
});

const listAll = async (sluice: SluiceProcess, adminKey: string): Promise<DropClaims['claims']> => {
  const all: DropClaims['claims'][number][] = [];
  for (;;) {
    const response = await fetch(`${sluice.httpUrl}${CLAIMS_PATH}?offset=${all.length}&limit=400`, {
      headers: { authorization: `Bearer ${adminKey}` },
    });
    const { claims } = (await response.json()) as DropClaims;
    all.push(...claims);
    if (claims.length === 0) {
      return all;
    }
  }
};
