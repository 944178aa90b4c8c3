/** A real RTMP server on a free port with a gate that knows one key, and what it was fed. For tests. */
import { systemClock } from '../../server/base/clock.ts';
import type { PublishGate, PublishRequest } from '../../server/ingest/publish-gate.ts';
import type { RtmpServerOptions } from '../../server/ingest/rtmp/options.ts';
import { RtmpServer } from '../../server/ingest/rtmp/server.ts';
import type { SourceUnit } from '../../server/media/access-unit.ts';
import { Metrics } from '../../server/observability/metrics.ts';
import type { Log, LogFields } from '../../server/observability/log.ts';

export type RigLine = { readonly level: string; readonly event: string; readonly fields: LogFields };

export type RtmpRig = {
  readonly server: RtmpServer;
  readonly port: number;
  readonly metrics: Metrics;
  /** Units by name, in order of arrival, from whoever holds the name. */
  readonly units: Map<string, SourceUnit[]>;
  readonly closed: { readonly name: string; readonly reason: string }[];
  readonly asked: PublishRequest[];
  readonly lines: RigLine[];
  close(): Promise<void>;
};

/** Anyone may publish whose key is `right`, or none at all; the same name is taken over by a key, refused without. */
export const startRtmpRig = async (
  options: Partial<RtmpServerOptions> = {},
  gateBefore: (request: PublishRequest) => Promise<void> = async () => undefined,
): Promise<RtmpRig> => {
  const units = new Map<string, SourceUnit[]>();
  const closed: { name: string; reason: string }[] = [];
  const asked: PublishRequest[] = [];
  const lines: RigLine[] = [];
  const holders = new Map<string, PublishRequest>();
  const gate: PublishGate = async (request) => {
    asked.push(request);
    await gateBefore(request);
    if (request.key !== undefined && request.key !== 'right') {
      return { ok: false, code: 'PUBLISH_KEY_WRONG', detail: 'this is not the key of this name' };
    }
    const holder = holders.get(request.name);
    if (holder !== undefined && request.key === undefined) {
      return { ok: false, code: 'PUBLISH_NAME_BUSY', detail: 'somebody is live' };
    }
    holders.set(request.name, request);
    holder?.close('replaced');
    const list = units.get(request.name) ?? [];
    units.set(request.name, list);
    return {
      ok: true,
      feed: {
        push: (unit) => list.push(unit),
        close: (reason) => {
          closed.push({ name: request.name, reason });
          if (holders.get(request.name) === request) {
            holders.delete(request.name);
          }
        },
      },
    };
  };
  const metrics = new Metrics({ collectDefaults: false });
  const server = new RtmpServer({
    options: {
      host: '127.0.0.1',
      port: 0,
      tickEveryMs: 20,
      lingerMs: 200,
      connectionPerAddressMaxCount: 1_000,
      ...options,
    },
    gate,
    clock: systemClock,
    log: recordingLog(lines, {}),
    metrics,
  });
  await server.listen();
  const close = async (): Promise<void> => server.close('test_over');
  return { server, port: server.port, metrics, units, closed, asked, lines, close };
};

const recordingLog = (lines: RigLine[], bound: LogFields): Log => {
  const at =
    (level: string) =>
    (event: string, fields: LogFields = {}): void => {
      lines.push({ level, event, fields: { ...bound, ...fields } });
    };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (fields) => recordingLog(lines, { ...bound, ...fields }),
  };
};
