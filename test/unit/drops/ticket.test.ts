// Tickets: the same to the byte each time, genuine only unchanged, checked by the very lines that the README hands to the shop.
import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { pathToFileURL } from 'node:url';
import { TicketSigner, ticketIdOf } from '../../../server/drops/ticket.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const HEADER = { runId: 'ab'.repeat(16), broadcast: 'shop', id: 'shoes', isDemo: false, createdAtWallMs: 0 };
const CLAIM = { subject: '客户 7', host: 'h', claimedAtWallMs: 1_790_000_000_123.75 };

type Read = (ticket: string, jwkSet: unknown) => Record<string, unknown> | undefined;

const readmeExample = async (folder: string): Promise<Read> => {
  const page = readFileSync(join(import.meta.dirname, '../../../server/drops/README.md'), 'utf8');
  const lines = /```js\n(.*?)```/s.exec(page)?.[1] ?? '';
  const path = join(folder, 'till.mjs');
  writeFileSync(path, lines);
  return ((await import(pathToFileURL(path).href)) as { readTicket: Read }).readTicket;
};

test('the README’s lines take a ticket and refuse one that was changed, or made with another key', async () => {
  const folder = tempFolder('ticket');
  const readTicket = await readmeExample(folder);
  const signer = TicketSigner.open(join(folder, 'drop-key.json'));
  const ticket = signer.sign(HEADER, 12, CLAIM);
  assert.deepEqual(readTicket(ticket, signer.keySet), {
    iss: 'sluice',
    sub: '客户 7',
    jti: ticketIdOf(HEADER, 12),
    iat: 1_790_000_000,
    broadcast: 'shop',
    drop: 'shoes',
    number: 12,
    claimedAtWallMs: 1_790_000_000_124,
  });
  const [head = '', body = '', signature = ''] = ticket.split('.');
  const changed = Buffer.from(Buffer.from(body, 'base64url').toString().replace('"number":12', '"number":13'));
  assert.equal(readTicket(`${head}.${changed.toString('base64url')}.${signature}`, signer.keySet), undefined);
  const stranger = TicketSigner.open(join(folder, 'other.json'));
  assert.equal(readTicket(stranger.sign(HEADER, 12, CLAIM), signer.keySet), undefined);
  const [, ownBody = '', foreign = ''] = stranger.sign(HEADER, 12, CLAIM).split('.');
  assert.equal(readTicket(`${head}.${ownBody}.${foreign}`, signer.keySet), undefined);
});

test('asked for again, by another process with the same key, a ticket is the same; a demo’s says so', () => {
  const path = join(tempFolder('ticket'), 'drop-key.json');
  const ticket = TicketSigner.open(path).sign(HEADER, 1, CLAIM);
  const again = TicketSigner.open(path);
  assert.equal(again.sign(HEADER, 1, CLAIM), ticket);
  const demo = again.sign({ ...HEADER, isDemo: true }, 1, CLAIM).split('.')[1] ?? '';
  assert.equal((JSON.parse(Buffer.from(demo, 'base64url').toString()) as { demo: unknown }).demo, true);
});

test('the key is its owner’s alone, and a broken one stops the start instead of being replaced', () => {
  const path = join(tempFolder('ticket'), 'drop-key.json');
  TicketSigner.open(path);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  for (const text of ['', '{"kty":"OKP"}', readFileSync(path, 'utf8').replace('Ed25519', 'Ed448')]) {
    writeFileSync(path, text);
    assert.throws(() => TicketSigner.open(path), { code: 'DROP_KEY_UNREADABLE' });
    assert.equal(readFileSync(path, 'utf8'), text);
  }
});

test('no private part is in what is published', () => {
  const { keySet } = TicketSigner.open(join(tempFolder('ticket'), 'drop-key.json'));
  assert.deepEqual(Object.keys(keySet.keys[0]).toSorted(), ['alg', 'crv', 'kid', 'kty', 'use', 'x']);
});
