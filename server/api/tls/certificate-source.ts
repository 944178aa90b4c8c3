/**
 * Where the TLS door has its certificate from: two files, read again every few seconds (links that are swapped, files replaced, mounts
 * that tell nobody: all are seen), or a self-made pair in the data folder. A new pair that does not work is refused aloud and the old one stays.
 */
import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import type { Clock } from '../../base/clock.ts';
import { WorldError, messageOf } from '../../base/errors.ts';
import { replacePrivateFile } from '../../base/private-file.ts';
import type { Log } from '../../observability/log.ts';
import type { Metrics } from '../../observability/metrics.ts';
import type { CertificatePair } from './self-made-certificate.ts';
import { makeSelfMadeCertificate } from './self-made-certificate.ts';

export type CertificateOptions = {
  /** PEM: the server's certificate, then those between it and the root. Empty: none. */
  readonly certificateFile: string;
  /** PEM, without a passphrase. */
  readonly keyFile: string;
  /** Without files: makes a pair for development. */
  readonly selfMade: boolean;
  /** More names and addresses the self-made one is for, beside localhost and this machine's name. */
  readonly selfMadeNames: readonly string[];
  readonly reloadEveryMs: number;
};

type Parts = { readonly dataDir: string; readonly clock: Clock; readonly log: Log; readonly metrics: Metrics };

const DAY_MS = 86_400_000;
/** What browsers take at most from authorities; a self-made one need not live longer either. */
const SELF_MADE_DAYS = 397;
const RENEW_BEFORE_MS = 30 * DAY_MS;
const WARN_BEFORE_MS = 14 * DAY_MS;
/** Clocks of other machines may lag. */
const BACKDATE_MS = 3_600_000;
const PAIR_MAX_BYTES = 1_048_576;

/** Whether a TLS door is wanted. Throws `WorldError` `TLS_FILES_INCOMPLETE` when only one of the two files is named. */
export const isTlsWanted = ({ certificateFile, keyFile, selfMade }: CertificateOptions): boolean => {
  if ((certificateFile === '') !== (keyFile === '')) {
    throw new WorldError('TLS_FILES_INCOMPLETE', 'tls.certificateFile and tls.keyFile: expected both or neither');
  }
  return certificateFile !== '' || selfMade;
};

export class CertificateSource {
  readonly #options: CertificateOptions;
  readonly #parts: Parts;
  readonly #timer: NodeJS.Timeout;
  #pair: CertificatePair;
  #expiresAtWallMs: number;
  #refused = '';
  #warnedAtWallMs = 0;
  #onChange: (pair: CertificatePair) => void = () => undefined;

  /** Throws `WorldError` (`TLS_FILES_UNREADABLE`, `TLS_PAIR_BROKEN`) when there is nothing to begin with. */
  constructor(options: CertificateOptions, parts: Parts) {
    this.#options = options;
    this.#parts = parts;
    this.#pair = this.#read();
    this.#expiresAtWallMs = expiryOf(this.#pair);
    this.#warnOfExpiry();
    parts.metrics.observedGauge(
      'tls_certificate_expires_timestamp_seconds',
      'Until when the certificate in use is valid, Unix time',
      () => this.#expiresAtWallMs / 1000,
    );
    this.#timer = setInterval(() => this.look(), options.reloadEveryMs).unref();
  }

  get pair(): CertificatePair {
    return this.#pair;
  }

  /** `onChange` is told of every pair that replaces one. One listener. */
  listen(onChange: (pair: CertificatePair) => void): void {
    this.#onChange = onChange;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** Reads again now. Never throws: the same fault is logged once. */
  look(): void {
    const { log, metrics } = this.#parts;
    const reloads = metrics.counter('tls_reloads_total', 'New certificates, taken or refused', ['result']);
    try {
      const pair = this.#read();
      this.#refused = '';
      if (pair.certificatePem !== this.#pair.certificatePem || pair.keyPem !== this.#pair.keyPem) {
        this.#pair = pair;
        this.#expiresAtWallMs = expiryOf(pair);
        this.#onChange(pair);
        reloads.inc({ result: 'taken' });
        log.info('tls.certificate.reloaded', { expiresAt: new Date(this.#expiresAtWallMs).toISOString() });
      }
    } catch (error) {
      if (messageOf(error) !== this.#refused) {
        this.#refused = messageOf(error);
        reloads.inc({ result: 'refused' });
        log.error('tls.certificate.refused', { error: this.#refused, kept: 'the one in use' });
      }
    }
    this.#warnOfExpiry();
  }

  #read(): CertificatePair {
    const { certificateFile, keyFile } = this.#options;
    const pair =
      certificateFile === ''
        ? this.#selfMade()
        : { certificatePem: readPem(certificateFile), keyPem: readPem(keyFile) };
    checkPair(pair);
    return pair;
  }

  /** The kept pair, or a new one when there is none, when it nears its end, or when it is for other names. */
  #selfMade(): CertificatePair {
    const folder = join(this.#parts.dataDir, 'tls');
    const paths = { certificate: join(folder, 'self-made.crt'), key: join(folder, 'self-made.key') };
    const names = [...new Set(['localhost', hostname(), '127.0.0.1', '::1', ...this.#options.selfMadeNames])];
    const nowWallMs = this.#parts.clock.wallMs();
    if (existsSync(paths.certificate) && existsSync(paths.key)) {
      const kept = { certificatePem: readPem(paths.certificate), keyPem: readPem(paths.key) };
      if (isStillGood(kept, names, nowWallMs)) {
        return kept;
      }
    }
    const made = makeSelfMadeCertificate({
      names,
      validFromWallMs: nowWallMs - BACKDATE_MS,
      validToWallMs: nowWallMs + SELF_MADE_DAYS * DAY_MS,
    });
    replacePrivateFile(paths.key, made.keyPem);
    replacePrivateFile(paths.certificate, made.certificatePem);
    this.#parts.log.warn('tls.certificate.self-made', { names, path: paths.certificate });
    return made;
  }

  #warnOfExpiry(): void {
    const nowWallMs = this.#parts.clock.wallMs();
    const leftMs = this.#expiresAtWallMs - nowWallMs;
    if (leftMs < WARN_BEFORE_MS && nowWallMs - this.#warnedAtWallMs > DAY_MS) {
      this.#warnedAtWallMs = nowWallMs;
      const event = leftMs < 0 ? 'tls.certificate.expired' : 'tls.certificate.expires-soon';
      this.#parts.log.error(event, { expiresAt: new Date(this.#expiresAtWallMs).toISOString() });
    }
  }
}

const readPem = (path: string): string => {
  try {
    const bytes = readFileSync(path);
    if (bytes.length <= PAIR_MAX_BYTES) {
      return bytes.toString('latin1');
    }
  } catch (error) {
    throw new WorldError('TLS_FILES_UNREADABLE', `${path}: ${messageOf(error)}`, error);
  }
  throw new WorldError('TLS_FILES_UNREADABLE', `${path}: over ${PAIR_MAX_BYTES} bytes, expected a PEM file`);
};

/** OpenSSL itself says whether they are whole and belong together (a half-done replacement shows here). */
const checkPair = ({ certificatePem, keyPem }: CertificatePair): void => {
  try {
    createSecureContext({ cert: certificatePem, key: keyPem });
    expiryOf({ certificatePem, keyPem });
  } catch (error) {
    throw new WorldError('TLS_PAIR_BROKEN', `certificate and key do not work together: ${messageOf(error)}`, error);
  }
};

const expiryOf = ({ certificatePem }: CertificatePair): number =>
  Date.parse(new X509Certificate(certificatePem).validTo);

const isStillGood = (pair: CertificatePair, names: readonly string[], nowWallMs: number): boolean => {
  try {
    checkPair(pair);
  } catch {
    // A broken self-made pair is nobody's property: it is simply made anew.
    return false;
  }
  const certificate = new X509Certificate(pair.certificatePem);
  const isFor = (name: string): boolean =>
    certificate.checkHost(name) !== undefined || certificate.checkIP(name) !== undefined;
  return expiryOf(pair) - nowWallMs > RENEW_BEFORE_MS && names.every(isFor);
};
