/**
 * A certificate that vouches for itself (RFC 5280, 4.1), for development: an ECDSA key on P-256, the names and addresses it is for, written
 * in DER by hand. Browsers warn of it, as they should.
 *
 *     Certificate    SEQUENCE { TBSCertificate, AlgorithmIdentifier, BIT STRING signature }
 *     TBSCertificate SEQUENCE { [0] version 2, serial, AlgorithmIdentifier, issuer, SEQUENCE { from, to }, subject,
 *                               SubjectPublicKeyInfo, [3] SEQUENCE { basicConstraints, subjectAltName } }
 */
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { ipAddressBytes } from '../../base/ip-address.ts';

export type CertificatePair = { readonly certificatePem: string; readonly keyPem: string };

export type SelfMadeOptions = {
  /** DNS names and IP addresses it is for. */
  readonly names: readonly string[];
  readonly validFromWallMs: number;
  readonly validToWallMs: number;
};

const TAG = { boolean: 0x01, integer: 0x02, bits: 0x03, octets: 0x04, oid: 0x06, utf8: 0x0c, utcTime: 0x17 };
const SEQUENCE = 0x30;
const SET = 0x31;
/** Object identifiers as DER carries them. */
const OID = {
  ecdsaWithSha256: '2a8648ce3d040302',
  commonName: '550403',
  subjectAltName: '551d11',
  basicConstraints: '551d13',
};
/** GeneralName (RFC 5280, 4.2.1.6): [2] dNSName, [7] iPAddress. */
const DNS_NAME = 0x82;
const IP_ADDRESS = 0x87;

/** A fresh key and its certificate. */
export const makeSelfMadeCertificate = (options: SelfMadeOptions): CertificatePair => {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const algorithm = der(SEQUENCE, oid(OID.ecdsaWithSha256));
  const toSign = der(
    SEQUENCE,
    der(0xa0, der(TAG.integer, Buffer.of(2))),
    // Positive and never short: the first byte is 0x40 to 0x7f.
    der(TAG.integer, Buffer.concat([Buffer.of(0x40 | ((randomBytes(1)[0] ?? 0) & 0x3f)), randomBytes(15)])),
    algorithm,
    nameOf('Sluice, made by itself'),
    der(SEQUENCE, timeOf(options.validFromWallMs), timeOf(options.validToWallMs)),
    nameOf('Sluice, made by itself'),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, der(SEQUENCE, basicConstraints(), subjectAltName(options.names))),
  );
  const signature = sign('sha256', toSign, privateKey);
  const certificate = der(SEQUENCE, toSign, algorithm, bits(signature));
  return {
    certificatePem: pem('CERTIFICATE', certificate),
    keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
};

/** Tag, length (X.690, 8.1.3), contents. */
const der = (tag: number, ...contents: readonly Buffer[]): Buffer => {
  const body = Buffer.concat(contents);
  const { length } = body;
  const lengthBytes = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...lengthBytes]), body]);
};

const oid = (hex: string): Buffer => der(TAG.oid, Buffer.from(hex, 'hex'));

const bits = (bytes: Buffer): Buffer => der(TAG.bits, Buffer.of(0), bytes);

const nameOf = (commonName: string): Buffer =>
  der(SEQUENCE, der(SET, der(SEQUENCE, oid(OID.commonName), der(TAG.utf8, Buffer.from(commonName)))));

/** UTCTime: two digits of the year, right for dates before 2050 (RFC 5280, 4.1.2.5.1). */
const timeOf = (wallMs: number): Buffer =>
  der(
    TAG.utcTime,
    Buffer.from(
      `${new Date(wallMs)
        .toISOString()
        .slice(2)
        .replaceAll(/[-:T]|\..*/g, '')}Z`,
    ),
  );

/** Critical, and an authority: a person may then choose to trust it in the system's store. */
const basicConstraints = (): Buffer =>
  der(
    SEQUENCE,
    oid(OID.basicConstraints),
    der(TAG.boolean, Buffer.of(0xff)),
    der(TAG.octets, der(SEQUENCE, der(TAG.boolean, Buffer.of(0xff)))),
  );

const subjectAltName = (names: readonly string[]): Buffer => {
  const generalNames = names.map((name) => {
    const address = ipAddressBytes(name);
    return address === undefined ? der(DNS_NAME, Buffer.from(name, 'ascii')) : der(IP_ADDRESS, address);
  });
  return der(SEQUENCE, oid(OID.subjectAltName), der(TAG.octets, der(SEQUENCE, ...generalNames)));
};

const pem = (label: string, bytes: Buffer): string =>
  `-----BEGIN ${label}-----\n${bytes.toString('base64').replaceAll(/.{64}/g, '$&\n').trimEnd()}\n-----END ${label}-----\n`;
