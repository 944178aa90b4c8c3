/** Everything about RTMP that can be set, with its defaults. */
import type { DoctorFinding } from '../finding.ts';
import type { RtmpLimits } from './guarded-rtmp.ts';

export type RtmpServerOptions = RtmpLimits & {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
  readonly connectionMaxCount: number;
  readonly connectionPerAddressMaxCount: number;
  /** Half-received messages of all connections together. With what is written to sockets, this is what strangers can make us hold. */
  readonly totalBufferedMaxBytes: number;
  /** Answers that the peer does not read. */
  readonly outputBufferedMaxBytes: number;
  /** From the connection to the end of the handshake. */
  readonly handshakeTimeoutMs: number;
  /** From the connection to an accepted publish, the gate's time included. */
  readonly publishTimeoutMs: number;
  /** Without a whole media message. */
  readonly idleTimeoutMs: number;
  /** How long a refused peer may take to read why. */
  readonly lingerMs: number;
  readonly tickEveryMs: number;
  /** Messages read of one connection before others get their turn. */
  readonly turnMessageMaxCount: number;
};

/**
 * Held by strangers at most: connections × 128 KiB (two commands' worth), and never more than `totalBufferedMaxBytes`
 * with publishers included.
 */
export const DEFAULT_RTMP_OPTIONS: RtmpServerOptions = {
  host: '0.0.0.0',
  port: 1935,
  connectionMaxCount: 200,
  connectionPerAddressMaxCount: 32,
  messageMaxBytes: 4 * 1024 * 1024,
  commandMaxBytes: 64 * 1024,
  chunkStreamMaxCount: 16,
  connectionBufferedMaxBytes: 8 * 1024 * 1024,
  totalBufferedMaxBytes: 64 * 1024 * 1024,
  beforePublishMaxBytes: 256 * 1024,
  outputBufferedMaxBytes: 256 * 1024,
  handshakeTimeoutMs: 5_000,
  publishTimeoutMs: 15_000,
  idleTimeoutMs: 15_000,
  lingerMs: 1_000,
  tickEveryMs: 500,
  turnMessageMaxCount: 256,
};

/** Told to the API's side of `main.ts` when a doctor changes its mind. */
export type OnFindings = (name: string, findings: readonly DoctorFinding[]) => void;
