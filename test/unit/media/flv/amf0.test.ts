/** AMF0 there and back, and its bounds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AmfValue } from '../../../../server/media/flv/amf0.ts';
import { readAmf0, writeAmf0 } from '../../../../server/media/flv/amf0.ts';

const hasCode = (code: string) => (error: unknown) => (error as { code?: string }).code === code;

test('values come back as they were written', () => {
  const values: AmfValue[] = [
    'onStatus',
    1.5,
    true,
    null,
    undefined,
    new Date(86_400_000),
    ['avc1', 2],
    new Map<string, AmfValue>([
      ['größe', 'x'],
      ['inner', new Map([['a', 1]])],
    ]),
  ];
  assert.deepEqual(readAmf0(writeAmf0(values)), values);
});

test('an ECMA array is an object, whatever count it claims', () => {
  const bytes = Buffer.from([8, 0xff, 0xff, 0xff, 0xff, 0, 1, 97, 1, 1, 0, 0, 9]);
  assert.deepEqual(readAmf0(bytes), [new Map([['a', true]])]);
});

test('depth, number of values, truncation and unknown markers are refused', () => {
  const deep = Buffer.concat(Array.from({ length: 20 }, () => Buffer.from([3, 0, 1, 97])));
  assert.throws(() => readAmf0(deep), hasCode('AMF_TOO_DEEP'));
  assert.throws(() => readAmf0(Buffer.alloc(2_000, 5)), hasCode('AMF_TOO_MANY_VALUES'));
  assert.throws(() => readAmf0(Buffer.from([2, 0, 5, 97])), hasCode('AMF_INVALID'));
  assert.throws(() => readAmf0(Buffer.from([7, 0, 0])), hasCode('AMF_INVALID'));
});
