/**
 * The keys with which the shop signs viewer tokens, in a file that the shop's people put there: a JWK Set (RFC 7517) of secrets (`oct`, HS256) and public
 * keys (`OKP`/Ed25519: EdDSA, `EC`/P-256: ES256). Looked at again every few seconds; a file that cannot be used leaves the keys that were.
 */
import { createPublicKey, createSecretKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { WorldError, messageOf } from '../base/errors.ts';
import type { Log } from '../observability/log.ts';
import type { ShopKey } from './viewer-token.ts';

/** More than a rotation of a few shops needs: each is tried on tokens that name none. */
const KEY_MAX_COUNT = 8;
const FILE_MAX_BYTES = 65_536;
/** RFC 7518, 3.2: at least as long as the hash. */
const SECRET_MIN_BYTES = 32;
const BASE64URL = z.string().regex(/^[\w-]+$/);
const ID = z.string().min(1).max(128).exactOptional();
/** Whoever reads this server's disk shall not be able to sign as the shop. */
const NO_PRIVATE_HALF = z.never('expected the public half only').exactOptional();
const KEY_SHAPE = z.union([
  z.object({ kty: z.literal('oct'), kid: ID, alg: z.literal('HS256').exactOptional(), k: BASE64URL }),
  z.object({ kty: z.literal('OKP'), kid: ID, crv: z.literal('Ed25519'), x: BASE64URL, d: NO_PRIVATE_HALF }),
  z.object({ kty: z.literal('EC'), kid: ID, crv: z.literal('P-256'), x: BASE64URL, y: BASE64URL, d: NO_PRIVATE_HALF }),
]);
const FILE_SHAPE = z.object({ keys: z.array(KEY_SHAPE).max(KEY_MAX_COUNT) });

export class ShopKeys {
  readonly #path: string;
  readonly #log: Log;
  #text: string | undefined;
  #keys: readonly ShopKey[] = [];

  /** Throws `WorldError` `SHOP_KEYS_UNREADABLE` when the file is there but cannot be used: without it no claim of a sale would be granted. */
  constructor(path: string, log: Log) {
    this.#path = path;
    this.#log = log;
    this.#text = this.#read();
    this.#keys = this.#parse(this.#text);
  }

  get list(): readonly ShopKey[] {
    return this.#keys;
  }

  /** Looks whether the file has changed. */
  refresh(): void {
    try {
      const text = this.#read();
      if (text !== this.#text) {
        this.#text = text;
        this.#keys = this.#parse(text);
        this.#log.info('drop.shop-keys.read', { keyCount: this.#keys.length });
      }
    } catch (error) {
      this.#log.error('drop.shop-keys.refused', { error: messageOf(error) });
    }
  }

  /** Undefined: there is no file. */
  #read(): string | undefined {
    try {
      return readFileSync(this.#path, 'utf8');
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
        return undefined;
      }
      throw new WorldError('SHOP_KEYS_UNREADABLE', `${this.#path}: ${messageOf(error)}`, error);
    }
  }

  #parse(text: string | undefined): readonly ShopKey[] {
    if (text === undefined) {
      return [];
    }
    try {
      if (text.length > FILE_MAX_BYTES) {
        throw new TypeError(`the file has ${text.length} bytes, expected at most ${FILE_MAX_BYTES}`);
      }
      return FILE_SHAPE.parse(JSON.parse(text)).keys.map(toShopKey);
    } catch (error) {
      const expected = 'expected a JWK Set of oct (HS256), Ed25519 or P-256 public keys';
      throw new WorldError('SHOP_KEYS_UNREADABLE', `${this.#path}: ${expected}: ${messageOf(error)}`, error);
    }
  }
}

const toShopKey = (jwk: z.infer<typeof KEY_SHAPE>): ShopKey => {
  if (jwk.kty === 'oct') {
    const secret = Buffer.from(jwk.k, 'base64url');
    if (secret.byteLength < SECRET_MIN_BYTES) {
      throw new TypeError(`a secret has ${secret.byteLength} bytes, expected at least ${SECRET_MIN_BYTES}`);
    }
    return { id: jwk.kid, algorithm: 'HS256', key: createSecretKey(secret) };
  }
  const key = createPublicKey({ key: { ...jwk }, format: 'jwk' });
  return { id: jwk.kid, algorithm: jwk.kty === 'OKP' ? 'EdDSA' : 'ES256', key };
};
