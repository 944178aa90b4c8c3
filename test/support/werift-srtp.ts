/** SRTP and SRTCP by werift, from the keys of a handshake: a second opinion on ours, and what opens packets for the load. */
import { createRequire } from 'node:module';
import type { SrtpKeys } from '../../server/webrtc-transport/dtls.ts';

/** Both throw on what is not authentic. */
export type WeriftSession = { encrypt(bytes: Buffer): Buffer; decrypt(bytes: Buffer): Buffer };
export type WeriftRtpSession = {
  encrypt(payload: Buffer, header: object): Buffer;
  decrypt(bytes: Buffer): Buffer;
};

const werift = createRequire(import.meta.url)('werift') as {
  RtpPacket: { deSerialize(bytes: Buffer): { readonly header: object; readonly payload: Buffer } };
  SrtpSession: new (config: object) => WeriftRtpSession;
  SrtcpSession: new (config: object) => WeriftSession;
};

export const openSrtp = (keys: SrtpKeys): WeriftRtpSession => new werift.SrtpSession(configOf(keys));

/** One packet in clear, encrypted as its header says. */
export const encryptRtp = (session: WeriftRtpSession, packet: Buffer): Buffer => {
  const { header, payload } = werift.RtpPacket.deSerialize(packet);
  return session.encrypt(payload, header);
};

export const openSrtcp = (keys: SrtpKeys): WeriftSession => new werift.SrtcpSession(configOf(keys));

const configOf = (keys: SrtpKeys): object => ({
  profile: keys.profile,
  keys: {
    localMasterKey: keys.localKey,
    localMasterSalt: keys.localSalt,
    remoteMasterKey: keys.remoteKey,
    remoteMasterSalt: keys.remoteSalt,
  },
});
