/**
 * The keys that sign playback tokens, in one file only its owner may read: one signs, all that are listed are believed. Edges that check tokens
 * get them from there. Made on the first run; no key has a default.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { WorldError, messageOf } from '../base/errors.ts';
import { replacePrivateFile } from '../base/private-file.ts';
import type { TokenKey } from './playback-token.ts';

/** Secrets are base64url of at least 16 bytes; ours have 32. */
type TokenKeyFile = { readonly signing: string; readonly keys: Readonly<Record<string, string>> };

/** More than a rotation needs; each is a way in. */
const KEY_MAX_COUNT = 8;
const ID_FORM = /^[A-Za-z0-9_-]{1,16}$/;
const SECRET_FORM = /^[A-Za-z0-9_-]{22,256}$/;

export class TokenKeys {
  readonly #path: string;
  #file: TokenKeyFile;

  /** Throws `WorldError` `TOKEN_KEYS_UNREADABLE` when the file is there but broken: a new one in silence would shut every viewer out. */
  constructor(path: string) {
    this.#path = path;
    if (existsSync(path)) {
      this.#file = readKeyFile(path);
    } else {
      const id = newId();
      this.#file = { signing: id, keys: { [id]: newSecret() } };
      this.#save();
    }
  }

  /** The key that signs. */
  get signing(): TokenKey {
    const key = this.find(this.#file.signing);
    if (key === undefined) {
      throw new TypeError(`no key ${this.#file.signing}, expected the signing key among the keys`);
    }
    return key;
  }

  /** Ids of the keys that are believed, oldest first. */
  get ids(): readonly string[] {
    return Object.keys(this.#file.keys);
  }

  find(id: string): TokenKey | undefined {
    const secret = Object.hasOwn(this.#file.keys, id) ? this.#file.keys[id] : undefined;
    return secret === undefined ? undefined : { id, secret: Buffer.from(secret, 'base64url') };
  }

  /** A new key signs from now on; tokens of the others stay good. Undefined: there are eight, expected one to be removed first. */
  rotate(): { readonly id: string; readonly secret: string } | undefined {
    if (this.ids.length >= KEY_MAX_COUNT) {
      return undefined;
    }
    const made = { id: newId(), secret: newSecret() };
    this.#file = { signing: made.id, keys: { ...this.#file.keys, [made.id]: made.secret } };
    this.#save();
    return made;
  }

  /** Tokens of this key are refused from now on. False: there is no such key, or it is the one that signs. */
  remove(id: string): boolean {
    if (id === this.#file.signing || this.find(id) === undefined) {
      return false;
    }
    const others = Object.entries(this.#file.keys).filter(([other]) => other !== id);
    this.#file = { ...this.#file, keys: Object.fromEntries(others) };
    this.#save();
    return true;
  }

  #save(): void {
    replacePrivateFile(this.#path, `${JSON.stringify(this.#file, null, 2)}\n`);
  }
}

/** Begins with a letter: objects keep keys that look like numbers in another order. */
const newId = (): string => `k${randomBytes(4).toString('hex')}`;
const newSecret = (): string => randomBytes(32).toString('base64url');

const readKeyFile = (path: string): TokenKeyFile => {
  try {
    const content: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (isKeyFile(content)) {
      return content;
    }
  } catch (error) {
    throw new WorldError('TOKEN_KEYS_UNREADABLE', `${path}: ${messageOf(error)}`, error);
  }
  throw new WorldError(
    'TOKEN_KEYS_UNREADABLE',
    `${path}: expected {"signing": "ID", "keys": {"ID": "base64url of 32 random bytes"}}; mend it or move it away`,
  );
};

const isKeyFile = (content: unknown): content is TokenKeyFile =>
  typeof content === 'object' &&
  content !== null &&
  'signing' in content &&
  typeof content.signing === 'string' &&
  'keys' in content &&
  typeof content.keys === 'object' &&
  content.keys !== null &&
  Object.hasOwn(content.keys, content.signing) &&
  Object.entries(content.keys).every(
    ([id, secret]) => ID_FORM.test(id) && typeof secret === 'string' && SECRET_FORM.test(secret),
  );
