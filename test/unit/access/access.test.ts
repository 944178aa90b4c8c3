// Keys on disk and who may publish.
import assert from 'node:assert/strict';
import { rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { KeyStore } from '../../../server/access/key-store.ts';
import type { PublishClaim } from '../../../server/access/publish-policy.ts';
import { isLoopbackAddress, isLoopbackOpen, judgePublish } from '../../../server/access/publish-policy.ts';
import { hasRootDiskOfItsOwn } from '../../../server/access/surroundings.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const withFolder = (run: (folder: string) => void): void => {
  const folder = tempFolder('keys');
  try {
    run(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
};

test('keys are made once, readable by their owner only, and read back', () => {
  withFolder((folder) => {
    const path = join(folder, 'data', 'keys.json');
    const made = KeyStore.open(path, 'main');
    assert.equal(made.isNew, true);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    const again = KeyStore.open(path, 'main');
    assert.equal(again.isNew, false);
    assert.equal(again.store.publishKeyOf('main'), made.store.publishKeyOf('main'));
    assert.equal(again.store.adminKey, made.store.adminKey);
    const renewed = again.store.renewPublishKey('main');
    assert.notEqual(renewed, made.store.publishKeyOf('main'));
    assert.equal(KeyStore.open(path, 'main').store.publishKeyOf('main'), renewed);
    assert.equal(again.store.removePublishKey('main'), true);
    assert.equal(again.store.removePublishKey('main'), false);
  });
});

test('names that are properties of every object have no key', () => {
  withFolder((folder) => {
    const { store } = KeyStore.open(join(folder, 'keys.json'), 'main');
    assert.equal(store.publishKeyOf('constructor'), undefined);
    assert.equal(store.publishKeyOf('__proto__'), undefined);
  });
});

test('a broken key file stops the start instead of being replaced', () => {
  withFolder((folder) => {
    const path = join(folder, 'keys.json');
    for (const content of [
      '{',
      '[]',
      '{"admin":"short","publish":{}}',
      '{"admin":"0123456789abcdef","publish":{"../x":"01234567"}}',
    ]) {
      writeFileSync(path, content);
      assert.throws(() => KeyStore.open(path, 'main'), { code: 'KEYS_UNREADABLE' });
    }
  });
});

const CLAIM: PublishClaim = {
  name: 'main',
  key: undefined,
  isLoopback: true,
  isLoopbackOpen: true,
  isBrowserReachable: false,
  storedKey: 'right-key',
};

const verdictOf = (changes: Partial<PublishClaim>): string => {
  const judgement = judgePublish({ ...CLAIM, ...changes });
  return judgement.ok ? (judgement.isKeyed ? 'keyed' : 'open') : judgement.code;
};

test('who may publish', () => {
  assert.equal(verdictOf({}), 'open');
  assert.equal(verdictOf({ key: 'right-key', isLoopback: false }), 'keyed');
  assert.equal(verdictOf({ key: 'wrong-key' }), 'PUBLISH_KEY_WRONG');
  assert.equal(verdictOf({ key: 'right-key', storedKey: undefined }), 'PUBLISH_KEY_WRONG');
  assert.equal(verdictOf({ isLoopback: false }), 'PUBLISH_KEY_MISSING');
  assert.equal(verdictOf({ isLoopbackOpen: false }), 'PUBLISH_KEY_MISSING');
  assert.equal(verdictOf({ isBrowserReachable: true }), 'PUBLISH_KEY_MISSING');
  assert.equal(verdictOf({ name: '../etc', key: 'right-key' }), 'PUBLISH_NAME_INVALID');
  assert.equal(verdictOf({ key: '', isLoopback: false }), 'PUBLISH_KEY_MISSING');
});

test('loopback is open by itself only where nothing public is configured', () => {
  const home = { isContainer: false, hasTls: false, hasPublicAddress: false, hasTrustedProxy: false };
  assert.equal(isLoopbackOpen('auto', home), true);
  for (const sign of Object.keys(home)) {
    assert.equal(isLoopbackOpen('auto', { ...home, [sign]: true }), false, sign);
  }
  assert.equal(isLoopbackOpen('open', { ...home, isContainer: true }), true);
  assert.equal(isLoopbackOpen('closed', home), false);
});

test('loopback addresses as sockets report them', () => {
  for (const address of ['127.0.0.1', '127.8.8.8', '::1', '::ffff:127.0.0.1']) {
    assert.equal(isLoopbackAddress(address), true, address);
  }
  for (const address of ['10.0.0.1', '::ffff:10.0.0.1', '128.0.0.1', '1270.0.0.1', '']) {
    assert.equal(isLoopbackAddress(address), false, address);
  }
});

test('a root of layers is a container, a root on a disk of its own is a machine', () => {
  assert.equal(hasRootDiskOfItsOwn('27 1 254:0 / / rw,relatime - ext4 /dev/vda rw'), true);
  assert.equal(hasRootDiskOfItsOwn('600 500 0:52 / / rw,relatime master:1 - overlay overlay rw,lowerdir=/x'), false);
  assert.equal(hasRootDiskOfItsOwn('600 500 0:52 /var/lib/docker/btrfs/subvolumes/x / rw - btrfs /dev/sda2 rw'), false);
  assert.equal(hasRootDiskOfItsOwn(''), false);
});
