// A picture's date is that of the piece it came in.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AppendedPieces } from '../../../../player/playout/appended-pieces.ts';

test('the date follows the piece, over joins, gaps of the encoder and what another rendition laid over it', () => {
  const pieces = new AppendedPieces();
  assert.equal(pieces.wallMsAt(0), null);
  pieces.note({ startS: 10, durationS: 2, startAtWallMs: 1000 });
  pieces.note({ startS: 12, durationS: 2, startAtWallMs: 9000 });
  assert.equal(pieces.wallMsAt(11.5), 2500);
  assert.equal(pieces.wallMsAt(12), 9000, 'the encoder was away for six seconds');
  assert.equal(pieces.wallMsAt(14.01), 11_010);
  assert.equal(pieces.wallMsAt(15), null);
  pieces.note({ startS: 11, durationS: 1, startAtWallMs: 2000.5 });
  assert.equal(pieces.wallMsAt(11.5), 2500.5);
  pieces.clear();
  assert.equal(pieces.wallMsAt(11.5), null);
});

test('it remembers what an element holds, not more', () => {
  const pieces = new AppendedPieces();
  for (let index = 0; index < 1000; index += 1) {
    pieces.note({ startS: index, durationS: 1, startAtWallMs: index });
  }
  assert.deepEqual([pieces.wallMsAt(0), pieces.wallMsAt(999)], [null, 999]);
});
