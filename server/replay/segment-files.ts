/** Reads the heads of recorded fragments where they lie, and single samples: what makes an MP4 or a thumbnail without reading all the media. */
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { ProtocolError, WorldError, messageOf } from '../base/errors.ts';
import type { FragmentHead } from '../media/fmp4/fragment-reader.ts';
import { FRAGMENT_HEAD_USUAL_BYTES, headBytesOf, readFragmentHead } from '../media/fmp4/fragment-reader.ts';
import type { OpenRecording, RecordedSegment } from './recording.ts';

/** A fragment's head, and where the fragment begins in its file. */
export type HeadAt = { readonly head: FragmentHead; readonly byteOffset: number };

/** A segment of so little is read whole: one read instead of one a fragment. */
const WHOLE_READ_MAX_BYTES = 65_536;

/** The recording's files, opened once each. */
export class SegmentFiles {
  readonly paths: string[] = [];
  readonly #recording: OpenRecording;
  readonly #numbers = new Map<string, number>();
  readonly #handles = new Map<string, Promise<FileHandle>>();

  constructor(recording: OpenRecording) {
    this.#recording = recording;
  }

  /** Place in `paths`. */
  numberOf(segment: RecordedSegment): number {
    const path = this.#recording.mediaFilePath(segment);
    const known = this.#numbers.get(path);
    if (known !== undefined) {
      return known;
    }
    const number = this.paths.push(path) - 1;
    this.#numbers.set(path, number);
    return number;
  }

  /** Of all its fragments. Rejects with `WorldError` `REPLAY_MEDIA_GONE` or `ProtocolError` `FMP4_DAMAGED`. */
  async readHeads(segment: RecordedSegment): Promise<readonly HeadAt[]> {
    const isSmall = segment.byteLength <= WHOLE_READ_MAX_BYTES;
    const whole = isSmall ? await this.#read(segment, segment.byteOffset, segment.byteLength) : undefined;
    const endByte = segment.byteOffset + segment.byteLength;
    const heads: HeadAt[] = [];
    for (let byteOffset = segment.byteOffset; byteOffset < endByte;) {
      const head =
        whole === undefined
          ? await this.#readHead(segment, byteOffset, endByte)
          : readFragmentHead(whole.subarray(byteOffset - segment.byteOffset));
      if (head === undefined || byteOffset + head.fragmentBytes > endByte) {
        throw new ProtocolError('FMP4_DAMAGED', `segment ${segment.msn} ends inside a fragment`);
      }
      heads.push({ head, byteOffset });
      byteOffset += head.fragmentBytes;
    }
    return heads;
  }

  /** The first sample of a segment, if decoding can start there. Rejects as `readHeads`. */
  async readFirstKeyframe(segment: RecordedSegment): Promise<Uint8Array | undefined> {
    const head = await this.#readHead(segment, segment.byteOffset, segment.byteOffset + segment.byteLength);
    const sizeBytes = head?.sizesBytes[0];
    return head === undefined || sizeBytes === undefined || head.keyframes[0] !== 1
      ? undefined
      : this.#read(segment, segment.byteOffset + head.dataStartBytes, sizeBytes);
  }

  async close(): Promise<void> {
    const opened = await Promise.allSettled(this.#handles.values());
    const handles = opened.flatMap((result) => (result.status === 'fulfilled' ? result.value : []));
    await Promise.allSettled(handles.map(async (handle) => handle.close()));
  }

  async #readHead(segment: RecordedSegment, byteOffset: number, endByte: number): Promise<FragmentHead | undefined> {
    const usual = await this.#read(segment, byteOffset, Math.min(FRAGMENT_HEAD_USUAL_BYTES, endByte - byteOffset));
    const head = readFragmentHead(usual);
    const neededBytes = headBytesOf(usual);
    if (head !== undefined || byteOffset + neededBytes > endByte) {
      return head;
    }
    return readFragmentHead(await this.#read(segment, byteOffset, neededBytes));
  }

  async #read(segment: RecordedSegment, byteOffset: number, byteLength: number): Promise<Uint8Array> {
    const path = this.#recording.mediaFilePath(segment);
    const known = this.#handles.get(path);
    const opening = known ?? open(path, 'r');
    if (known === undefined) {
      this.#handles.set(path, opening);
    }
    try {
      const { buffer, bytesRead } = await (
        await opening
      ).read(Buffer.allocUnsafe(byteLength), 0, byteLength, byteOffset);
      if (bytesRead === byteLength) {
        return buffer;
      }
    } catch (error) {
      throw new WorldError('REPLAY_MEDIA_GONE', `segment ${segment.msn}: ${messageOf(error)}`, error);
    }
    throw new WorldError('REPLAY_MEDIA_GONE', `segment ${segment.msn} is shorter on disk than in the index`);
  }
}
