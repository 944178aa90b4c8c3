/**
 * AVCDecoderConfigurationRecord (ISO/IEC 14496-15 5.3.3.1):
 *
 *     version=1 | profile | compatibility | level | 0b111111 lengthSize−1 (2) | 0b111 spsCount (5)
 *     { length (16) | SPS }…  | ppsCount (8) | { length (16) | PPS }…  | (High profiles: 4 more bytes and SPS extensions)
 */
import { ByteReader } from '../../base/byte-reader.ts';
import { ProtocolError } from '../../base/errors.ts';

export type AvcConfig = {
  /** `profile_idc`, `constraint_set` flags and `level_idc`, as in `avc1.PPCCLL` and `profile-level-id`. */
  readonly profileIdc: number;
  readonly constraintFlags: number;
  readonly levelIdc: number;
  /** Bytes of each NAL length field as the encoder sends them: 1, 2 or 4. */
  readonly lengthBytes: number;
  readonly sps: readonly Uint8Array[];
  readonly pps: readonly Uint8Array[];
};

/** Throws `ProtocolError` `AVC_CONFIG_INVALID`. The parameter sets are views of `record`. */
export const parseAvcConfig = (record: Uint8Array): AvcConfig => {
  const reader = new ByteReader(record, 'AVC_CONFIG_INVALID');
  const version = reader.u8();
  if (version !== 1) {
    throw new ProtocolError('AVC_CONFIG_INVALID', `configurationVersion is ${version}, expected 1`);
  }
  const profileIdc = reader.u8();
  const constraintFlags = reader.u8();
  const levelIdc = reader.u8();
  const lengthBytes = (reader.u8() & 0x03) + 1;
  if (lengthBytes === 3) {
    throw new ProtocolError('AVC_CONFIG_INVALID', 'NAL length size is 3, expected 1, 2 or 4');
  }
  const sps = readParameterSets(reader, reader.u8() & 0x1f);
  const pps = readParameterSets(reader, reader.u8());
  if (sps.length === 0 || pps.length === 0) {
    throw new ProtocolError(
      'AVC_CONFIG_INVALID',
      `has ${sps.length} SPS and ${pps.length} PPS, expected at least one of each`,
    );
  }
  return { profileIdc, constraintFlags, levelIdc, lengthBytes, sps, pps };
};

const readParameterSets = (reader: ByteReader, count: number): Uint8Array[] => {
  const sets: Uint8Array[] = [];
  for (let index = 0; index < count; index += 1) {
    sets.push(reader.bytes(reader.u16()));
  }
  return sets;
};

/** Builds the record from parameter sets, with 4-byte NAL lengths. Throws `AVC_CONFIG_INVALID` when there is no usable SPS. */
export const buildAvcConfig = (sps: readonly Uint8Array[], pps: readonly Uint8Array[]): Uint8Array => {
  const first = sps[0];
  if (first === undefined || first.byteLength < 4) {
    throw new ProtocolError('AVC_CONFIG_INVALID', 'no SPS of at least 4 bytes');
  }
  const record = [1, first[1] ?? 0, first[2] ?? 0, first[3] ?? 0, 0xff, 0xe0 | sps.length];
  const pushSet = (set: Uint8Array): void => {
    record.push(set.byteLength >> 8, set.byteLength & 0xff, ...set);
  };
  sps.forEach(pushSet);
  record.push(pps.length);
  pps.forEach(pushSet);
  return Uint8Array.from(record);
};

/** `avc1.PPCCLL` (RFC 6381 3.3). */
export const avcCodecString = (config: Pick<AvcConfig, 'profileIdc' | 'constraintFlags' | 'levelIdc'>): string =>
  `avc1.${[config.profileIdc, config.constraintFlags, config.levelIdc].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;

/** Extended, and all with more than 8 bits or more colour than 4:2:0 (H.264 A.2): WebRTC takes none of them, nor do phones. */
const FOREIGN_PROFILES: ReadonlySet<number> = new Set([44, 88, 110, 118, 122, 128, 244]);

/** Whether browsers show H.264 of this profile, by its codec string. */
export const isShownByBrowsers = (codecString: string): boolean =>
  !FOREIGN_PROFILES.has(Number.parseInt(codecString.slice('avc1.'.length, 'avc1.'.length + 2), 16));
