/** What comes of a DTLS peer in disorder reaches the engine in order. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { DtlsInbox } from '../../../server/webrtc-transport/dtls-inbox.ts';

const CLIENT_KEY_EXCHANGE = 16;
const CERTIFICATE = 11;
const SERVER_HELLO_DONE = 14;
const CERTIFICATE_VERIFY = 15;
const CHANGE_CIPHER_SPEC = 20;

const record = (contentType: number, epoch: number, fragment: Buffer): Buffer => {
  const head = Buffer.from([contentType, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, 0, 0, 0]);
  head.writeUInt16BE(fragment.length, 11);
  return Buffer.concat([head, fragment]);
};

const message = (
  type: number,
  messageSeq16: number,
  body: string,
  { from = 0, to = body.length }: { from?: number; to?: number } = {},
): Buffer => {
  const head = Buffer.alloc(12);
  head.writeUInt8(type, 0);
  head.writeUIntBE(body.length, 1, 3);
  head.writeUInt16BE(messageSeq16, 4);
  head.writeUIntBE(from, 6, 3);
  head.writeUIntBE(to - from, 9, 3);
  return record(22, 0, Buffer.concat([head, Buffer.from(body.slice(from, to))]));
};

const bodies = (inbox: DtlsInbox, ...records: Buffer[]): string[] =>
  inbox
    .take(Buffer.concat(records))
    .records.map((taken) => taken.subarray(taken[0] === 22 && taken[4] === 0 ? 25 : 13).toString());

const change = record(CHANGE_CIPHER_SPEC, 0, Buffer.from('change'));
const finished = record(22, 1, Buffer.from('the encrypted finished'));

test('messages come once and in order, whatever order and however often they arrive', () => {
  const inbox = new DtlsInbox();
  assert.deepEqual(bodies(inbox, message(CLIENT_KEY_EXCHANGE, 1, 'second')), []);
  assert.deepEqual(bodies(inbox, message(11, 0, 'first')), ['first', 'second']);
  const again = inbox.take(Buffer.concat([message(11, 0, 'first'), message(CLIENT_KEY_EXCHANGE, 1, 'second')]));
  assert.deepEqual(again, { records: [], isRetransmission: true });
});

test('fragments are joined, also when the last comes first and some come twice', () => {
  const inbox = new DtlsInbox();
  assert.deepEqual(bodies(inbox, message(1, 0, 'abcdef', { from: 4 })), []);
  assert.deepEqual(bodies(inbox, message(1, 0, 'abcdef', { to: 3 }), message(1, 0, 'abcdef', { to: 3 })), []);
  assert.deepEqual(bodies(inbox, message(1, 0, 'abcdef', { from: 2, to: 5 })), ['abcdef']);
});

test('the change of ciphers and the encrypted Finished wait for what comes before them, and are handled once', () => {
  const inbox = new DtlsInbox();
  assert.deepEqual(bodies(inbox, finished), []);
  assert.deepEqual(bodies(inbox, message(CERTIFICATE_VERIFY, 0, 'verify')), ['verify']);
  assert.deepEqual(bodies(inbox, change), ['change', 'the encrypted finished']);
  assert.deepEqual(inbox.take(finished), { records: [], isRetransmission: true });
  const changed = inbox.take(Buffer.concat([change, finished]));
  assert.deepEqual(changed, { records: [], isRetransmission: true });
});

test('a client without a certificate verifies nothing: its Finished follows the ClientKeyExchange', () => {
  const inbox = new DtlsInbox();
  const [none, keys] = [message(CERTIFICATE, 0, '\0\0\0'), message(CLIENT_KEY_EXCHANGE, 1, 'keys')];
  assert.deepEqual(bodies(inbox, none, change, finished), ['\0\0\0']);
  assert.deepEqual(bodies(inbox, keys), ['keys', 'change', 'the encrypted finished']);
});

test("a client's inbox lets the Finished through after ServerHelloDone", () => {
  const inbox = new DtlsInbox('client');
  assert.deepEqual(bodies(inbox, change, finished), []);
  assert.deepEqual(bodies(inbox, message(SERVER_HELLO_DONE, 0, 'done')), ['done', 'change', 'the encrypted finished']);
});

test('what is handed on in the clear is numbered as if nothing had been lost or turned round', () => {
  const inbox = new DtlsInbox();
  const numbers = (...records: Buffer[]): number[] =>
    inbox.take(Buffer.concat(records)).records.map((taken) => taken.readUIntBE(5, 6));
  assert.deepEqual(numbers(message(11, 1, 'second')), []);
  assert.deepEqual(numbers(message(1, 0, 'first'), message(1, 0, 'first')), [0, 1]);
  assert.deepEqual(numbers(message(CERTIFICATE_VERIFY, 2, 'verify'), change), [2]);
  assert.deepEqual(numbers(finished), [3, 0]);
});

test('what is malformed, too large or too far ahead is left out; nothing renegotiates after the end', () => {
  const inbox = new DtlsInbox();
  const long = message(11, 0, 'x');
  long.writeUIntBE(20_000, 14, 3);
  assert.deepEqual(bodies(inbox, long), []);
  assert.deepEqual(bodies(inbox, record(22, 0, Buffer.from('short')), Buffer.from([22, 0xfe])), []);
  assert.deepEqual(bodies(inbox, message(11, 4_000, 'far')), []);
  assert.deepEqual(bodies(inbox, message(CERTIFICATE_VERIFY, 0, 'verify'), change, finished).length, 3);
  assert.deepEqual(bodies(inbox, message(1, 1, 'hello again')), []);
  assert.deepEqual(bodies(inbox, record(21, 0, Buffer.from('forged alert'))), []);
  assert.deepEqual(bodies(inbox, record(21, 1, Buffer.from('alert'))), ['alert']);
});
