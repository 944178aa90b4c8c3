/**
 * The secrets of this server: one key per broadcast name for publishing, one for administration. They live in one file that only its
 * owner may read; none has a default value and none is ever logged.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { WorldError, messageOf } from '../base/errors.ts';
import { replacePrivateFile } from '../base/private-file.ts';

type KeyFile = { readonly admin: string; readonly publish: Readonly<Record<string, string>> };

const NAME_FORM = /^[A-Za-z0-9_-]{1,64}$/;

/** Whether `name` may be a broadcast's: `[A-Za-z0-9_-]{1,64}`. Names go into URLs and logs, never into paths. */
export const isBroadcastName = (name: string): boolean => NAME_FORM.test(name);

/** Equal in a time that tells nothing about where they differ. */
export const secretsMatch = (given: string, expected: string): boolean =>
  timingSafeEqual(createHash('sha256').update(given).digest(), createHash('sha256').update(expected).digest());

export class KeyStore {
  readonly #path: string;
  #keys: KeyFile;

  private constructor(path: string, keys: KeyFile) {
    this.#path = path;
    this.#keys = keys;
  }

  /**
   * Reads the file, or makes it with an admin key and a publish key for `firstName`. Throws `WorldError` `KEYS_UNREADABLE` when it is there but
   * broken: making new keys in silence would lock every streamer out.
   */
  static open(path: string, firstName: string): { readonly store: KeyStore; readonly isNew: boolean } {
    if (existsSync(path)) {
      return { store: new KeyStore(path, readKeyFile(path)), isNew: false };
    }
    const store = new KeyStore(path, { admin: newSecret(), publish: { [firstName]: newSecret() } });
    store.#save();
    return { store, isNew: true };
  }

  get adminKey(): string {
    return this.#keys.admin;
  }

  /** The key of `name`, if it has one. */
  publishKeyOf(name: string): string | undefined {
    return Object.hasOwn(this.#keys.publish, name) ? this.#keys.publish[name] : undefined;
  }

  /** Whether `key` is the one of `name`; a name without a key has none. */
  isPublishKey(name: string, key: string): boolean {
    const stored = this.publishKeyOf(name);
    return secretsMatch(key, stored ?? '') && stored !== undefined;
  }

  /** The names that have a key, sorted. */
  get names(): readonly string[] {
    return Object.keys(this.#keys.publish).toSorted();
  }

  /** Makes a new key for `name`; an old one stops working at once. Throws `TypeError` for a name of wrong form. */
  renewPublishKey(name: string): string {
    if (!isBroadcastName(name)) {
      throw new TypeError(`name is ${JSON.stringify(name)}, expected 1 to 64 of A-Z a-z 0-9 _ -`);
    }
    const secret = newSecret();
    this.#keys = { ...this.#keys, publish: { ...this.#keys.publish, [name]: secret } };
    this.#save();
    return secret;
  }

  /** Forgets the key of `name`; false when there was none. */
  removePublishKey(name: string): boolean {
    if (this.publishKeyOf(name) === undefined) {
      return false;
    }
    const others = Object.entries(this.#keys.publish).filter(([other]) => other !== name);
    this.#keys = { ...this.#keys, publish: Object.fromEntries(others) };
    this.#save();
    return true;
  }

  #save(): void {
    replacePrivateFile(this.#path, `${JSON.stringify(this.#keys, null, 2)}\n`);
  }
}

const newSecret = (): string => randomBytes(18).toString('base64url');

const readKeyFile = (path: string): KeyFile => {
  try {
    const content: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (isKeyFile(content)) {
      return content;
    }
  } catch (error) {
    throw new WorldError('KEYS_UNREADABLE', `${path}: ${messageOf(error)}`, error);
  }
  throw new WorldError(
    'KEYS_UNREADABLE',
    `${path}: expected {"admin": "…", "publish": {"NAME": "…"}}; mend it or move it away`,
  );
};

const isKeyFile = (content: unknown): content is KeyFile =>
  typeof content === 'object' &&
  content !== null &&
  'admin' in content &&
  typeof content.admin === 'string' &&
  content.admin.length >= 16 &&
  'publish' in content &&
  typeof content.publish === 'object' &&
  content.publish !== null &&
  Object.entries(content.publish).every(
    ([name, key]) => isBroadcastName(name) && typeof key === 'string' && key.length >= 8,
  );
