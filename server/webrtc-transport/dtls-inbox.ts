/**
 * What a DTLS peer sends during the handshake, put in order for an engine that must see each message once (RFC 6347 4.2.2 to 4.2.4):
 * fragments are joined, messages that came too early wait, repeated ones are taken out and reported as a retransmission, and the change of ciphers and
 * the encrypted Finished wait for all that comes before them. werift handles none of this: a repeated ClientKeyExchange makes it derive
 * its keys anew from too many messages, and then the two sides never agree. OpenSSL does, but keeps 16 kB for each record that is early, and code that joins a stranger's fragments has
 * had holes before; so it gets whole messages too, under numbers of our own, because it takes a repeated number for a replay.
 *
 *     record     content type 1 | version 2 | epoch 2 | sequence number 6 | length 2 | fragment
 *     handshake  message type 1 | length 3 | message sequence 2 | fragment offset 3 | fragment length 3 | body
 */
import type { DtlsRole } from './dtls.ts';

const RECORD_HEADER_BYTES = 13;
const HANDSHAKE_HEADER_BYTES = 12;
const CONTENT_CHANGE_CIPHER_SPEC = 20;
const CONTENT_HANDSHAKE = 22;
const CERTIFICATE = 11;
const CLIENT_KEY_EXCHANGE = 16;
const EMPTY_LIST_BYTES = 3;
/** The message before the other side's Finished: ServerHelloDone, CertificateVerify. */
const LAST_PLAIN: Readonly<Record<DtlsRole, number>> = { client: 14, server: 15 };

/** A browser's certificate takes under 1 kB, its ClientHello under 2. With its header it fits into one record. */
const MESSAGE_MAX_BYTES = 16_384 - HANDSHAKE_HEADER_BYTES;
/** Messages of a client's handshake: two ClientHellos, Certificate, ClientKeyExchange, CertificateVerify, Finished; of a server's one more. */
const MESSAGE_MAX_COUNT = 8;
const EPOCH_PLAIN = 0;

export type DtlsIntake = {
  /** Records to handle now, in this order, each whole and alone. */
  readonly records: readonly Buffer[];
  /** The peer repeated what it had sent before: it lacks our last flight. */
  readonly isRetransmission: boolean;
};

type Message = { readonly body: Buffer; readonly type: number; readonly has: Uint8Array; missingBytes: number };

export class DtlsInbox {
  readonly #early = new Map<number, Message>();
  #lastPlainType: number;
  #nextSeq16 = 0;
  #recordCount = 0;
  #mayFinish = false;
  #waitingChange: Buffer | undefined;
  #waitingFinished: Buffer | undefined;
  #hasFinished = false;

  /** For whoever has this role: what comes is the other's. */
  constructor(role: DtlsRole = 'server') {
    this.#lastPlainType = LAST_PLAIN[role];
  }

  /** One datagram. What is malformed or beyond the caps is left out. */
  take(datagram: Buffer): DtlsIntake {
    const records: Buffer[] = [];
    let isRetransmission = false;
    for (const record of splitRecords(datagram)) {
      const isPlain = record.readUInt16BE(3) === EPOCH_PLAIN;
      if (record[0] === CONTENT_HANDSHAKE && isPlain) {
        isRetransmission = this.#takePlain(record, records) || isRetransmission;
      } else if (this.#hasFinished) {
        isRetransmission ||= record[0] === CONTENT_HANDSHAKE;
        // Nothing that is not encrypted counts any more.
        if (!isPlain && record[0] !== CONTENT_HANDSHAKE) {
          records.push(record);
        }
      } else if (record[0] === CONTENT_HANDSHAKE) {
        this.#waitingFinished ??= record;
      } else if (record[0] === CONTENT_CHANGE_CIPHER_SPEC) {
        this.#waitingChange ??= record;
      } else if (isPlain) {
        records.push(this.#number(Buffer.from(record)));
      }
    }
    if (this.#mayFinish && this.#waitingChange !== undefined && this.#waitingFinished !== undefined) {
      records.push(this.#number(Buffer.from(this.#waitingChange)), this.#waitingFinished);
      this.#waitingChange = undefined;
      this.#waitingFinished = undefined;
      this.#hasFinished = true;
    }
    return { records, isRetransmission };
  }

  /** Returns whether the message had been handled before. */
  #takePlain(record: Buffer, records: Buffer[]): boolean {
    const fragment = readFragment(record);
    if (fragment === undefined) {
      return false;
    }
    if (fragment.messageSeq16 < this.#nextSeq16) {
      return true;
    }
    // Once the handshake is over nothing of ours renegotiates.
    if (fragment.messageSeq16 < MESSAGE_MAX_COUNT && !this.#hasFinished) {
      addFragment(this.#messageOf(fragment), fragment);
      this.#deliver(record, records);
    }
    return false;
  }

  #messageOf(fragment: Fragment): Message {
    const { messageSeq16, lengthBytes, type } = fragment;
    const known = this.#early.get(messageSeq16);
    if (known !== undefined && known.body.length === lengthBytes && known.type === type) {
      return known;
    }
    const message = {
      body: Buffer.alloc(lengthBytes),
      type,
      has: new Uint8Array(lengthBytes),
      missingBytes: lengthBytes,
    };
    this.#early.set(messageSeq16, message);
    return message;
  }

  #deliver(like: Buffer, records: Buffer[]): void {
    for (;;) {
      const message = this.#early.get(this.#nextSeq16);
      if (message === undefined || message.missingBytes > 0) {
        return;
      }
      records.push(this.#number(buildRecord(like, message, this.#nextSeq16)));
      this.#early.delete(this.#nextSeq16);
      this.#nextSeq16 += 1;
      if (message.type === CERTIFICATE && message.body.length <= EMPTY_LIST_BYTES) {
        // Who has no certificate has nothing to verify.
        this.#lastPlainType = CLIENT_KEY_EXCHANGE;
      }
      this.#mayFinish ||= message.type === this.#lastPlainType;
    }
  }

  /** Record sequence numbers as if nothing had been lost, repeated or turned round. */
  #number(record: Buffer): Buffer {
    record.writeUIntBE(this.#recordCount, 5, 6);
    this.#recordCount += 1;
    return record;
  }
}

type Fragment = {
  readonly type: number;
  readonly lengthBytes: number;
  readonly messageSeq16: number;
  readonly offsetBytes: number;
  readonly bytes: Buffer;
};

const splitRecords = (datagram: Buffer): Buffer[] => {
  const records: Buffer[] = [];
  let at = 0;
  while (at + RECORD_HEADER_BYTES <= datagram.length) {
    const end = at + RECORD_HEADER_BYTES + datagram.readUInt16BE(at + 11);
    if (end > datagram.length) {
      break;
    }
    records.push(datagram.subarray(at, end));
    at = end;
  }
  return records;
};

const readFragment = (record: Buffer): Fragment | undefined => {
  const handshake = record.subarray(RECORD_HEADER_BYTES);
  if (handshake.length < HANDSHAKE_HEADER_BYTES) {
    return undefined;
  }
  const lengthBytes = handshake.readUIntBE(1, 3);
  const offsetBytes = handshake.readUIntBE(6, 3);
  const bytes = handshake.subarray(HANDSHAKE_HEADER_BYTES, HANDSHAKE_HEADER_BYTES + handshake.readUIntBE(9, 3));
  const isSound =
    bytes.length === handshake.readUIntBE(9, 3) &&
    lengthBytes <= MESSAGE_MAX_BYTES &&
    offsetBytes + bytes.length <= lengthBytes;
  return isSound
    ? { type: handshake.readUInt8(0), lengthBytes, messageSeq16: handshake.readUInt16BE(4), offsetBytes, bytes }
    : undefined;
};

const addFragment = (message: Message, { offsetBytes, bytes }: Fragment): void => {
  bytes.copy(message.body, offsetBytes);
  for (let at = offsetBytes; at < offsetBytes + bytes.length; at += 1) {
    message.missingBytes -= message.has[at] === 1 ? 0 : 1;
    message.has[at] = 1;
  }
};

/** A record that holds the message whole; version and epoch as in `like`. */
const buildRecord = (like: Buffer, { body, type }: Message, messageSeq16: number): Buffer => {
  const record = Buffer.alloc(RECORD_HEADER_BYTES + HANDSHAKE_HEADER_BYTES + body.length);
  like.copy(record, 0, 0, RECORD_HEADER_BYTES);
  record.writeUInt16BE(HANDSHAKE_HEADER_BYTES + body.length, 11);
  record.writeUInt8(type, RECORD_HEADER_BYTES);
  record.writeUIntBE(body.length, RECORD_HEADER_BYTES + 1, 3);
  record.writeUInt16BE(messageSeq16, RECORD_HEADER_BYTES + 4);
  record.writeUIntBE(body.length, RECORD_HEADER_BYTES + 9, 3);
  body.copy(record, RECORD_HEADER_BYTES + HANDSHAKE_HEADER_BYTES);
  return record;
};
