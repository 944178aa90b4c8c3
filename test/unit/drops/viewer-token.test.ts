// Viewer tokens: whose signature counts, what they must say, and that nobody talks a key into another algorithm.
import assert from 'node:assert/strict';
import { createHmac, createSecretKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { ShopKeys } from '../../../server/drops/shop-keys.ts';
import type { ShopKey } from '../../../server/drops/viewer-token.ts';
import { isSignedBy, readViewerToken } from '../../../server/drops/viewer-token.ts';
import { silentLog } from '../../../server/observability/log.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const NOW_S = 1_790_000_000;
const QUESTION = { audience: 'live/shop', nowWallMs: NOW_S * 1000, skewMaxS: 30 };
const CLAIMS = { sub: 'customer 7', aud: 'live/shop', exp: NOW_S + 60 };
const SECRET = randomBytes(32);
const ED = generateKeyPairSync('ed25519');
const EC = generateKeyPairSync('ec', { namedCurve: 'P-256' });

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
type Signer = (signed: string) => Buffer;
const hmac =
  (secret: Buffer | string): Signer =>
  (signed) =>
    createHmac('sha256', secret).update(signed).digest();
const SIGNERS: Readonly<Record<string, Signer>> = {
  HS256: hmac(SECRET),
  EdDSA: (signed) => sign(null, Buffer.from(signed), ED.privateKey),
  ES256: (signed) => sign('sha256', Buffer.from(signed), { key: EC.privateKey, dsaEncoding: 'ieee-p1363' }),
};

const tokenOf = (
  claims: unknown,
  { head = {}, signer = SIGNERS['HS256']! }: { head?: object; signer?: Signer } = {},
): string => {
  const signed = `${encode({ alg: 'HS256', typ: 'JWT', ...head })}.${encode(claims)}`;
  return `${signed}.${signer(signed).toString('base64url')}`;
};

const KEYS: Readonly<Record<string, ShopKey>> = {
  HS256: { id: 'h', algorithm: 'HS256', key: createSecretKey(SECRET) },
  EdDSA: { id: 'e', algorithm: 'EdDSA', key: ED.publicKey },
  ES256: { id: undefined, algorithm: 'ES256', key: EC.publicKey },
};

const isGenuine = (token: string, keys: readonly ShopKey[]): boolean => {
  const read = readViewerToken(token, QUESTION);
  return read.ok && isSignedBy(read, keys);
};

const codeOf = (token: string | undefined): string => {
  const read = readViewerToken(token, QUESTION);
  return read.ok ? 'fine' : read.code;
};

test('each algorithm is believed with its own key, and no token with another’s', () => {
  for (const [algorithm, signer] of Object.entries(SIGNERS)) {
    const token = tokenOf(CLAIMS, { head: { alg: algorithm }, signer });
    for (const [other, key] of Object.entries(KEYS)) {
      assert.equal(isGenuine(token, [key]), other === algorithm, `${algorithm} with the key of ${other}`);
    }
    assert.ok(isGenuine(token, Object.values(KEYS)));
  }
});

test('the algorithm is the key’s: neither “none” nor a public key taken for a secret gets through', () => {
  const keys = Object.values(KEYS);
  assert.equal(isGenuine(tokenOf(CLAIMS, { head: { alg: 'none' }, signer: () => Buffer.from('x') }), keys), false);
  for (const publicKey of [ED.publicKey, EC.publicKey]) {
    for (const secret of [
      publicKey.export({ type: 'spki', format: 'pem' }),
      publicKey.export({ type: 'spki', format: 'der' }),
      JSON.stringify(publicKey.export({ format: 'jwk' })),
    ]) {
      assert.equal(isGenuine(tokenOf(CLAIMS, { signer: hmac(secret) }), keys), false);
    }
  }
});

test('a token that names its key is checked with that one only', () => {
  assert.ok(isGenuine(tokenOf(CLAIMS, { head: { kid: 'h' } }), [KEYS['HS256']!]));
  assert.equal(isGenuine(tokenOf(CLAIMS, { head: { kid: 'other' } }), [KEYS['HS256']!]), false);
});

test('changed by a single character, it is not believed', () => {
  const token = tokenOf(CLAIMS);
  const key = [KEYS['HS256']!];
  for (let at = 0; at < token.length - 1; at += 1) {
    const other = token[at] === 'A' ? 'B' : 'A';
    assert.equal(isGenuine(token.slice(0, at) + other + token.slice(at + 1), key), false, `character ${at}`);
  }
  for (const cut of [token.slice(0, -1), token.slice(0, token.lastIndexOf('.') + 1), `${token}.x`, `${token}AAAA`]) {
    assert.equal(isGenuine(cut, key), false);
  }
});

test('what it must say, and until when', () => {
  assert.equal(codeOf(undefined), 'VIEWER_TOKEN_MISSING');
  assert.equal(codeOf(''), 'VIEWER_TOKEN_MISSING');
  assert.equal(codeOf(tokenOf(CLAIMS)), 'fine');
  assert.equal(codeOf(tokenOf({ ...CLAIMS, aud: ['app', 'live/shop'] })), 'fine');
  assert.equal(codeOf(tokenOf({ ...CLAIMS, exp: NOW_S - 30 })), 'fine');
  assert.equal(codeOf(tokenOf({ ...CLAIMS, exp: NOW_S - 31 })), 'VIEWER_TOKEN_EXPIRED');
  assert.equal(codeOf(tokenOf({ ...CLAIMS, nbf: NOW_S + 31 })), 'VIEWER_TOKEN_EXPIRED');
  assert.equal(codeOf(tokenOf({ ...CLAIMS, nbf: NOW_S + 29 })), 'fine');
  for (const aud of ['live/other', 'live/shop2', 'shop', ['live/other'], undefined]) {
    assert.equal(codeOf(tokenOf({ ...CLAIMS, aud })), 'VIEWER_TOKEN_AUDIENCE_WRONG');
  }
  for (const wrong of [
    { ...CLAIMS, sub: '' },
    { ...CLAIMS, sub: 7 },
    { ...CLAIMS, sub: 'x'.repeat(193) },
    { ...CLAIMS, sub: '字'.repeat(65) },
    { ...CLAIMS, sub: 'a\u0000b' },
    { ...CLAIMS, exp: undefined },
    { ...CLAIMS, exp: String(NOW_S + 60) },
    [],
    'text',
    null,
  ]) {
    assert.equal(codeOf(tokenOf(wrong)), 'VIEWER_TOKEN_INVALID', JSON.stringify(wrong));
  }
  assert.equal(codeOf(tokenOf(CLAIMS, { head: { crit: ['b64'] } })), 'VIEWER_TOKEN_INVALID');
  assert.equal(codeOf(tokenOf({ ...CLAIMS, more: 'x'.repeat(4_096) })), 'VIEWER_TOKEN_INVALID');
  for (const text of ['a', 'a.b', 'a.b.c', '..', `${'a'.repeat(9)}.%.c`]) {
    assert.equal(codeOf(text), 'VIEWER_TOKEN_INVALID', text);
  }
});

test('the shop’s keys are read from a JWK Set, again when it changes, and a broken one leaves those that were', () => {
  const folder = tempFolder('shop');
  const path = join(folder, 'shop-keys.json');
  const keys = new ShopKeys(path, silentLog);
  assert.deepEqual(keys.list, []);
  const jwks = [
    { kty: 'oct', kid: 'h', alg: 'HS256', k: SECRET.toString('base64url') },
    { ...ED.publicKey.export({ format: 'jwk' }), kid: 'e' },
    EC.publicKey.export({ format: 'jwk' }),
  ];
  writeFileSync(path, JSON.stringify({ keys: jwks }));
  keys.refresh();
  for (const [algorithm, signer] of Object.entries(SIGNERS)) {
    assert.ok(isGenuine(tokenOf(CLAIMS, { head: { alg: algorithm }, signer }), keys.list), algorithm);
  }
  writeFileSync(path, '{"keys": [');
  keys.refresh();
  assert.equal(keys.list.length, 3);
  writeFileSync(path, JSON.stringify({ keys: jwks.slice(0, 1) }));
  keys.refresh();
  assert.deepEqual(
    keys.list.map(({ id }) => id),
    ['h'],
  );
});

test('a start stops at keys that cannot be meant: short secrets, private halves, other curves, no JSON', () => {
  const folder = tempFolder('shop');
  const path = join(folder, 'shop-keys.json');
  for (const text of [
    'no JSON',
    '{}',
    JSON.stringify({ keys: [{ kty: 'oct', k: randomBytes(31).toString('base64url') }] }),
    JSON.stringify({ keys: [ED.privateKey.export({ format: 'jwk' })] }),
    JSON.stringify({ keys: [EC.privateKey.export({ format: 'jwk' })] }),
    JSON.stringify({ keys: [generateKeyPairSync('x25519').publicKey.export({ format: 'jwk' })] }),
    JSON.stringify({ keys: Array.from({ length: 9 }, () => ED.publicKey.export({ format: 'jwk' })) }),
  ]) {
    writeFileSync(path, text);
    assert.throws(() => new ShopKeys(path, silentLog), { code: 'SHOP_KEYS_UNREADABLE' }, text);
  }
});
