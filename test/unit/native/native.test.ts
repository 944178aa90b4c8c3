/** The loader of the addon. Where it could not be built (no compiler) there is a reason, and the rest is skipped. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { loadNative } from '../../../server/native/native.ts';

test('without the addon there is a reason, with it there is none', () => {
  const { native, reason } = loadNative();
  assert.equal(native === undefined, typeof reason === 'string');
  assert.deepEqual(loadNative('off'), { native: undefined, reason: 'webrtc.native is off' });
});
