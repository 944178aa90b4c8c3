/** What a shop does about drops: it signs viewer tokens, and checks tickets with nothing but the public key. And drops put on a server's disk before it starts. */
import assert from 'node:assert/strict';
import { createHmac, createPublicKey, randomBytes, verify } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { encodeJournalPrefix, encodeJournalRecord } from '../../server/drops/journal-format.ts';
import type { TicketKeySet } from '../../server/drops/ticket.ts';

export const SHOP_SECRET = Buffer.from('a secret of the shop, 32 bytes..');

/** The file that the shop's people put beside the server's data. */
export const SHOP_KEYS = JSON.stringify({
  keys: [{ kty: 'oct', kid: 'shop', alg: 'HS256', k: SHOP_SECRET.toString('base64url') }],
});

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const HEAD = encode({ alg: 'HS256', typ: 'JWT', kid: 'shop' });

export const viewerToken = (
  subject: string,
  claims: { readonly broadcast: string; readonly expiresAtS: number; readonly secret?: Buffer },
): string => {
  const body = encode({ sub: subject, aud: `live/${claims.broadcast}`, exp: claims.expiresAtS });
  const signed = `${HEAD}.${body}`;
  return `${signed}.${createHmac('sha256', claims.secret ?? SHOP_SECRET)
    .update(signed)
    .digest('base64url')}`;
};

export type TicketClaims = {
  readonly sub: string;
  readonly jti: string;
  readonly broadcast: string;
  readonly drop: string;
  readonly number: number;
  readonly claimedAtWallMs: number;
  readonly demo?: true;
};

/** Throws for a ticket that no key of the set has signed. */
export const checkTicket = (ticket: string, { keys: [jwk] }: TicketKeySet): TicketClaims => {
  const [head = '', body = '', signature = ''] = ticket.split('.');
  assert.deepEqual(JSON.parse(Buffer.from(head, 'base64url').toString()), { alg: 'EdDSA', typ: 'JWT', kid: jwk.kid });
  const key = createPublicKey({ key: { ...jwk }, format: 'jwk' });
  assert.ok(verify(null, Buffer.from(`${head}.${body}`), key, Buffer.from(signature, 'base64url')), 'signature');
  return JSON.parse(Buffer.from(body, 'base64url').toString()) as TicketClaims;
};

export type PlacedDrop = {
  readonly broadcast: string;
  readonly id: string;
  readonly stock: number;
  /** Null: nobody opens it. */
  readonly opensAtWallMs: number | null;
};

/** As a server leaves it that was ended before anybody claimed. Returns the journal's path. */
export const placeDrop = async (dataDir: string, { broadcast, id, ...terms }: PlacedDrop): Promise<string> => {
  const runId = randomBytes(16).toString('hex');
  const header = { runId, broadcast, id, isDemo: broadcast === 'demo', createdAtWallMs: Date.now() };
  const file = path.join(dataDir, 'drops', `${runId}.journal`);
  await mkdir(path.dirname(file), { recursive: true });
  const records = [encodeJournalRecord({ type: 'header', header }), encodeJournalRecord({ type: 'terms', terms })];
  await writeFile(file, Buffer.concat([encodeJournalPrefix(), ...records]));
  await writeFile(path.join(dataDir, 'shop-keys.json'), SHOP_KEYS);
  return file;
};

export const adminKeyOf = async (dataDir: string): Promise<string> =>
  (JSON.parse(await readFile(path.join(dataDir, 'keys.json'), 'utf8')) as { admin: string }).admin;
