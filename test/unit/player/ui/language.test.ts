// In which language the player speaks, and that each says everything.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { textsOf } from '../../../../player/ui/language.ts';
import { CHINESE } from '../../../../player/ui/texts-chinese.ts';
import { ENGLISH } from '../../../../player/ui/texts.ts';

test('the first language that there is a table for, else English', () => {
  assert.equal(textsOf(['zh-Hans-CN', 'en']), CHINESE);
  assert.equal(textsOf(['de', 'ZH']), CHINESE);
  assert.equal(textsOf(['de', 'en-GB', 'zh']), ENGLISH);
  assert.equal(textsOf(['zho', '', 'tlh']), ENGLISH);
  assert.equal(textsOf([]), ENGLISH);
});

test('no word is left in the other language', () => {
  const wordsOf = (value: unknown): string[] => {
    if (typeof value === 'string') {
      return [value];
    }
    return typeof value === 'object' && value !== null ? Object.values(value).flatMap(wordsOf) : [];
  };
  const english = new Set(wordsOf(ENGLISH));
  const same = wordsOf(CHINESE).filter((word) => english.has(word) && word !== '');
  assert.deepEqual(same, ['WebRTC', 'LL-HLS']);
  assert.equal(CHINESE.spokenTime(3_723_000), '1小时2分3秒');
  assert.equal(CHINESE.spokenTime(0), '0秒');
});
