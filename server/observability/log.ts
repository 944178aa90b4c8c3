/**
 * Structured logs: an event name plus fields, never a sentence with values pasted in. Loggers are handed down, each child
 * adding its fields. One line when a session opens, one when it closes; nothing per packet (see `error-tally.ts`).
 */
import pino from 'pino';

export type LogFields = Readonly<Record<string, unknown>>;

export type Log = {
  /** `event` is dotted and stable: `rtmp.session.closed`. */
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
  child(fields: LogFields): Log;
};

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** Paths that never reach a line, whatever a caller hands over. */
const REDACTED = ['key', '*.key', 'token', '*.token', 'secret', '*.secret', 'authorization', '*.authorization'];

/** Writes JSON lines to standard output. */
export const createLog = (options: { level: LogLevel }): Log =>
  wrap(
    pino({
      level: options.level,
      base: null,
      messageKey: 'event',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: REDACTED, censor: '[redacted]' },
    }),
  );

const wrap = (logger: pino.Logger): Log => ({
  debug: (event, fields) => logger.debug(fields ?? {}, event),
  info: (event, fields) => logger.info(fields ?? {}, event),
  warn: (event, fields) => logger.warn(fields ?? {}, event),
  error: (event, fields) => logger.error(fields ?? {}, event),
  child: (fields) => wrap(logger.child(fields)),
});

/** Drops everything: for tests and benches. */
export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLog,
};
